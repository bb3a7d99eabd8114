package engine

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

var (
	modelRuns = flag.Int("model.runs", 2000, "how many random fleets, and meshes, the models run through")
	modelLog  = flag.Int("model.log", 80, "how many lines of the story of a failure are shown")
	modelSeed = flag.Uint64("model.seed", 1, "the first seed; each run takes the next")
)

// mutation changes what a run is built of, to see that the model notices.
type mutation func(*Executor)

// runOnce runs the real executor on a world until it ends, dies at a write, or is interrupted.
func runOnce(w *world, goal plan.Goal, mutate mutation) (r Result, died bool) {
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
	w.cancel, w.noHub, w.seen.members = cancel, goal.NoHub, nil
	goal.To, goal.Within, goal.FenceFor = state.JWT, 2*time.Minute, time.Duration(w.IntN(10))*time.Second
	goal.NoFence = w.chance(6)
	e := &Executor{Clusters: w, Provider: tsb.Provider(), Goal: goal, Source: "model", Poll: time.Second,
		UndoWithin: time.Minute, MaxFailures: w.IntN(2),
		Report: func(ev Event) { w.note("%s: %s", ev.Member, ev.Text) }, oneByOne: true}
	if mutate != nil {
		mutate(e)
	}
	return e.Migrate(ctx), false
}

// someGoal is a goal that somebody might have on the way.
func (w *world) someGoal() plan.Goal {
	g := plan.Goal{Pace: plan.Pace{WaveSize: w.IntN(3), HastyCanary: w.chance(3)},
		Stage: plan.Stages[w.IntN(len(plan.Stages))]}
	switch w.IntN(6) {
	case 0:
		g = plan.Goal{Stage: plan.Edges, NoHub: true, Pace: plan.Pace{HastyCanary: w.chance(2)}}
	case 1:
		g = plan.Goal{RollbackTask: plan.RollbackTask{Back: true}, Pace: plan.Pace{WaveSize: w.IntN(2)}}
	case 2 + w.fenced():
		g = plan.Goal{Stage: plan.Edges, NoHub: true,
			RollbackTask: plan.RollbackTask{Back: true}} // the hub's team has not agreed
	case 2:
		g = plan.Goal{RollbackTask: plan.RollbackTask{Back: true, Only: w.names()[w.IntN(len(w.edges))]}}
	}
	if w.chance(4) {
		g.Soak = time.Duration(w.IntN(20)) * time.Second
	}
	if w.chance(4) && slices.ContainsFunc(slices.Collect(maps.Values(w.edges)),
		func(e *fleetMember) bool { return e.declared == state.JWT }) {
		return w.someRenewal()
	}
	return g
}

// fenced is 1 when every edge has a fence: what is stated of one without is believed for 15 minutes, whatever its
// team does meanwhile.
func (w *world) fenced() int {
	for _, e := range w.edges {
		if e.fence == 0 {
			return 99
		}
	}
	return 1
}

// interrupt makes the next run end early: before or after one of its writes, or by Ctrl-C.
func (w *world) interrupt() {
	w.writes, w.passed, w.killAt, w.cancelAt = 0, 0, 0, 0
	switch w.IntN(3) {
	case 0:
		w.killAt = 1 + w.IntN(25)
	case 1:
		w.killAt = -(1 + w.IntN(25))
	case 2:
		w.cancelAt = 1 + w.IntN(120)
	}
}

// story lets runs with random goals be interrupted again and again, then runs with the last goal until it is reached;
// and may have tokens made again after that.
func (w *world) story(last plan.Goal, mutate mutation) (r Result) {
	for range w.IntN(4) {
		w.interrupted(w.someGoal(), mutate)
	}
	if r = w.arrive(last, mutate); r.Done && w.chance(2) {
		w.renew(mutate)
	}
	return r
}

