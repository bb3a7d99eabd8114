package migration

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbfleet"
)

// Declared is not verified: of a hub that declares JWT alone, and of edges that declare a JWT, nothing is done that
// is not seen to run. A dump of a live installation, applied where nothing runs, says all of it.
func TestWhatIsDeclaredAndNotSeenIsNamed(t *testing.T) {
	const on, off = guard.Yes, guard.No
	done := func() plan.State {
		return tsbfleet.Fleet(off, on, tsbfleet.Edge("edge-1", state.JWT), tsbfleet.Verified(tsbfleet.Edge("edge-2",
			state.JWT)), tsbfleet.Mpc(state.JWT))
	}
	member := func(change func(*plan.Member)) func(*plan.State) {
		return func(f *plan.State) { change(&f.Members[0]) }
	}
	for _, tc := range []struct {
		name   string
		change func(*plan.State)
		want   string // who is named
		says   string
	}{
		{"all is seen", func(*plan.State) {}, "", ""},
		{"Central is not there", func(f *plan.State) { f.Hub.Workload.Found = false }, "!hub",
			"Deployment tsb/central is not found"},
		{"Central is not known", func(f *plan.State) { f.Hub.Workload.Err = "forbidden (403)" }, "!hub", "forbidden (403)"},
		{"Central is scaled to 0", func(f *plan.State) { f.Hub.Workload.Replicas = 0 }, "!hub", "is scaled to 0"},
		{"an edge's Deployment is not there",
			member(func(m *plan.Member) { m.Workload = plan.Workload{}; m.Evidence.Presents = nil }), "!edge-1",
			"Deployment istio-system/edge is not found"},
		{"an edge is scaled to 0", member(func(m *plan.Member) { m.Workload.Replicas = 0 }), "!edge-1", "is scaled to 0"},
		{"an edge has no pods", member(func(m *plan.Member) { m.Workload.Settled = false }), "!edge-1", "has no pods"},
		{"what an edge presents is not known", member(func(m *plan.Member) {
			m.Evidence.Presents, m.Evidence.Why = nil,
				"pod x mounts neither"
		}), "!edge-1", "pod x mounts neither"},
		{"an edge has no token", member(func(m *plan.Member) {
			m.Credential = plan.Credential{State: plan.CredentialMissing,
				Why: "no token"}
		}), "!edge-1", "no token"},
		{"an edge's token could not be read",
			member(func(m *plan.Member) { m.Credential = plan.Credential{Why: "not read"} }), "!edge-1", "not read"},
		{"an edge's token is made again", member(func(m *plan.Member) { m.Credential.State = plan.CredentialMintable }), "",
			""},
		{"nothing runs anywhere", func(f *plan.State) {
			f.Hub.Workload.Found = false
			f.Members[0].Workload, f.Members[0].Evidence.Presents = plan.Workload{}, nil
		}, "!hub !edge-1", "is not found"},
	} {
		f := tsbfleet.Changed(done(), tc.change)
		w := nextWave(f, plan.Goal{To: state.JWT})
		if got := tsbfleet.Said(w); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
		if tc.says != "" && !slices.ContainsFunc(w.Obstacles, func(b plan.Obstacle) bool {
			return strings.Contains(b.Why,
				tc.says)
		}) {
			t.Errorf("%s: %v, want %q in it", tc.name, w.Obstacles, tc.says)
		}
	}
}

