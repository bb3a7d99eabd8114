package apply_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/apply"
	"github.com/xcpauth/kubectl-xcpauth/pkg/observe"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
	"github.com/xcpauth/kubectl-xcpauth/test/bed"
)

// live is the contexts of a kubeconfig with one for each server.
func live(t *testing.T, servers map[string]*apifake.Server) *apply.Live {
	t.Helper()
	f, d := bed.Fleet(t, servers), tsb.Provider()
	return &apply.Live{Fleet: f, Provider: d, Where: plan.Selection{Hub: "hub"}, Observer: &observe.Observer{Fleet: f,
		Reads: d.Reads, RequestTimeout: 5 * time.Second, MemberTimeout: 10 * time.Second, Limit: 8, Now: time.Now}}
}

// Contexts of one cluster are looked at together, by whichever of them a run asks for it, and also when that one has
// failed: what another saw of the cluster some time before says nothing of what it is now.
func TestContextsOfOneClusterAreLookedAtTogether(t *testing.T) {
	hub, eu, road := apifake.Start(apifake.Hub("eu")...), apifake.Start(apifake.Edge("eu")...),
		apifake.Start(apifake.Edge("eu")...) // another way to the same cluster
	other := apifake.Start(apifake.Edge("us")...)
	for _, s := range []*apifake.Server{hub, eu, road, other} {
		t.Cleanup(s.Close)
	}
	l := live(t, map[string]*apifake.Server{"hub": hub, "eu": eu, "eu-again": eu, "road": road, "us": other})
	looks := func(s *apifake.Server) (n int) {
		for _, r := range s.Requests() {
			if r == "GET /api/v1/namespaces/kube-system" {
				n++
			}
		}
		return n
	}
	for _, step := range []struct {
		name            string
		fails           bool
		at              []string
		eu, road, other int
		tells           string
	}{
		{"at everything", false, nil, 2, 1, 1, "eu"},
		{"at one of its contexts", false, []string{"eu"}, 2, 1, 0, "eu"},
		{"at another one", false, []string{"road", "hub"}, 2, 1, 0, "eu"},
		{"at the hub", false, []string{"hub"}, 0, 0, 0, "eu"},
		{"at a context that fails", true, []string{"eu"}, 2, 1, 0, "road"},
		{"at a context that has failed before", true, []string{"eu"}, 2, 1, 0, "road"},
	} {
		eu.Answer = nil
		if step.fails {
			eu.Answer = func(w http.ResponseWriter, _ *http.Request) bool {
				apifake.Status(w, http.StatusForbidden, "Forbidden", "no more")
				return true
			}
		}
		was := []int{looks(eu), looks(road), looks(other)}
		state := l.Observe(t.Context(), step.at...)
		if e, r, o := looks(eu)-was[0], looks(road)-was[1], looks(other)-was[2]; e != step.eu || r != step.road ||
			o != step.other {
			t.Errorf("a look %s: %d looks by its address, %d by the other, %d at another cluster; want %d, %d, %d",
				step.name, e, r, o, step.eu, step.road, step.other)
		}
		if m := state.Member("eu"); m == nil || m.Context != step.tells {
			t.Errorf("a look %s: told by %+v, want %s", step.name, m, step.tells)
		}
	}
}