// interrupted lets a run with a goal be interrupted, or not, and time pass after it.
func (w *world) interrupted(goal plan.Goal, mutate mutation) {
	w.interrupt()
	if w.chance(4) {
		w.mayNot = w.names()[w.IntN(len(w.edges))]
	}
	due := w.due(goal)
	r, died := runOnce(w, goal, mutate)
	w.mayNot = ""
	w.note("-- the run to %+v ended (done: %v, died: %v)", goal, r.Done, died)
	if why := w.renewed(due); why != "" && goal.Renew != nil && r.Done {
		w.refused = append(w.refused, why)
	}
	ticks := w.IntN(20)
	if goal.Renew != nil {
		ticks++ // a token that was just put back is its operator's to renew, before anybody deletes it again
	}
	if w.lost() {
		w.killAt, w.cancelAt = 0, 0
		runOnce(w, plan.Goal{Stage: plan.Edges}, mutate)
	}
	for range ticks {
		w.tick()
	}
}

// arrive runs, uninterrupted and with everybody within reach, until the goal is reached or it is not to be.
func (w *world) arrive(goal plan.Goal, mutate mutation) (r Result) {
	w.killAt, w.cancelAt, w.flippers = 0, 0, false
	attempts := 12
	if goal.Renew != nil {
		attempts = 40 // each has but a part of a token's life, in which a network that fails by chance may take most of it
	}
	if !goal.Back && w.hopeless() != "" || goal.Renew != nil && w.forgetful() {
		attempts = 2
	}
	for range attempts {
		for _, e := range w.edges {
			e.reachable = true
		}
		if r, _ = runOnce(w, goal, mutate); r.Done {
			break
		}
		if goal.Renew != nil {
			w.tick() // as after one that is interrupted
		}
	}
	for range 60 { // what was turned off too early shows when the next token expires
		w.tick()
	}
	return r
}

// hopeless says why a world cannot be migrated, "" when it can.
func (w *world) hopeless() string {
	switch {
	case w.mpcPrefersMTLS:
		return "MPC stays on certificates"
	case slices.Contains(slices.Collect(maps.Values(w.stuck)), true):
		return "an edge cannot connect"
	case w.noHotReload:
		return "an edge ends with its first token"
	case w.newCA:
		return "the certificate's issuer has a CA that nobody trusts"
	}
	return ""
}

// The promise, for random fleets with every switch of the product, operators that lag, people who edit, networks that
// fail, goals that change, tokens that are made again, rollbacks, teams without a hub, and a process that dies before
// or after any of its writes: nobody is ever refused for a mode, for a certificate of Central or for a token that has
// ended, and the next run restores what was in flight before anything else. And it converges: what can be migrated
// is, and what was migrated goes back to where it was. `make test` tells 2 000 of these stories, `make fuzz` 100 000.
func TestThePromiseHoldsWhoeverInterrupts(t *testing.T) {
	reached, back := stories(t, "writes-tsb.txt", fleetStory)
	t.Logf("%d of %d fleets reached the goal, %d went back; the others cannot: an edge that cannot connect, an MPC that stays on mTLS, a CA that nobody trusts", reached, *modelRuns, back)
	if reached < *modelRuns/5 || back < *modelRuns/3 {
		t.Errorf("too few fleets reached the goal for this to show anything")
	}
}

// ending is how a story ended: it reached the goal, and went back after that; or what is wrong.
type ending struct {
	reached, back bool
	wrong         string
	writes        uint64 // the digest of all that was written
}

