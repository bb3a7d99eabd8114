package check_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/check"
	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	tsbinspect "github.com/xcpauth/kubectl-xcpauth/pkg/tsb/inspect"
)

// Rules as a product brings them; ruleOld has findings of two severities.
var (
	ruleExpired = finding.Rule{ID: "XA901", Name: "token-expired", Severity: finding.Error, Title: "it has expired"}
	ruleLong    = finding.Rule{ID: "XA902", Name: "token-long", Severity: finding.Warning, Title: "it lives long"}
	ruleTwice   = finding.Rule{ID: "XA903", Name: "list-twice", Severity: finding.Info, Title: "it is there twice"}
	ruleOld     = finding.Rule{ID: "XA904", Name: "token-old", Severity: finding.Error, Mild: finding.Warning,
		Title: "it is old"}
	ownRules = []finding.Rule{ruleExpired, ruleLong, ruleTwice, ruleOld}
)

// finds has the product find something of eu by a rule of its own.
func finds(rules ...finding.Rule) func(*plan.State) {
	return func(f *plan.State) {
		in := *f.Member("eu").Inspection
		for _, r := range rules {
			in.Findings.Add(&r, "it is refused", "issue another")
		}
		in.Findings = in.Findings.About("secret a/b")
		f.Member("eu").Inspection = &in
	}
}

// What a product finds by rules of its own is reported with the rule, of the hub and of members, for every product.
func TestWhatAProductFindsIsReportedByItsOwnRules(t *testing.T) {
	for _, rule := range ownRules {
		t.Run(rule.Name, func(t *testing.T) {
			for _, roster := range []bool{true, false} {
				f := healthy()
				f.Product, f.UsesRoster = "other", roster
				if !roster {
					f.Hub.Roster = plan.RosterState{}
				}
				finds(rule)(&f)
				f.Hub.Inspection.Findings.Add(&rule, "it is open", "close it")
				base := finding.Finding{Rule: rule.ID, Name: rule.Name, Severity: rule.Severity, Title: rule.Title,
					Docs: finding.Page + "#" + strings.ToLower(rule.ID)}
				hub, eu := base, base
				hub.Member, hub.Context, hub.Found, hub.Remedy = "hub", "hub", "it is open", "close it"
				eu.Member, eu.Context, eu.Object, eu.Found, eu.Remedy = "eu", "eu", "secret a/b", "it is refused", "issue another"
				looked := rules()
				if !roster {
					looked = check.Rules()
				}
				if found := check.Run(looked, f, check.Options{}); !slices.Equal(found, []finding.Finding{hub, eu}) {
					t.Errorf("found %+v", found)
				}
			}
		})
	}
}

// A member that was not reached has no finding of its product.
func TestNothingIsReportedOfAMemberThatWasNotReached(t *testing.T) {
	f := healthy()
	finds(ruleExpired)(&f)
	f.Member("eu").Err = "no selected context reaches it"
	for _, x := range check.Run(rules(), f, check.Options{}) {
		if x.Name != "" {
			t.Errorf("%+v", x)
		}
	}
}

func TestIgnores(t *testing.T) {
	found := []finding.Finding{{Rule: "XA050", Member: "eu", Context: "c1"}, {Rule: "XA050", Member: "us", Context: "c2"},
		{Rule: "XA060", Member: "eu"}, {Rule: "XA901", Name: "token-expired", Member: "eu"},
		{Rule: "XA901", Name: "token-expired", Member: "us"}}
	known := check.All(ownRules, check.Documented(tsbinspect.Rules()))
	for text, want := range map[string]int{"XA050": 3, "XA050=eu": 4, "XA050=c2": 4, "XA050=mars": 5, "XA060=eu": 4,
		"XA901": 3, "XA901=us": 4, "token-expired": 3, "token-expired=eu": 4, "token-expired=mars": 5, "token-long": 5} {
		i, err := check.ParseIgnore(known, text)
		if err != nil {
			t.Fatal(err)
		}
		if kept, ignored := check.Split(found, []check.Ignore{i}); len(kept) != want || len(ignored) != len(found)-want {
			t.Errorf("--ignore %s keeps %d and leaves %d out, want %d kept", text, len(kept), len(ignored), want)
		}
		if note := i.Outdated(found); note != "" {
			t.Errorf("--ignore %s is called outdated: %s", text, note)
		}
	}
	for _, text := range []string{"", "XA999", "xa050", "XA050=", "eu", "=eu", "token-expired=", "Token-Expired", "XA083",
		"XA080="} {
		if _, err := check.ParseIgnore(known, text); err == nil {
			t.Errorf("--ignore %q is taken", text)
		}
	}
}

// A retired rule leaves out what it did: whatever a product found with its severity, and nothing by rules of this
// package.
func TestARetiredRuleLeavesOutWhatItDid(t *testing.T) {
	f := healthy()
	finds(ownRules...)(&f)
	in := f.Member("eu").Inspection
	in.Findings.AddMild(&ruleOld, "2.10 will refuse it", "issue another")
	f.Hub.Inspection.Findings.Add(&ruleExpired, "it has expired", "issue another")
	// an error, a warning and a note by rules of this package
	f.Hub.Inspection.Server.CA, f.Hub.InFlight, f.Hub.HelmNote = false, "a wave", "tsb/mp"
	found := check.Run(rules(), f, check.Options{})
	several := func(rule, flag string) string {
		return "rule " + rule + " has become several rules, and the next release refuses --ignore " + flag +
			"; pass instead: "
	}
	for text, want := range map[string]struct {
		ids  string // of what is left out
		note string
	}{
		"XA080":     {"XA901 hub,XA901 eu,XA904 eu", several("XA080", "XA080") + "--ignore XA901 --ignore XA904"},
		"XA080=eu":  {"XA901 eu,XA904 eu", several("XA080", "XA080=eu") + "--ignore XA901=eu --ignore XA904=eu"},
		"XA081":     {"XA902 eu,XA904 eu", several("XA081", "XA081") + "--ignore XA902 --ignore XA904"},
		"XA082":     {"XA903 eu", several("XA082", "XA082") + "--ignore XA903"},
		"XA082=hub": {"", "--ignore XA082=hub leaves nothing out, and the next release refuses it: remove it"},
	} {
		i, err := check.ParseIgnore(check.All(ownRules, check.Documented(tsbinspect.Rules())), text)
		if err != nil {
			t.Fatal(err)
		}
		kept, ignored := check.Split(found, []check.Ignore{i})
		var ids []string
		for _, x := range ignored {
			ids = append(ids, x.Rule+" "+x.Member)
			if id, _, _ := strings.Cut(text, "="); x.Severity != map[string]finding.Severity{"XA080": finding.Error,
				"XA081": finding.Warning,
				"XA082": finding.Info}[id] {
				t.Errorf("--ignore %s leaves out %+v", text, x)
			}
		}
		if got := strings.Join(ids, ","); got != want.ids || len(kept)+len(ignored) != len(found) {
			t.Errorf("--ignore %s leaves out %q, want %q", text, got, want.ids)
		}
		if got := i.Outdated(ignored); got != want.note {
			t.Errorf("--ignore %s says\n%s, want\n%s", text, got, want.note)
		}
	}
	if ours := slices.DeleteFunc(found, func(x finding.Finding) bool { return x.Name != "" }); len(ours) != 3 {
		t.Errorf("the rules of this package found %+v", ours)
	}
}
