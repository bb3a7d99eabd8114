package report

import (
	_ "embed"
	"fmt"
	"io"
	"strings"
)

//go:embed style.css
var style string

// HTML writes the report as one page that needs nothing else: no network, no font, no script.
func (m Model) HTML(w io.Writer) error {
	head := el("head", el("meta").set("charset", "utf-8"),
		el("meta").set("name", "viewport").set("content", "width=device-width, initial-scale=1"),
		// Nothing is fetched and nothing runs, even if a text from a cluster got past the escaping.
		el("meta").set("http-equiv", "Content-Security-Policy").
			set("content", "default-src 'none'; style-src 'unsafe-inline'"),
		el("title", text(m.title())), el("style", own("\n"+style)))
	body := el("body", el("header", el("h1", text(m.title())), m.made(),
		el("p.verdict."+string(m.Verdict.Level), el("b", text(m.Verdict.Level.word())), text(" "+m.Verdict.Text)),
		m.sentences()))
	main := el("main")
	for _, s := range m.sections() {
		main.add(el("section", append([]node{el("h2", text(s.title)).set("id", s.id)}, s.body...)...))
	}
	return writeTo(w, el("html", head, body.add(main)).set("lang", "en"))
}

// part is a section of the page.
type part struct {
	id, title string
	body      []node
}

func (m Model) sections() []part {
	return []part{
		{"fleet", "Fleet", []node{m.legend(), draw(m, wide), draw(m, narrow)}},
		{"members", "Members", m.memberTable()},
		{"done", "What was done", m.timeline()},
		{"plan", "What is left", m.planList()},
		{"check", "Findings of check", m.findingList()},
		{"sign-off", "Sign-off", []node{m.signOff()}},
	}
}

func (m Model) title() string {
	if m.Context == "" {
		return "Fleet report"
	}
	return "Fleet report: " + m.Context
}

// word is how a verdict begins.
func (l Level) word() string {
	return map[Level]string{Bad: "Needs attention.", Open: "Not finished.", Good: "Finished."}[l]
}

// facts are what the report is about, and of when.
func (m Model) facts() [][2]string {
	var all [][2]string
	for _, f := range [][2]string{{"Hub", m.Hub}, {"Context", m.Context},
		{"Product", m.product()}, {"Made", stamp(m.At)}, {"By", m.By},
		{"With", "kubectl-xcpauth " + m.Tool}} {
		if f[1] != "" {
			all = append(all, f)
		}
	}
	return all
}

// product is the product with its version, which may begin with the product's full name.
func (m Model) product() string {
	if strings.Contains(m.Version, " ") {
		return m.Version
	}
	return strings.TrimSpace(m.Product + " " + m.Version)
}

func (m Model) made() node {
	list := el("dl.facts")
	for _, f := range m.facts() {
		list.add(el("div", el("dt", text(f[0])), el("dd", text(f[1]))))
	}
	return list
}

// notes are the sentences about the fleet.
func (m Model) notes() [][2]string {
	var all [][2]string
	for _, s := range [][2]string{{"In flight", m.InFlight}, {"Roster", m.Roster}, {"Next", m.Next}} {
		if s[1] != "" {
			all = append(all, s)
		}
	}
	return all
}

func (m Model) sentences() node {
	list := el("dl.notes")
	for _, s := range m.notes() {
		list.add(el("div", el("dt", text(s[0])), el("dd", text(s[1]))))
	}
	return list
}

// legend says what the marks mean, and how many members have each.
func (m Model) legend() node {
	list := el("ul.legend")
	n := m.marks()
	for _, mark := range Marks {
		if n[mark] > 0 {
			list.add(el("li", el("i."+mark.class()), el("b", text(fmt.Sprint(n[mark]))), text(" "+mark.meaning())))
		}
	}
	return list
}

// class is the class of a mark in the style sheet.
func (k Mark) class() string { return "m-" + strings.ReplaceAll(string(k), " ", "-") }

func (k Mark) meaning() string {
	return map[Mark]string{Unknown: "unknown: not looked at, or not known to be connected",
		Blocked: "blocked: something must be fixed first", Apart: "not connected",
		Moving:    "moving: its pods are being replaced",
		Pending:   "pending: connected, steps are left",
		Connected: "connected, nothing left to do"}[k]
}

// memberColumns are the headings of the table of members.
var memberColumns = []string{"Member", "State", "Declared", "Effective", "Credential", "Verified by", "Next"}

func (m Model) memberTable() []node {
	head := el("tr")
	for _, h := range memberColumns {
		head.add(el("th", text(h)).set("scope", "col"))
	}
	body := el("tbody")
	for _, r := range m.Members {
		name := el("th", text(r.Name)).set("scope", "row")
		if r.Context != "" && r.Context != r.Name {
			name.add(el("small", text("in "+r.Context)))
		}
		row := el("tr", name, cell("State", el("span.badge."+r.Mark.class(), text(r.badge())), small(r.besides())),
			cell("Declared", text(r.Declared)), cell("Effective", text(r.Effective)),
			cell("Credential", text(r.Credential), small(expiry(r.Expires))),
			cell("Verified by", text(r.Proof), small(strings.Join(r.Evidence, "; "))),
			cell("Next", text(r.Next), small(strings.Join(r.Why, "; "))))
		body.add(row)
	}
	return []node{el("div.scroll", el("table.members", el("thead", head), body))}
}
