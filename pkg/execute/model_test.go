package execute

import (
	"context"
	"flag"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb"
)

var (
	modelRuns = flag.Int("model.runs", 2000, "how many random fleets the model runs through")
	modelSeed = flag.Uint64("model.seed", 1, "the first seed; each run takes the next")
)

// migrateOnce runs the real executor on a world until it ends, dies at a write, or is interrupted.
func migrateOnce(w *world) (r Result, died bool) {
	defer func() {
		if p := recover(); p != nil {
			if _, ok := p.(killed); !ok {
				panic(p)
			}
			died = true
		}
	}()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w.cancel = cancel
	e := &Executor{Clusters: w, Dialect: tsb.Dialect(), Goal: plan.Goal{To: tsb.JWT, Within: 4 * time.Minute}, Source: "model", Poll: time.Second, PutBackWithin: time.Minute,
		Report: func(ev Event) { w.note("%s: %s", ev.Member, ev.Text) }, oneByOne: true}
	return e.Migrate(ctx), false
}

// The promise, for random fleets with every switch of the product, operators that lag, people who edit, networks that fail,
// and a process that dies before or after any of its writes: nobody is ever refused for a mode, and the next run restores
// what was in flight before anything else. And it converges: what can be migrated is.
func TestThePromiseHoldsWhoeverInterrupts(t *testing.T) {
	reached := 0
	for i := range *modelRuns {
		seed := *modelSeed + uint64(i)
		w := newWorld(seed)
		for range w.IntN(4) {
			w.writes, w.pauses, w.killAt, w.cancelAt = 0, 0, 0, 0
			switch w.IntN(3) {
			case 0:
				w.killAt = 1 + w.IntN(20)
			case 1:
				w.killAt = -(1 + w.IntN(20))
			case 2:
				w.cancelAt = 1 + w.IntN(30)
			}
			_, died := migrateOnce(w)
			w.note("-- the run ended (died: %v)", died)
			for range w.IntN(20) {
				w.tick()
			}
		}
		w.killAt, w.cancelAt, w.flippers = 0, 0, false
		var last Result
		for range 12 {
			for _, e := range w.edges {
				e.reachable = true
			}
			if last, _ = migrateOnce(w); last.Done {
				break
			}
		}
		fail := func(format string, args ...any) {
			t.Fatalf("seed %d (%+v): "+format+"\n%s", append(append([]any{seed, w.switches}, args...), strings.Join(w.log[max(0, len(w.log)-60):], "\n"))...)
		}
		if len(w.refused) > 0 {
			fail("the promise is broken: %s", w.refused[0])
		}
		hopeless := w.mpcPrefersMTLS || slices.Contains(slices.Collect(maps.Values(w.stuck)), true)
		if !hopeless && !last.Done {
			fail("not reached: %+v", last.Outcomes)
		}
		if last.Done {
			reached++
			if w.hub != (accepts{jwt: true}) {
				fail("done, and the hub accepts %+v", w.hub)
			}
			for _, e := range w.edges {
				if e.declared != tsb.JWT {
					fail("done, and %s is set to %s", e.name, e.declared)
				}
			}
		}
		if last.Done && w.journal != nil {
			fail("a run that ended left a wave in flight: %+v", w.journal)
		}
	}
	t.Logf("%d of %d fleets reached the goal; the others have an edge that cannot connect, or an MPC that stays on mTLS", reached, *modelRuns)
	if reached < *modelRuns/3 {
		t.Errorf("too few fleets reached the goal for this to show anything")
	}
}
