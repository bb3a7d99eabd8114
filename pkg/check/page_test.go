package check_test

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/check"
	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/inspect"
	tsbinspect "github.com/xcpauth/kubectl-xcpauth/pkg/tsb/inspect"
)

var update = flag.Bool("update", false, "write the rules into docs/checks.md")

const (
	page = "../../docs/checks.md"
	made = "<!-- What follows is made from the rules by: make docs -->\n"
)

// topic is what the rules of a range of IDs are about.
type topic struct{ first, last, title string }

var topics = []topic{
	{"XA001", "XA009", "What cannot be looked at"},
	{"XA010", "XA019", "Modes and how they are written"},
	{"XA020", "XA029", "The hub's certificate"},
	{"XA030", "XA039", "Members' credentials"},
	{"XA040", "XA049", "Versions and operators"},
	{"XA050", "XA059", "Who else writes an object"},
	{"XA060", "XA069", "Edges and their fences"},
	{"XA070", "XA079", "Webhook, roster and runs"},
	{"XA100", "XA129", "Zones' tokens"},
	{"XA130", "XA154", "Signing keys"},
	{"XA155", "XA169", "The list of revoked tokens"},
	{"XA170", "XA181", "Versions and settings of a mesh"},
	{"XA182", "XA193", "Certificates and trust of a mesh"},
	{"XA194", "XA199", "The global"},
	{"XA200", "XA209", "Before an upgrade"},
}

// rules are the rules for every product, and those of Tetrate Service Bridge.
func rules() []check.Rule { return slices.Concat(check.Rules(), tsbinspect.Rules()) }

// all are the rules that the programs report by.
func all() []finding.Rule { return check.All(inspect.Rules(), check.Documented(tsbinspect.Rules())) }

// The second half of docs/checks.md is made from the rules. With -update it is written.
func TestTheRulesInDocsAreThoseOfTheProgram(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	head, explained, marked := strings.Cut(string(text), made)
	if !marked {
		t.Fatalf("docs/checks.md has no place for the rules: %s", made)
	}
	if *update {
		if err := os.WriteFile(page, []byte(head+made+explanations()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if explained != explanations() {
		t.Error("docs/checks.md does not explain the rules as they are; run make docs")
	}
}

// explanations has a section for each topic: a table of its rules, and a heading for each, where its findings lead.
func explanations() string {
	var b strings.Builder
	for _, about := range topics {
		var table, sections strings.Builder
		for _, r := range all() {
			if r.ID < about.first || r.ID > about.last {
				continue
			}
			severity := severities(r)
			fmt.Fprintf(&table, "| [%s](#%s) | %s | %s |\n", r.ID, strings.ToLower(r.ID), severity, r.Title)
			named := ""
			if r.Name != "" {
				named = " Its name is `" + r.Name + "`."
			}
			fmt.Fprintf(&sections, "\n### %s\n\n**%s:** %s.%s\n\n%s\n", r.ID, capital(severity), r.Title, named, r.Remedy)
		}
		fmt.Fprintf(&b, "\n## %s\n\n| rule | severity | what is wrong |\n|---|---|---|\n%s%s", about.title, &table,
			&sections)
	}
	return b.String()
}

func severities(r finding.Rule) string {
	if r.Mild != "" {
		return string(r.Severity) + " or " + string(r.Mild)
	}
	return string(r.Severity)
}

func capital(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

// A finding sends its reader to the heading that is its ID.
func TestEveryFindingLeadsToTheHeadingOfItsRule(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all() {
		address, anchor, _ := strings.Cut(r.Docs(), "#")
		if !strings.HasSuffix(address, strings.TrimPrefix(page, "../..")) {
			t.Errorf("%s leads to %s, which is not %s", r.ID, address, page)
		}
		if heading := "\n### " + strings.ToUpper(anchor) + "\n"; strings.Count(string(text), heading) != 1 {
			t.Errorf("%s leads to #%s, and docs/checks.md has no such heading", r.ID, anchor)
		}
	}
}

func TestEveryRuleIsOfOneTopic(t *testing.T) {
	used := map[string]bool{}
	for _, r := range all() {
		n := 0
		for _, about := range topics {
			if r.ID >= about.first && r.ID <= about.last {
				n++
				used[about.title] = true
			}
		}
		if n != 1 {
			t.Errorf("%s is of %d topics; give its range of IDs one", r.ID, n)
		}
	}
	for _, about := range topics {
		if !used[about.title] {
			t.Errorf("no rule is about: %s", about.title)
		}
	}
}

func TestRulesAreWellFormed(t *testing.T) {
	form := regexp.MustCompile(`^XA[0-9]{3}$`)
	last, names := "", map[string]string{}
	for _, r := range all() {
		if other, there := names[r.Name]; there && r.Name != "" {
			t.Errorf("%s and %s are both named %s", other, r.ID, r.Name)
		}
		names[r.Name] = r.ID
		switch {
		case !form.MatchString(r.ID), r.ID <= last:
			t.Errorf("rule %q comes after %q: IDs are XA and three digits, each once, in order", r.ID, last)
		case r.Title == "", r.Remedy == "", !strings.HasSuffix(r.Remedy, "."), strings.HasSuffix(r.Title, "."),
			strings.Contains(r.Title+r.Remedy, "|"):
			t.Errorf("%s: title %q, remedy %q", r.ID, r.Title, r.Remedy)
		case slices.Contains([]string{"XA080", "XA081", "XA082"}, r.ID):
			t.Errorf("%s is retired, and is never used again for anything else", r.ID)
		case !slices.Contains(finding.Severities, r.Severity):
			t.Errorf("%s: severity %q", r.ID, r.Severity)
		}
		last = r.ID
	}
}
