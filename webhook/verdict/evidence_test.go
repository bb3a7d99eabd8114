package verdict

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
	"github.com/xcpauth/kubectl-xcpauth/test/cases"
)

// An admitted withdrawal names each member that it rested on: who published what was known of it, when that was seen,
// and whether a fence, its pods or a read of its cluster vouched for it.
func TestAnAdmittedWithdrawalNamesWhatItRestedOn(t *testing.T) {
	fenced := entry("eu-2", "uid-2", "jwt")
	seen := metav1.NewTime(noon.Add(-time.Hour))
	until := metav1.NewTime(noon.Add(time.Hour))
	fenced.Status.ObservedTime, fenced.Status.ValidUntil = &seen, &until
	fenced.Status.Fence, fenced.Status.Source = &api.FenceStatus{UID: "b/p", ProvenTime: seen}, ""
	live := entry("eu-3", "uid-3")
	live.Spec.Evidence = api.EvidenceLive
	inv := Inventory{Roster: []api.EdgeCluster{live, entry("eu-1", "uid-1", "jwt"), fenced},
		Live: map[string]Reading{"eu-3": {Presents: []guard.Cred{state.JWT}, At: noon, Until: noon.Add(time.Second)}}}
	v := decide(t, update(both, jwtOnly), inv)
	want := []Evidence{{"eu-2", "(not said)", ByFence, noon.Add(-time.Hour)}, {"eu-1", "ci@eu", ByPods,
		noon.Add(-time.Minute)}, {"eu-3", "xcpauth-webhook", ByLive, noon}}
	if !v.Allowed || fmt.Sprint(v.Evidence) != fmt.Sprint(want) || v.Summary != "stop accepting mtls" {
		t.Fatalf("%q: %v, want %v", v.Summary, v.Evidence, want)
	}
	const text = "it rested on 1 member by live (the oldest seen 2026-01-02T12:00:00Z), 1 member by fence (the oldest seen 2026-01-02T11:00:00Z), " +
		"1 member by pods (the oldest seen 2026-01-02T11:59:00Z): eu-2 from (not said), fence, seen 2026-01-02T11:00:00Z; " +
		"eu-1 from ci@eu, pods, seen 2026-01-02T11:59:00Z; eu-3 from xcpauth-webhook, live, seen 2026-01-02T12:00:00Z"
	if got := Rests(v.Evidence, 1000); got != text {
		t.Errorf("%s", got)
	}
	for limit := 300; limit < 1000; limit += 50 {
		var many []Evidence
		for i := range 1000 {
			many = append(many, Evidence{strings.Repeat("m", i%200), strings.Repeat("s", i%300), ByPods, noon})
		}
		if got := Rests(many, limit); len(got) > limit || !strings.Contains(got, " more") {
			t.Errorf("%d bytes of at most %d: %s", len(got), limit, got)
		}
	}
}

// What was not admitted for what is known of members rested on nothing.
func TestNothingElseRestsOnEvidence(t *testing.T) {
	for name, v := range map[string]Verdict{
		"a denial":             decide(t, update(both, jwtOnly), fleet(cases.OnMTLS)),
		"nothing is withdrawn": decide(t, update(both, both), fleet(cases.OnMTLS)),
		"nobody is known":      decide(t, update(both, jwtOnly), Inventory{}),
	} {
		if v.Evidence != nil {
			t.Errorf("%s: %v", name, v.Evidence)
		}
	}
}