// stories tells the story of each seed, on all processors side by side, and counts. The first seed whose story ends
// wrong fails the test, whichever was told first.
func stories(t *testing.T, ledger string, tell func(seed uint64) ending) (reached, back int) {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // what stories leave behind is small, and much
	var mu sync.Mutex
	var wg sync.WaitGroup
	next, failed, wrong := 0, *modelRuns, ""
	sums := make([]uint64, *modelRuns)
	take := func() (i int, more bool) {
		mu.Lock()
		defer mu.Unlock()
		next++
		return next - 1, next <= failed
	}
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i, more := take(); more; i, more = take() {
				seed := *modelSeed + uint64(i)
				end := tell(seed)
				mu.Lock()
				sums[i] = end.writes
				if end.wrong != "" && i < failed {
					failed, wrong = i, fmt.Sprintf("seed %d %s", seed, end.wrong)
				}
				if end.reached {
					reached++
				}
				if end.back {
					back++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if wrong != "" {
		t.Fatal(wrong)
	}
	unchanged(t, ledger, sums)
	return reached, back
}

// wrong says what is wrong in a story, of whom, and how it went before that.
func wrong(switches any, log []string, format string, args ...any) string {
	return fmt.Sprintf("(%+v): %s\n%s", switches, fmt.Sprintf(format, args...),
		strings.Join(log[max(0, len(log)-*modelLog):], "\n"))
}

// fleetStory tells the story of a fleet of TSB.
func fleetStory(seed uint64) (end ending) {
	w := newWorld(seed)
	defer func() { end.writes = w.sum }()
	fail := func(format string, args ...any) ending {
		return ending{wrong: wrong(w.switches, w.log, format, args...)}
	}
	last := w.story(plan.Goal{Cleanup: w.chance(4)}, nil)
	if len(w.refused) > 0 {
		return fail("the promise is broken: %s", w.refused[0])
	}
	if why := w.left(); why != "" {
		return fail("%s: %+v", why, last.Outcomes)
	}
	if w.hopeless() == "" && !last.Done {
		return fail("not reached: %+v, %v", last.Outcomes, last.Err)
	}
	if last.Done {
		end.reached = true
		if why := w.migrated(); why != "" {
			return fail("done, and %s", why)
		}
	}
	if slices.ContainsFunc(slices.Collect(maps.Values(w.edges)), func(e *fleetMember) bool { return !e.cert }) {
		return end // the way back has ended
	}
	// somebody who turns mTLS off again after the rollback has begun is the webhook's and not ours to refuse
	w.strangers = false
	last = w.arrive(plan.Goal{RollbackTask: plan.RollbackTask{Back: true}}, nil)
	if len(w.refused) > 0 {
		return fail("the promise is broken on the way back: %s", w.refused[0])
	}
	if !last.Done {
		return fail("not gone back: %+v, %v", last.Outcomes, last.Err)
	}
	if why := w.wentBack(); why != "" {
		return fail("gone back, and %s", why)
	}
	end.back = true
	return end
}

// migrated says what is not as it must be once the goal is reached.
func (w *world) migrated() string {
	if w.hub != (accepts{jwt: true}) {
		return fmt.Sprintf("the hub accepts %+v", w.hub)
	}
	for _, e := range w.edges {
		if e.declared != state.JWT {
			return fmt.Sprintf("%s is set to %s", e.name, e.declared)
		}
	}
	if w.rehears.cert != nil {
		return "the secret of a rehearsed certificate is left"
	}
	return w.inFlight()
}

// left says which edge was left without a token that nothing would make again, or set to JWT although it can never
// connect with one, and nothing is written down that would put it back.
func (w *world) left() string {
	for _, home := range w.homes {
		if home.InFlight != nil {
			return ""
		}
	}
	for _, name := range w.names() {
		if w.forgets[name] && !w.edges[name].token {
			return name + " was left without a token"
		}
		if e := w.edges[name]; w.stuck[name] && e.declared == state.JWT && w.hub.mtls {
			return name + " was left where it cannot connect"
		}
	}
	return ""
}

// wentBack says what is not as it was originally, as far as that can be gone back to.
func (w *world) wentBack() string {
	if !w.hub.mtls {
		return fmt.Sprintf("the hub accepts %+v", w.hub)
	}
	for _, e := range w.edges {
		if got := presentedBy(e.pods, e.declared, e.effective); !slices.Equal(got, []guard.Cred{state.MTLS}) {
			return fmt.Sprintf("%s presents %v", e.name, got)
		}
	}
	return w.inFlight()
}

func (w *world) inFlight() string {
	for home, j := range w.homes {
		if j.InFlight != nil && (home == "hub") {
			return fmt.Sprintf("a wave is left in flight in %s: %+v", home, j.InFlight)
		}
	}
	return ""
}
