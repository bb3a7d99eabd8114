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

var update = flag.Bool("update", false, "write the table of rules into README.md")

const (
	readme = "../../README.md"
	begin  = "<!-- The table of rules is written by: go test ./pkg/check -update -->\n"
	end    = "<!-- End of the table of rules. -->\n"
)

// rules are the rules for every product, and those of Tetrate Service Bridge.
func rules() []check.Rule { return slices.Concat(check.Rules(), tsbinspect.Rules()) }

// all are the rules that the programs report by.
func all() []finding.Rule { return check.All(inspect.Rules(), check.Documented(tsbinspect.Rules())) }

// ruleTable is the rules as README.md explains them, each with the anchor that its findings lead to.
func ruleTable() string {
	var b strings.Builder
	b.WriteString("| rule | severity | what is wrong | what to do |\n|---|---|---|---|\n")
	for _, r := range all() {
		id, severity := r.ID, string(r.Severity)
		if r.Name != "" {
			id += " `" + r.Name + "`"
		}
		if r.Mild != "" {
			severity += " or " + string(r.Mild)
		}
		fmt.Fprintf(&b, "| <a id=\"%s\"></a>%s | %s | %s | %s |\n", r.Anchor(), id, severity, r.Title, r.Remedy)
	}
	return b.String()
}

func TestREADMEExplainsEveryRule(t *testing.T) {
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, opened := strings.Cut(string(text), begin)
	table, after, closed := strings.Cut(rest, end)
	if !opened || !closed {
		t.Fatalf("README.md has no place for the table of rules:\n%s%s", begin, end)
	}
	if *update {
		if err := os.WriteFile(readme, []byte(before+begin+ruleTable()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if table != ruleTable() {
		t.Error("the table of rules in README.md is not that of the rules; run go test ./pkg/check -update")
	}
	if !strings.Contains(before, "## Checks\n") {
		t.Error("the table is not under the heading Checks")
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
