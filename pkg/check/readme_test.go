package check

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
)

var update = flag.Bool("update", false, "write the table of rules into README.md")

const (
	readme = "../../README.md"
	begin  = "<!-- The table of rules is written by: go test ./pkg/check -update -->\n"
	end    = "<!-- End of the table of rules. -->\n"
)

// ruleTable is the rules as README.md explains them, each with the anchor that its findings lead to.
func ruleTable() string {
	var b strings.Builder
	b.WriteString("| rule | severity | what is wrong | what to do |\n|---|---|---|---|\n")
	for _, r := range Rules() {
		fmt.Fprintf(&b, "| <a id=\"%s\"></a>%s | %s | %s | %s |\n", r.Anchor(), r.ID, r.Severity, r.Title, r.Remedy)
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
		t.Error("the table of rules in README.md is not that of Rules(); run go test ./pkg/check -update")
	}
	if !strings.Contains(before, "## Checks\n") {
		t.Error("the table is not under the heading Checks")
	}
}

func TestRulesAreWellFormed(t *testing.T) {
	form := regexp.MustCompile(`^XA[0-9]{3}$`)
	last := ""
	for _, r := range Rules() {
		switch {
		case !form.MatchString(r.ID), r.ID <= last:
			t.Errorf("rule %q comes after %q: IDs are XA and three digits, each once, in order", r.ID, last)
		case r.Title == "", r.Remedy == "", !strings.HasSuffix(r.Remedy, "."), strings.HasSuffix(r.Title, "."), strings.Contains(r.Title+r.Remedy, "|"):
			t.Errorf("%s: title %q, mend %q", r.ID, r.Title, r.Remedy)
		case !slices.Contains(finding.Severities, r.Severity):
			t.Errorf("%s: severity %q", r.ID, r.Severity)
		}
		last = r.ID
	}
}
