package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/check"
)

// Markdown writes the report as a page for a ticket, without HTML.
func (m Model) Markdown(w io.Writer) error {
	var b page
	b.line("# %s", m.title())
	b.line("")
	b.line("**%s** %s", m.Verdict.Level.word(), m.Verdict.Text)
	b.table([]string{"", ""}, m.facts())
	for _, s := range m.notes() {
		b.line("- %s: %s", s[0], s[1])
	}
	b.members(m)
	b.past(m)
	b.plan(m)
	b.findings(m)
	b.line("\n## Sign-off")
	var rows [][]string
	for _, s := range signers {
		rows = append(rows, []string{s, "", "", ""})
	}
	b.rows(signColumns, rows)
	_, err := io.WriteString(w, strings.TrimRight(b.String(), "\n")+"\n")
	return err
}

// page is a page of Markdown as far as it is written.
type page struct{ strings.Builder }

// line writes a line; what is filled in is escaped.
func (b *page) line(format string, args ...any) {
	for i, a := range args {
		args[i] = plain(fmt.Sprint(a))
	}
	fmt.Fprintf(b, format+"\n", args...)
}

// rows writes a table.
func (b *page) rows(headings []string, rows [][]string) {
	b.WriteString("\n|")
	for _, h := range headings {
		b.WriteString(" " + plain(h) + " |")
	}
	b.WriteString("\n|" + strings.Repeat(" --- |", len(headings)) + "\n")
	for _, r := range rows {
		b.WriteString("|")
		for _, cell := range r {
			b.WriteString(" " + plain(cell) + " |")
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
}

func (b *page) table(headings []string, pairs [][2]string) {
	var rows [][]string
	for _, p := range pairs {
		rows = append(rows, p[:])
	}
	b.rows(headings, rows)
}

func (b *page) members(m Model) {
	b.line("\n## Members")
	b.line("")
	n := m.marks()
	for _, mark := range Marks {
		if n[mark] > 0 {
			b.line("- %s %s", n[mark], mark.meaning())
		}
	}
	var rows [][]string
	for _, r := range m.Members {
		name := r.Name
		if r.Context != "" && r.Context != r.Name {
			name += " in " + r.Context
		}
		rows = append(rows, []string{name, both(r.badge(), r.besides()), r.Declared, r.Effective,
			both(r.Credential, expiry(r.Expires)), both(r.Proof, r.Evidence...), both(r.Next, r.Why...)})
	}
	b.rows(memberColumns, rows)
}

func (b *page) past(m Model) {
	b.line("\n## What was done")
	var rows [][]string
	for _, p := range m.Past {
		outcome := both(p.Outcome, p.Said)
		if len(p.Failed) > 0 {
			outcome += "; failed: " + strings.Join(p.Failed, ", ")
		}
		rows = append(rows, []string{stamp(p.Began), stamp(p.Ended), p.Took, p.Title, p.who(),
			strings.Join(p.Members, ", "), outcome, strings.Join(p.Evidence, "; ")})
	}
	if len(rows) > 0 {
		b.rows([]string{"Began", "Ended", "Took", "Wave", "By", "Members", "Outcome", "Evidence"}, rows)
	} else {
		b.line("\nNo wave was carried out yet.")
	}
	for _, u := range m.History.Unread {
		b.line("- not read, so that what was done there is missing: %s", u)
	}
}

func (b *page) plan(m Model) {
	b.line("\n## What is left")
	if len(m.Plan.Waves) == 0 {
		b.line("\nNo wave is left.")
	}
	if rows := obstacles(m.Plan.Blocked); len(rows) > 0 {
		b.table([]string{"Blocked", "Why"}, rows)
	}
	if rows := obstacles(m.Plan.Notes); len(rows) > 0 {
		b.table([]string{"To know", ""}, rows)
	}
	for i, w := range m.Plan.Waves {
		b.line("\n### %s. %s (%s)", i+1, w.Title, check.Count(len(w.Steps), "step"))
		for _, s := range w.Steps {
			b.line("")
			b.line("- **%s**", s.Title)
			for _, f := range stepFacts(s) {
				b.line("  - %s: %s", f[0], f[1])
			}
			for _, d := range s.Diff {
				b.fenced("  ", "diff", strings.Join(diffLines(d), "\n"))
			}
		}
	}
}

// fenced writes text as it is, between fences that it does not hold.
func (b *page) fenced(indent, language, s string) {
	fence := "```"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	b.WriteString("\n" + indent + fence + language + "\n")
	for _, l := range shownLines(s) {
		b.WriteString(indent + l + "\n")
	}
	b.WriteString(indent + fence + "\n")
}

func (b *page) findings(m Model) {
	b.line("\n## Findings of check")
	clean := 0
	for _, r := range m.Rules {
		if len(r.Found) == 0 {
			clean++
			continue
		}
		b.line("\n### %s %s: %s", r.ID, r.Severity, r.Title)
		for _, x := range r.Found {
			saw := x.Saw
			if x.Object != "" {
				saw = x.Object + ": " + saw
			}
			b.line("")
			b.line("- %s", strings.Join(x.Who, ", "))
			b.line("  - Saw: %s", saw)
			if x.Do != "" {
				b.line("  - Do: %s", x.Do)
			}
			if x.Command != "" {
				b.fenced("  ", "", x.Command)
			}
			if x.Manifest != "" {
				b.fenced("  ", "yaml", x.Manifest)
			}
		}
	}
	b.line("\n%s looked at and found nothing.", check.Count(clean, "rule"))
}

// plain is text of which Markdown takes nothing for its own: no link, no emphasis, no HTML, no cell's end.
func plain(s string) string {
	return strings.TrimSpace(strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`,
		"<", `\<`, ">", `\>`, "|", `\|`, "&", `\&`, "~", `\~`, "#", `\#`).Replace(shown(s)))
}
