package finding

import (
	"slices"
	"testing"
)

func TestSeveritiesAreOrdered(t *testing.T) {
	for _, tc := range []struct {
		s, threshold Severity
		want         bool
	}{
		{Error, Error, true}, {Error, Warning, true}, {Error, Info, true},
		{Warning, Error, false}, {Warning, Warning, true}, {Warning, Info, true},
		{Info, Error, false}, {Info, Warning, false}, {Info, Info, true},
	} {
		if got := tc.s.AtLeast(tc.threshold); got != tc.want {
			t.Errorf("%s is at least %s: %v, want %v", tc.s, tc.threshold, got, tc.want)
		}
	}
}

func TestAFindingIsMadeFromItsRule(t *testing.T) {
	rule := Rule{ID: "XA999", Name: "a-rule", Title: "it is wrong", Severity: Error, Mild: Warning, Remedy: "Fix it."}
	var f Findings
	f.Add(&rule, "seen", "fix this")
	f.AddMild(&rule, "seen", "fix that")
	placed := f.About("secret a/b")
	want := Finding{Rule: "XA999", Name: "a-rule", Title: "it is wrong", Severity: Error, Found: "seen",
		Remedy: "fix this"}
	if f[0] != want {
		t.Errorf("%+v, want %+v", f[0], want)
	}
	want.Severity, want.Remedy, want.Object = Warning, "fix that", "secret a/b"
	if placed[1] != want || f[1].Object != "" {
		t.Errorf("%+v, want %+v; before it was %+v", placed[1], want, f[1])
	}
}

func TestRulesAreSortedByID(t *testing.T) {
	var r Registry
	if b := r.Register(&Rule{ID: "B"}); b.ID != "B" {
		t.Errorf("%+v", b)
	}
	r.Register(&Rule{ID: "A"})
	var ids []string
	for _, rule := range Sorted(r.Rules(), []Rule{{ID: "AA"}}) {
		ids = append(ids, rule.ID)
	}
	if want := []string{"A", "AA", "B"}; !slices.Equal(ids, want) {
		t.Errorf("%v, want %v", ids, want)
	}
}
