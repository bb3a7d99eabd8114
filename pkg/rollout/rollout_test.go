package rollout_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/rollout"
)

func members(n int) []*plan.Member {
	all := make([]*plan.Member, n)
	for i := range all {
		all[i] = &plan.Member{Identity: plan.Identity{Name: fmt.Sprintf("edge-%d", i+1), Role: plan.RoleEdge}}
	}
	return all
}

func step(m plan.Member) plan.Step { return plan.Step{Member: m.Name} }

func names(w plan.Wave) []string {
	var all []string
	for _, s := range w.Steps {
		all = append(all, s.Member)
	}
	return all
}

func TestTheFirstPhaseThatHasSomethingToDoIsNext(t *testing.T) {
	says := func(title string, any bool) func(int) (plan.Wave, bool) {
		return func(int) (plan.Wave, bool) { return plan.Wave{Title: title}, any }
	}
	for _, tc := range []struct {
		name   string
		phases []rollout.Phase[int]
		stage  plan.Stage
		want   string
	}{
		{"the first", []rollout.Phase[int]{{Wave: says("a", true)}, {Wave: says("b", true)}}, "", "a"},
		{"one with nothing to do is passed", []rollout.Phase[int]{{Wave: says("a", false)}, {Wave: says("b", true)}}, "",
			"b"},
		{"one of a later stage is passed", []rollout.Phase[int]{{Stage: plan.JWTOnly, Wave: says("a", true)},
			{Stage: plan.Edges, Wave: says("b", true)}}, plan.Edges, "b"},
		{"none has", []rollout.Phase[int]{{Wave: says("a", false)}}, "", ""},
	} {
		if got := rollout.Next(tc.phases, plan.Goal{Stage: tc.stage}, 0).Title; got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestACanaryIsTheOneThatIsNamedOrTheFirst(t *testing.T) {
	ready := members(3)
	var f plan.State
	for _, m := range ready {
		f.Members = append(f.Members, *m)
	}
	for _, tc := range []struct {
		canary string
		want   []string
		blocks int
	}{
		{"", []string{"edge-1"}, 1},
		{"edge-2", []string{"edge-2"}, 1},
		{"edge-9", nil, 2},
	} {
		w := rollout.Canary(f, "canary", ready, []plan.Obstacle{{Member: "x"}},
			plan.Goal{Pace: plan.Pace{Canary: tc.canary}}, step)
		if got := names(w); !slices.Equal(got, tc.want) || len(w.Obstacles) != tc.blocks {
			t.Errorf("canary %q: steps %v, obstacles %v", tc.canary, got, w.Obstacles)
		}
	}
}

func TestTheRestIsChangedInWavesOfTheSizeAskedFor(t *testing.T) {
	for _, tc := range []struct {
		ready, size, want int
		title             string
	}{
		{3, 0, 3, "the rest"}, {3, 2, 2, "2 of the remaining 3"}, {3, 3, 3, "the rest"}, {3, 9, 3, "the rest"},
	} {
		w := rollout.Rest(members(tc.ready), plan.Goal{Pace: plan.Pace{WaveSize: tc.size}}, step)
		if len(w.Steps) != tc.want || w.Title != tc.title {
			t.Errorf("%d ready, waves of %d: %d steps, %q", tc.ready, tc.size, len(w.Steps), w.Title)
		}
	}
}

// What was not seen may hold a member: it blocks, and never counts as none.
func TestWhatWasNotSeenIsAnObstacle(t *testing.T) {
	f := plan.State{Others: []plan.OtherContext{{Context: "a", State: "unreachable", Why: "no answer"},
		{Context: "b", State: "nothing"}}}
	f.Hub.InventoryErr = "forbidden"
	want := []plan.Obstacle{{Member: "context a",
		Why: "no answer; it may hold an edge: reach it, or leave it out with --contexts"},
		{Member: "hub", Why: "forbidden"}}
	if got := rollout.Unseen(f, "an edge"); !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}
