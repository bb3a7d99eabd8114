package engine

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// blinking is a mesh within reach, of which all zones have just lost their sessions when authentication is about to
// be turned on: the global's pods are being replaced, say, by the run that put back what another had begun.
type blinking struct {
	*mesh
	times int // how often that is to happen
	now   bool
	tried int // how often it did
}

func (b *blinking) WriteJournal(ctx context.Context, home string, j Journal) error {
	if b.now = j.InFlight != nil && j.InFlight.Wave == "authentication on" && b.tried < b.times; b.now {
		b.tried++
	}
	return b.mesh.WriteJournal(ctx, home, j)
}

func (b *blinking) Glance(ctx context.Context, moves map[string]func(plan.Read) bool) plan.State {
	return b.Observe(ctx, contextsIn(moves)...)
}

func (b *blinking) Observe(ctx context.Context, contexts ...string) plan.State {
	for _, z := range b.zones {
		z.reachable = true
	}
	f := b.mesh.Observe(ctx, contexts...)
	if b.now {
		cut := map[string][]plan.Session{}
		for zone, all := range f.Hub.Sessions { // the model keeps what was made of an object that is not changed
			cut[zone] = slices.Clone(all)
			cut[zone][len(all)-1].Ended = f.At.Add(-time.Second)
		}
		f.Hub.Sessions = cut
		b.now = false
	}
	return f
}

// A run that finds something else to be done before it withdraws anything does that first, and does not end; but not
// for ever.
func TestARunGoesOnWhereSomethingElseComesFirst(t *testing.T) {
	for times, reached := range map[int]bool{0: true, 1: true, supersededAtMost: true, supersededAtMost + 1: false} {
		w := newMesh(7)
		w.strangers, w.stuck = false, map[string]bool{}
		b := &blinking{mesh: w, times: times}
		r, _ := w.run(plan.Goal{}, func(e *Executor) { e.Clusters, e.MaxFailures = b, 0 })
		if r.Done != reached || r.Err != nil {
			t.Errorf("overtaken %d times: done: %v, %v, %+v\n%s", times, r.Done, r.Err, r.Outcomes, strings.Join(w.log, "\n"))
		}
		if on := authenticates(&meshPod{env: w.global.env}); on != reached || w.home.InFlight != nil {
			t.Errorf("overtaken %d times: the global authenticates: %v, in flight: %+v", times, on, w.home.InFlight)
		}
		if b.tried != times {
			t.Errorf("it was overtaken %d times, want %d", b.tried, times)
		}
	}
}