// A rollback is not done while the hub refuses the certificate that an edge presents, no matter who set that edge to
// it.
func TestARollbackAcceptsTheCertificatesOfEdgesThatAreRefused(t *testing.T) {
	const on, off, unknown = guard.Yes, guard.No, guard.Unknown
	for _, tc := range []struct {
		name  string
		facts plan.State
		only  string
		want  string
	}{
		{"an edge is on mutual TLS, and the hub accepts JWT alone", tsbfleet.Fleet(off, on,
			tsbfleet.Edge("edge-1", state.MTLS)), "", "open"},
		{"the same, of one that a migration moved and somebody set back", tsbfleet.Fleet(off, on,
			tsbfleet.With(tsbfleet.Edge("edge-1", state.MTLS), moved)), "", "open"},
		{"the hub does not say that it accepts certificates", tsbfleet.Fleet(unknown, on,
			tsbfleet.Edge("edge-1", state.MTLS)), "", "open"},
		{"an old pod of it presents one", tsbfleet.Fleet(off, on, tsbfleet.With(tsbfleet.Edge("edge-1", state.JWT),
			func(m *plan.Member) { m.Evidence.Presents = []guard.Cred{state.JWT, state.MTLS} })), "", "open"},
		{"it is the one that is named", tsbfleet.Fleet(off, on, tsbfleet.Edge("edge-1", state.MTLS),
			tsbfleet.Edge("edge-2", state.JWT)), "edge-1", "open"},
		{"it is not the one that is named", tsbfleet.Fleet(off, on, tsbfleet.Edge("edge-1", state.MTLS),
			tsbfleet.Edge("edge-2", state.MTLS)), "edge-3", "!edge-3"},
		{"the hub accepts both", tsbfleet.Fleet(on, on, tsbfleet.Edge("edge-1", state.MTLS)), "", ""},
		{"no edge presents one", tsbfleet.Fleet(off, on, tsbfleet.Edge("edge-1", state.JWT)), "", ""},
	} {
		w := nextWave(tc.facts, plan.Goal{RollbackTask: plan.RollbackTask{Back: true, Only: tc.only}, To: state.MTLS,
			Pace: plan.Pace{Within: time.Minute}})
		if got := tsbfleet.Said(w); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
		for _, s := range w.Steps {
			if s.Kind == "open" && !slices.ContainsFunc(s.Conditions,
				func(c plan.Condition) bool { return c.Member == "edge-1" && c.Kind == "pushes" }) {
				t.Errorf("%s: nothing shows that the edge connects: %+v", tc.name, s.Conditions)
			}
		}
	}
}

// A hub's team that reaches no edge can have the hub accept certificates again, where a migration ended that.
func TestAHubAcceptsCertificatesAgainWithoutReachingAnEdge(t *testing.T) {
	away := plan.Member{Identity: plan.Identity{Name: "eu", ClusterName: "eu", Role: plan.RoleEdge,
		Err: "no selected context reaches it"}, Registration: plan.Registration{Registered: true}}
	was := func(stanza map[string]any) map[string]any {
		return nest(map[string]any{"centralAuthModes": stanza}, "spec", "components", "xcp")
	}
	for _, tc := range []struct {
		name     string
		original map[string]any // what the journal keeps of the hub; nil when it keeps nothing
		mtls     guard.Tri
		only     string
		past     []string // the steps of the waves before
		want     string
	}{
		{"a migration ended it", was(map[string]any{"mutualTls": true}), guard.No, "", []string{"open", "close"}, "open !eu"},
		{"nothing was set before", was(nil), guard.No, "", nil, "open !eu"},
		{"it was so before", was(map[string]any{"mutualTls": false, "jwt": true}), guard.No, "", nil, "!eu"},
		{"no migration is known", nil, guard.No, "", nil, "!eu"},
		{"it accepts them", was(map[string]any{"mutualTls": true}), guard.Yes, "", nil, "!eu"},
		{"one edge alone is to go back", was(map[string]any{"mutualTls": true}), guard.No, "eu", nil, "!eu"},
		{"a clean-up has ended the way back", was(nil), guard.No, "", []string{"open", "close", "clean/mpc", "renew/eu"},
			"!eu"},
		{"it was opened since, and closed again", was(nil), guard.No, "", []string{"clean/mpc", "open", "close"}, "open !eu"},
	} {
		f := tsbfleet.Fleet(tc.mtls, guard.Yes, away)
		f.Hub.Object.UID = "u"
		for _, id := range tc.past {
			f.Hub.History = append(f.Hub.History, plan.WaveRecord{Steps: []string{id}})
		}
		if tc.original != nil {
			f.Hub.Originals = map[string]map[string]any{"u": tc.original}
		}
		if got := tsbfleet.Said(nextWave(f, plan.Goal{RollbackTask: plan.RollbackTask{Back: true, Only: tc.only},
			To: state.MTLS, Pace: plan.Pace{Within: time.Minute}})); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
}
