package report

import (
	"fmt"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/check"
	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
)

func (m Model) timeline() []node {
	if len(m.Past) == 0 {
		return append([]node{el("p.none", text("No wave was carried out yet."))}, m.unread()...)
	}
	waves := el("ol.timeline")
	for _, p := range m.Past {
		mark := "failed"
		if p.Verified {
			mark = "verified"
		}
		li := el("li."+mark, el("h3", text(p.Title), el("span.badge."+mark, text(p.Outcome))),
			el("p.when", text(p.when())), el("p", text(p.who())))
		if p.Said != "" {
			li.add(el("p.said", text(p.Said)))
		}
		li.add(named("Members", p.Members), named("Failed", p.Failed), list("ul.evidence", p.Evidence))
		waves.add(li)
	}
	return append([]node{waves}, m.unread()...)
}

// when says when a wave ran, and for how long.
func (p Past) when() string {
	s := stamp(p.Began) + " to " + stamp(p.Ended)
	if p.Took != "" {
		s += ", took " + p.Took
	}
	return s
}

// who says who ran a wave, where and what for.
func (p Past) who() string {
	s := fmt.Sprintf("by %s, journal in %s", p.By, p.Context)
	if p.Goal != "" {
		s += ", goal " + p.Goal
	}
	return s
}

// unread names the journals that were not read: what they say is missing.
func (m Model) unread() []node {
	if len(m.History.Unread) == 0 {
		return nil
	}
	return []node{el("p", text("Not read, so that what was done there is missing:")), list("ul", m.History.Unread)}
}

func (m Model) planList() []node {
	var all []node
	for _, o := range []struct {
		title string
		rows  [][2]string
	}{{"Blocked", obstacles(m.Plan.Blocked)}, {"To know", obstacles(m.Plan.Notes)}} {
		if len(o.rows) == 0 {
			continue
		}
		l := el("dl.obstacles")
		for _, r := range o.rows {
			l.add(el("div", el("dt", text(r[0])), el("dd", text(r[1]))))
		}
		all = append(all, el("h3", text(o.title)), l)
	}
	if len(m.Plan.Waves) == 0 {
		return append([]node{el("p.none", text("No wave is left."))}, all...)
	}
	waves := el("ol.plan")
	for _, w := range m.Plan.Waves {
		li := el("li", el("h3", text(w.Title), el("span.badge", text(check.Count(len(w.Steps), "step")))))
		for _, s := range w.Steps {
			li.add(stepOf(s))
		}
		waves.add(li)
	}
	return append(all, waves)
}

// stepOf is a step of the plan, folded but for its title.
func stepOf(s render.PlanStep) node {
	title := el("summary", text(s.Title))
	if s.OneWay {
		title.add(el("span.badge.m-blocked", text("no way back")))
	}
	facts := el("dl")
	for _, f := range stepFacts(s) {
		facts.add(el("div", el("dt", text(f[0])), el("dd", text(f[1]))))
	}
	step := el("details.step", title, facts)
	for _, d := range s.Diff {
		step.add(diff(d))
	}
	return step
}

// stepFacts are what is said of a step.
func stepFacts(s render.PlanStep) [][2]string {
	all := [][2]string{{"Why", s.Why}}
	for _, c := range s.Changes {
		all = append(all, [2]string{"Change", c})
	}
	for _, p := range s.Proof {
		all = append(all, [2]string{"Verified by", p})
	}
	if len(s.Proof) > 0 {
		all = append(all, [2]string{"Within", s.Within})
	}
	return append(all, [2]string{"Way back", s.WayBack})
}

// diff is a unified diff, coloured.
func diff(d string) node {
	pre := el("pre.diff")
	for _, line := range diffLines(d) {
		tag := "span"
		switch {
		case strings.HasPrefix(line, "+++"), strings.HasPrefix(line, "---"), strings.HasPrefix(line, "@@"):
			tag = "span.meta"
		case strings.HasPrefix(line, "+"):
			tag = "span.plus"
		case strings.HasPrefix(line, "-"):
			tag = "span.minus"
		}
		pre.add(el(tag, text(line)), own("\n"))
	}
	return pre
}

func (m Model) findingList() []node {
	var all []node
	clean := 0
	for _, r := range m.Rules {
		if len(r.Found) == 0 {
			clean++
			continue
		}
		id := el("a", text(r.ID)).set("href", r.Docs)
		block := el("div.rule", el("h3", id, text(" "+r.Title), el("span.badge."+severityClass(r.Severity),
			text(string(r.Severity)))))
		for _, x := range r.Found {
			block.add(found(x))
		}
		all = append(all, block)
	}
	return append(all, el("p.none", text(fmt.Sprintf("%s looked at and found nothing.", check.Count(clean, "rule")))))
}

// severityClass is the class of a severity in the style sheet.
func severityClass(s finding.Severity) string { return "s-" + string(s) }

func found(x Found) node {
	list := el("dl", el("div", el("dt", text("At")), el("dd", text(strings.Join(x.Who, ", ")))))
	saw := x.Saw
	if x.Object != "" {
		saw = x.Object + ": " + saw
	}
	list.add(el("div", el("dt", text("Saw")), el("dd", text(saw))))
	if x.Do != "" {
		list.add(el("div", el("dt", text("Do")), el("dd", text(x.Do))))
	}
	block := el("div.found", list)
	if x.Command != "" {
		block.add(el("pre", text(x.Command)))
	}
	if x.Manifest != "" {
		block.add(el("pre", lines(x.Manifest)))
	}
	return block
}

// signers are who signs a change off.
var signers = []string{"Carried out by", "Reviewed by", "Approved by"}

// signColumns are the headings of the table for that.
var signColumns = []string{"", "Name", "Date", "Signature"}

func (m Model) signOff() node {
	head, body := el("tr"), el("tbody")
	for _, h := range signColumns {
		head.add(el("th", text(h)).set("scope", "col"))
	}
	for _, s := range signers {
		body.add(el("tr", el("th", text(s)).set("scope", "row"), el("td"), el("td"), el("td")))
	}
	return el("table.sign", el("thead", head), body)
}
