package plan

import (
	"testing"
)

// A hub whose rollout is paused blocks the waves that its own pods would have to follow, and no other: a zone of the
// same cluster may have a Deployment of the same name in another namespace.
func TestAPausedRolloutBlocksWhatNeedsItsPods(t *testing.T) {
	hub := Ref{Kind: "Deployment", Namespace: "global", Name: "control-plane"}
	named := func(kind, namespace, name string) Ref { return Ref{Kind: kind, Namespace: namespace, Name: name} }
	for _, tc := range []struct {
		what    string
		context string
		object  Ref
		want    bool
	}{
		{"the hub", "hub", hub, true},
		{"the Deployment of the hub's server", "hub", named("Deployment", "global", "server"), true},
		{"a secret of the hub", "hub", named("Secret", "global", "control-plane"), false},
		{"a zone of the same name in the hub's cluster", "hub", named("Deployment", "zone", "control-plane"), false},
		{"a Deployment of the server's name elsewhere", "hub", named("Deployment", "zone", "server"), false},
		{"a zone of the same name in another cluster", "zone", hub, false},
	} {
		f := State{Hub: Hub{HubIdentity: HubIdentity{Context: "hub", Object: hub},
			HubRunning: HubRunning{Workload: Workload{Found: true, Paused: true}}}}
		w := Wave{Title: "the rest", Steps: []Step{{ID: "s", Writes: []Write{{Context: tc.context, Object: tc.object}}}}}
		if got := f.HoldWhilePaused(w, "server"); (len(got.Steps) == 0) != tc.want || (len(got.Obstacles) > 0) != tc.want {
			t.Errorf("%s: %+v, want it blocked: %v", tc.what, got, tc.want)
		}
		if f.Hub.Workload.Paused = false; len(f.HoldWhilePaused(w, "server").Steps) != 1 {
			t.Errorf("%s: blocked by a rollout that is not paused", tc.what)
		}
	}
}
