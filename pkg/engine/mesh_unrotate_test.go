package engine

import (
	"slices"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// A rotation of which the older key is still there is taken back to the very tokens that zones presented before, and
// its key is gone; once that is done nothing is left to do. A zone whose token of the key before is gone is not
// touched, unless that key is to sign another.
func TestARotationIsTakenBack(t *testing.T) {
	for name, lost := range map[string]bool{"as it was": false, "a token is gone": true} {
		t.Run(name, func(t *testing.T) {
			var w *mesh
			for seed := uint64(0); w == nil || w.keyless || w.away != "" || w.hopeless() || w.strangers || w.hadTokens; seed++ {
				w = newMesh(seed)
			}
			do := func(g plan.Goal) Result {
				r, _ := w.run(g, func(e *Executor) { e.Clusters = &blinking{mesh: w} }) // with everybody within reach
				return r
			}
			if r := do(plan.Goal{}); !r.Done {
				t.Fatalf("%v, %+v", r.Err, r.Outcomes)
			}
			before := w.presented()
			if r := do(plan.Goal{RotationTask: plan.RotationTask{Rotate: true}, Stage: plan.Edges}); !r.Done ||
				len(w.keys) != 2 || slices.Equal(w.presented(), before) {
				t.Fatalf("%v, %+v", r.Err, r.Outcomes)
			}
			first := w.names()[0]
			if lost {
				delete(w.zones[first].secrets, "xcpauth-zone-token-"+first+"-1")
				r := do(plan.Goal{RollbackTask: plan.RollbackTask{Back: true}, RotationTask: plan.RotationTask{Rotate: true}})
				if r.Done || len(w.keys) != 2 || !slices.ContainsFunc(r.Outcomes, func(o Outcome) bool {
					return o.Member == first && o.State == Refused && strings.Contains(o.Why,
						"no token of key 1 that the global accepts, for a day at least, is next to it; pass --tokens-from=key")
				}) {
					t.Fatalf("%v, %+v", r.Err, r.Outcomes)
				}
			}
			r := do(plan.Goal{RollbackTask: plan.RollbackTask{Back: true}, RotationTask: plan.RotationTask{Rotate: true},
				Sources: plan.Sources{FromKey: lost}})
			if !r.Done || len(w.keys) != 1 || w.keys[zonetoken.KeyName("1")] == nil || len(w.refused) > 0 {
				t.Fatalf("%v, %+v, keys %v, refused %v\n%s", r.Err, r.Outcomes, len(w.keys), w.refused, strings.Join(w.log, "\n"))
			}
			if now := w.presented(); slices.Equal(now, before) == lost {
				t.Errorf("zones present %v, before %v", now, before)
			}
			w.writes = 0
			if r := do(plan.Goal{RollbackTask: plan.RollbackTask{Back: true},
				RotationTask: plan.RotationTask{Rotate: true}}); !r.Done || w.writes > 0 {
				t.Errorf("once more: done %v, %d writes, %v", r.Done, w.writes, r.Err)
			}
			if why := w.migrated(false); why != "" {
				t.Error(why)
			}
		})
	}
}

// Of three keys the newest alone is taken back: the run ends there, and says so the next time about the one before.
func TestOneRotationIsTakenBackAtATime(t *testing.T) {
	var w *mesh
	for seed := uint64(0); w == nil || w.keyless || w.away != "" || w.hopeless() || w.strangers || w.hadTokens; seed++ {
		w = newMesh(seed)
	}
	do := func(g plan.Goal) Result {
		r, _ := w.run(g, func(e *Executor) { e.Clusters = &blinking{mesh: w} })
		return r
	}
	for _, g := range []plan.Goal{{}, {RotationTask: plan.RotationTask{Rotate: true}, Stage: plan.Edges}} {
		if r := do(g); !r.Done {
			t.Fatalf("%v, %+v", r.Err, r.Outcomes)
		}
	}
	second := w.presented()
	w.addKey(zonetoken.KeyName("3"))
	if r := do(plan.Goal{RotationTask: plan.RotationTask{Rotate: true},
		Stage: plan.Edges}); !r.Done || slices.Equal(w.presented(), second) {
		t.Fatalf("%v, %+v", r.Err, r.Outcomes)
	}
	r := do(plan.Goal{RollbackTask: plan.RollbackTask{Back: true}, RotationTask: plan.RotationTask{Rotate: true}})
	if !r.Done || len(w.keys) != 2 || w.keys[zonetoken.KeyName("3")] != nil || !slices.Equal(w.presented(), second) ||
		len(w.refused) > 0 {
		t.Errorf("done: %v, %v, %+v, %d keys, refused %v\n%s", r.Done, r.Err, r.Outcomes, len(w.keys), w.refused,
			strings.Join(w.log[max(0, len(w.log)-30):], "\n"))
	}
}
