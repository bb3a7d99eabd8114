package render

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
)

// Table lays the findings out by rule, worst first: under each rule once for all of whom the same is found. What is
// only worth knowing has one line, and of many members those without a finding are counted; wide has all of it.
func (r Check) Table(w io.Writer, wide bool) {
	r.rows(w, wide)
	for _, of := range byRule(r.Findings) {
		fmt.Fprintln(w)
		first := of[0]
		if wide || first.Severity != finding.Info {
			ofRule(w, of, wide)
			continue
		}
		Paragraph(w, "", fmt.Sprintf("%s: %s", heading(of), first.Title))
	}
	n := r.Counts()
	fmt.Fprintln(w)
	found := fmt.Sprintf("%s, %s, %s", plural(n[finding.Error], "error"), plural(n[finding.Warning], "warning"),
		plural(n[finding.Info], "info"))
	if n[finding.Info] > 0 && !wide {
		found += " (-o wide shows how to fix infos)"
	}
	if len(r.Ignored) > 0 {
		found += fmt.Sprintf("; %s left out by --ignore", plural(len(r.Ignored), "finding"))
	}
	Paragraph(w, "Found: ", found)
	Paragraph(w, "Next: ", r.Next)
}

// rows prints the table of members.
func (r Check) rows(w io.Writer, wide bool) {
	headings := []string{"MEMBER", "CONTEXT", "STATE", "ERRORS", "WARNINGS", "INFOS"}
	if wide {
		headings = append(headings, "WHY")
	}
	well := 0
	var rows [][]string
	for _, m := range r.Members {
		if fine := m.State == "ok" || m.State == "skipped" || m.State == RowInfo; fine && !wide &&
			len(r.Members) > ungrouped && m.Role != "hub" {
			well++
			continue
		}
		context := m.Context
		if context == "" {
			context = "-"
		}
		row := []string{m.Member, context, string(m.State), fmt.Sprint(m.Errors), fmt.Sprint(m.Warnings), fmt.Sprint(m.Infos)}
		if wide {
			row = append(row, m.Why)
		}
		rows = append(rows, row)
	}
	if hidden := len(rows) - ungrouped; hidden > 0 && !wide {
		Columns(w, headings, rows[:ungrouped])
		fmt.Fprintf(w, "… and %d more with findings; -o wide lists all\n", hidden)
	} else {
		Columns(w, headings, rows)
	}
	if well > 0 {
		fmt.Fprintf(w, "… and %d more without errors and warnings\n", well)
	}
}

// byRule are the findings by rule, in the order in which the rules come first.
func byRule(all []finding.Finding) [][]finding.Finding {
	at := map[string]int{}
	var groups [][]finding.Finding
	for _, x := range all {
		n, known := at[x.Rule]
		if !known {
			n = len(groups)
			at[x.Rule], groups = n, append(groups, nil)
		}
		groups[n] = append(groups[n], x)
	}
	return groups
}

// ofRule prints the findings of one rule: what was found, and what to do, once for all of whom that is the same but for
// their names.
func ofRule(w io.Writer, of []finding.Finding, wide bool) {
	Paragraph(w, "", fmt.Sprintf("%s: %s", heading(of), of[0].Title))
	keyOf := sameOf
	if wide { // each with its own command
		keyOf = func(x finding.Finding) string { return whose(x) + x.Object + x.Found }
	}
	same, said := map[string][]string{}, map[string]bool{}
	for _, x := range of {
		same[keyOf(x)] = append(same[keyOf(x)], whose(x))
	}
	for _, x := range of {
		key := keyOf(x)
		if said[key] {
			continue
		}
		said[key] = true
		found := x.Found
		if x.Object != "" {
			found = x.Object + ": " + found
		}
		names := same[key]
		most := fewNames
		if wide {
			most = len(names)
		}
		if len(of) > len(names) { // the heading names all of them
			found = few(names, most) + ": " + found
		}
		Paragraph(w, "  found: ", found)
		fix := x.Remedy
		if len(names) > 1 && (sameName(x.Remedy+x.Command, x) || x.Manifest != "") {
			fix = fmt.Sprintf("(%s; the others alike) %s", whose(x), fix)
		}
		Paragraph(w, "  fix:   ", fix)
		if x.Command != "" {
			fmt.Fprintln(w, "         "+x.Command) // in one line, to be pasted
		}
		if x.Manifest != "" {
			fmt.Fprint(w, x.Manifest) // from the first column, to be pasted
		}
	}
	if wide {
		fmt.Fprintln(w, "  see:   "+of[0].Docs)
	}
}

// heading names a rule, how bad it is, and whom it is about.
func heading(of []finding.Finding) string {
	var names []string
	for _, x := range of {
		if !slices.Contains(names, whose(x)) {
			names = append(names, whose(x))
		}
	}
	times := ""
	if len(of) > 1 {
		times = fmt.Sprintf(" ×%d", len(of))
	}
	return fmt.Sprintf("%s %s%s %s", of[0].Rule, of[0].Severity, times, few(names, fewNames))
}

// whose is whom or what a finding is about.
func whose(x finding.Finding) string {
	switch {
	case x.Member != "-":
		return x.Member
	case x.Context != "":
		return x.Context
	}
	return "here"
}

// sameOf is what findings have in common that are said once: all but the names of whom they are about.
func sameOf(x finding.Finding) string {
	return strings.Join([]string{x.Rule, unnamed(x.Object, x), unnamed(x.Found, x), unnamed(x.Remedy, x),
		unnamed(x.Command, x), unnamed(x.Manifest, x)}, "\x00")
}

// sameName says whether a text has the name of whom the finding is about.
func sameName(text string, x finding.Finding) bool { return unnamed(text, x) != text }

// unnamed is a text without the names of whom a finding is about, where they stand for themselves.
func unnamed(text string, x finding.Finding) string {
	for _, name := range []string{x.Member, x.Context} {
		if name == "" || name == "-" || name == "hub" {
			continue
		}
		for from := 0; ; {
			at := strings.Index(text[from:], name)
			if at < 0 {
				break
			}
			at += from
			if end := at + len(name); partOfName(text[:at], false) || partOfName(text[end:], true) {
				from = end
			} else {
				text, from = text[:at]+"\x01"+text[end:], at+1
			}
		}
	}
	return text
}

// partOfName says whether a name goes on at the beginning, or at the end, of a text.
func partOfName(text string, atBeginning bool) bool {
	r, _ := utf8.DecodeLastRuneInString(text)
	if atBeginning {
		r, _ = utf8.DecodeRuneInString(text)
	}
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_')
}
