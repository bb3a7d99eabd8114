package engine

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb"
)

// A plan is predicted on one state that changes wave by wave. No later wave changes what an earlier one says, nor the
// state that the plan was made from: a second plan from that state is the same.
func TestAPredictionChangesNothingBefore(t *testing.T) {
	waves := 0
	check := func(d plan.Provider, f plan.State, goal plan.Goal) {
		var told []string
		next := d.Next
		d.Next = func(f plan.State, g plan.Goal) plan.Wave {
			w := next(f, g)
			told = append(told, said(t, w))
			return w
		}
		first := plan.Build(d, f, goal)
		again := plan.Build(d, f, goal)
		if len(first.Waves) != len(again.Waves) {
			t.Fatalf("%d waves, then %d", len(first.Waves), len(again.Waves))
		}
		for i, w := range slices.Concat(first.Waves, again.Waves) {
			asked := i % len(first.Waves)
			if diff := cmp.Diff(told[asked], said(t, w)); diff != "" {
				t.Fatalf("wave %d (-when it was planned +later):\n%s", asked, diff)
			}
		}
		waves += len(first.Waves)
	}
	for seed := range uint64(200) {
		w := newWorld(seed + 1)
		check(tsb.Provider(), w.Observe(t.Context()), toJWT(plan.Goal{}))
		m := newMesh(seed + 1)
		check(kongmesh.Provider(), m.Observe(t.Context()), plan.Goal{})
		check(kongmesh.Provider(), m.Observe(t.Context()), plan.Goal{RotationTask: plan.RotationTask{Rotate: true}})
	}
	if waves < 1500 {
		t.Errorf("only %d waves: this shows too little", waves)
	}
}

// said is all that a wave says.
func said(t *testing.T, w plan.Wave) string {
	t.Helper()
	all := []any{w.Title, w.Obstacles, w.Notes}
	for _, s := range w.Steps {
		all = append(all, s.ID, s.Title, s.Why, s.WayBack, s.Writes, s.Undo, s.Accepts, s.Withdraws, s.ByHand)
		for _, c := range s.Conditions {
			all = append(all, c.Kind, c.Member, c.Text)
		}
	}
	b, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
