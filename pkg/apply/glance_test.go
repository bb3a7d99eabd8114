package apply_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// A glance reads again what moves, and nothing else, by every context of the cluster. After a read that failed, all is
// read.
func TestAGlanceReadsWhatMovesAlone(t *testing.T) {
	hub, eu := apifake.Start(apifake.Hub("eu")...), apifake.Start(apifake.Edge("eu")...)
	for _, s := range []*apifake.Server{hub, eu} {
		t.Cleanup(s.Close)
	}
	l := live(t, map[string]*apifake.Server{"hub": hub, "eu": eu, "eu-again": eu})
	requests := func(s *apifake.Server, look func()) (kinds []string) {
		before := len(s.Requests())
		look()
		for _, r := range s.Requests()[before:] {
			r, _, _ = strings.Cut(r, "?")
			kinds = append(kinds, r[strings.LastIndex(r, "/")+1:])
		}
		slices.Sort(kinds)
		return kinds
	}
	glance := func(moves func(plan.Read) bool) func() {
		return func() { l.Glance(t.Context(), map[string]func(plan.Read) bool{"eu": moves}) }
	}
	fails := func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/pods") {
			return false
		}
		apifake.Status(w, http.StatusBadRequest, "BadRequest", "not now")
		return true
	}
	all := requests(eu, func() { l.Observe(t.Context()) })
	rollouts := []string{"edge", "edge", "pods", "pods"}
	for _, step := range []struct {
		name  string
		fails bool
		moves func(plan.Read) bool
		want  []string
	}{
		{"the rollout", false, state.Rollouts, rollouts},
		{"the modes", false, state.Modes, []string{"edgexcps", "edgexcps"}},
		{"the token", false, state.Token, []string{state.SecretToken, state.SecretToken}},
		{"what time alone changes", false, func(plan.Read) bool { return false }, nil},
		{"one of which a read fails", true, state.Rollouts, rollouts},
		{"the one after that", false, state.Rollouts, all},
		{"the one after a whole one", false, state.Rollouts, rollouts},
		{"all of it", false, nil, all},
	} {
		eu.Answer = nil
		if step.fails {
			eu.Answer = fails
		}
		var at []string
		hubs := requests(hub, func() { at = requests(eu, glance(step.moves)) })
		if !slices.Equal(at, step.want) || len(hubs) > 0 {
			t.Errorf("a glance at %s reads %v, and of the hub %v; want %v", step.name, at, hubs, step.want)
		}
	}
	if m := l.Observe(t.Context(), "hub").Member("eu"); m == nil || m.Err != "" || m.Declared == "" {
		t.Errorf("what the glances left out is lost: %+v", m)
	}
}
