package engine

import (
	"context"
	"errors"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// farAway is a world in which an edge that was set to JWT cannot be written any more.
type farAway struct {
	Clusters
	edge string
}

func (f farAway) Write(ctx context.Context, p plan.Write, still func() error) (bool, error) {
	if p.Context == f.edge && p.Object.Kind == "ControlPlane" && modeOf(p.After) != "JWT" {
		return false, errors.New("the API server did not answer in time")
	}
	return f.Clusters.Write(ctx, p, still)
}

func modeOf(after map[string]any) any {
	for _, key := range []string{"spec", "components", "xcp"} {
		after, _ = after[key].(map[string]any)
	}
	return after["centralAuthMode"]
}

// What could be neither verified nor put back stays written down until the next run restores it: no other wave is begun
// over it, however many members may fail.
func TestNothingIsBegunOverWhatCouldNotBePutBack(t *testing.T) {
	seen := 0
	for seed := range uint64(60) {
		w := newWorld(seed + 1)
		if len(w.edges) < 3 {
			continue
		}
		w.strangers, w.flippers, w.mpcPrefersMTLS, w.noHotReload, w.newCA, w.unnamed = false, false, false,
			false, false, false
		w.cert.named = true
		w.stuck = map[string]bool{"edge-2": true}
		runOnce(w, plan.Goal{Pace: plan.Pace{WaveSize: 1}}, func(e *Executor) {
			e.Clusters,
				e.MaxFailures = farAway{e.Clusters, "edge-2"}, 9
		})
		if w.edges["edge-2"].declared != "jwt" {
			continue // an edge was out of reach, and the run ended before it
		}
		seen++
		if in := w.homes["hub"].InFlight; in == nil || len(in.Steps) != 1 || in.Steps[0].ID != "move/edge-2" {
			t.Fatalf("seed %d: in flight is %+v", seed+1, in)
		}
	}
	if seen < 5 {
		t.Errorf("it came to that %d times, so this shows nothing", seen)
	}
}
