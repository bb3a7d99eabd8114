package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// lax is a mesh with errors, warnings and notes: its zone has no token, and its global is open, of an old release and
// with a list of revoked tokens that revokes nothing.
func lax(t *testing.T) string {
	t.Helper()
	global := append(apifake.Global("2.9.0", map[string]bool{"west": false}),
		apifake.GlobalSecret("zone-token-revocations", "a, b,b"))
	return serve(t, map[string]*apifake.Server{"global": metricless(apifake.Start(global...)),
		"west": metricless(apifake.Start(apifake.Zone("2.9.0", "west")...))}, nil)
}

// of are the findings of a report, as their rule and member, in order.
func of(findings []reported) []string {
	var all []string
	for _, x := range findings {
		all = append(all, x.Rule+" "+x.Member)
	}
	slices.Sort(all)
	return all
}

// ofMesh are the findings of Kong Mesh's own rules with a severity, of one member or of all.
func ofMesh(all []reported, severity, member string) []reported {
	var some []reported
	for _, x := range all {
		if strings.HasPrefix(x.Rule, "XA1") && x.Severity == severity && (member == "" || member == x.Member) {
			some = append(some, x)
		}
	}
	return some
}

// The rules of the release before leave out what they did, and say on stderr what does the same from now on.
func TestRetiredRulesAreTakenForOneReleaseMore(t *testing.T) {
	kubeconfig := lax(t)
	checked := func(flags ...string) (checkReport, string) {
		r := xcpauth(t, kubeconfig, append([]string{"check", "-o", "json"}, flags...)...)
		var report checkReport
		if err := json.Unmarshal([]byte(r.out), &report); err != nil {
			t.Fatalf("%v: %v\n%s%s", flags, err, r.out, r.err)
		}
		return report, r.err
	}
	plain, said := checked()
	if said != "" {
		t.Errorf("nothing is ignored, and stderr says %q", said)
	}
	for _, x := range plain.Findings {
		if slices.Contains([]string{"XA080", "XA081", "XA082"}, x.Rule) {
			t.Errorf("%+v is of a retired rule", x)
		}
	}
	for id, severity := range map[string]string{"XA080": "error", "XA081": "warning", "XA082": "info"} {
		for _, member := range []string{"", "hub", "west"} {
			want := ofMesh(plain.Findings, severity, member)
			flag := strings.TrimSuffix(id+"="+member, "=")
			got, note := checked("--ignore", flag)
			if !slices.Equal(got.Ignored, want) || len(got.Findings)+len(want) != len(plain.Findings) {
				t.Errorf("--ignore %s leaves out %v, want %v", flag, of(got.Ignored), of(want))
			}
			if len(want) == 0 {
				if !strings.HasPrefix(note, "note: --ignore "+flag+" leaves nothing out") {
					t.Errorf("--ignore %s says %q", flag, note)
				}
				continue
			}
			head, instead, ok := strings.Cut(strings.TrimSpace(note), "; pass instead: ")
			if !ok || !strings.HasPrefix(head, fmt.Sprintf("note: rule %s has become several rules", id)) {
				t.Fatalf("--ignore %s says %q", flag, note)
			}
			if again, note := checked(strings.Fields(instead)...); note != "" || !slices.Equal(again.Ignored, want) {
				t.Errorf("%s leaves out %v and says %q; want %v and nothing", instead, of(again.Ignored), note, of(want))
			}
		}
	}
}

func TestARuleIsIgnoredByItsNameToo(t *testing.T) {
	kubeconfig := lax(t)
	var reports []string
	for _, rule := range []string{"global-open", "XA194", "global-open=hub", "XA194=hub"} {
		r := xcpauth(t, kubeconfig, "check", "-o", "json", "--ignore", rule)
		var report checkReport
		if err := json.Unmarshal([]byte(r.out), &report); err != nil || r.err != "" {
			t.Fatalf("%v: %q", err, r.err)
		}
		reports = append(reports, strings.Join(of(report.Ignored), ","))
	}
	if want := "XA194 hub"; slices.ContainsFunc(reports, func(r string) bool { return r != want }) {
		t.Errorf("left out are %q, want %q of each", reports, want)
	}
}

// The shell offers every rule with what it is about.
func TestIgnoreIsCompletedWithTheRules(t *testing.T) {
	r := xcpauth(t, "", "__complete", "check", "--ignore", "")
	for _, rule := range checkRules() {
		for _, word := range []string{rule.ID, rule.Name} {
			if word != "" && !strings.Contains(r.out, word+"\t"+rule.Title+"\n") {
				t.Errorf("%s (%s) is not offered", word, rule.Title)
			}
		}
	}
}
