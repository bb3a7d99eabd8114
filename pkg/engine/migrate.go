package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Migrate goes on until nothing is left to do or too many steps fail:
//
//  1. refuse a saved plan of another hub; ask for every right; become the only writer, and look again after waiting for
//     that; restore the wave that an interrupted run left in flight, if any, but for what this user may not, which
//     stays written down while those members are left out;
//  2. ask the provider for the next wave, look at its clusters, and ask again (see next);
//  3. write the way back of the wave into the journal;
//  4. for each step, side by side: if it withdraws something, look at everything again and ask the provider and the
//     one rule again, and where something else comes first by now, go on with 2, a few times; write, verify, publish,
//     remove what only the way back needed, else put back;
//  5. clear the wave from the journal and add it to the history; stop if more members failed than may, if one could not
//     be put back, or if the wave would come again, else go on with 2 without those that failed.
//
// What concerns the run as a whole is in the result's Err; what concerns a member is in its outcome.
func (e *Executor) Migrate(ctx context.Context) Result {
	recorded := map[string]Outcome{}
	f, begun, err := e.open(ctx, recorded)
	if !begun {
		return e.result(ctx, f, recorded, e.Provider.Next(f, e.Goal), false, err)
	}
	defer e.unlockAll()
	l := look{State: f, whole: true, wholeAt: f.At}
	ends := func(err error) Result {
		e.lookAtAll(ctx, &l)
		return e.result(ctx, l.State, recorded, e.Provider.Next(l.State, e.Goal), false, err)
	}
	before, failures, repeated := "", 0, 0
	came := map[string]int{} // how often each wave came, by its steps
	e.superseded, e.foreseen = 0, foreseen{}
	for ctx.Err() == nil {
		wave := e.next(ctx, &l)
		if ctx.Err() != nil {
			break
		}
		if len(wave.Steps) == 0 {
			return e.result(ctx, l.State, recorded, wave, l.whole && len(wave.Obstacles) == 0, nil)
		}
		if repeated++; ids(wave) != before {
			repeated = 0
		}
		came[ids(wave)]++
		if repeated > 0 && (writesSomething(wave) || repeated > againVerified) || came[ids(wave)] > cameAtMost {
			return ends(fmt.Errorf("the wave %q was done and verified, and would come again: something undoes it; look at kubectl xcpauth status", wave.Title))
		}
		if err := e.Saved.Allows(wave); err != nil {
			return ends(err)
		}
		failed, err := e.run(ctx, wave, l.State, recorded)
		e.lookAfter(ctx, &l, wave)
		for _, name := range failed {
			e.skip(name, recorded[name].Why)
		}
		failures += len(failed)
		overtaken := errors.Is(err, errSuperseded)
		if overtaken {
			err = nil
		}
		if err != nil || failures > e.MaxFailures || slices.Contains(failed, "hub") || slices.Contains(failed, "standby") ||
			e.hasUnfinishedUndo() {
			return ends(err)
		}
		before = ids(wave)
		if len(failed) > 0 || overtaken {
			before = "" // it is another wave without them, or was not done
		}
	}
	return ends(nil)
}

// Restore takes back the wave that an interrupted run left in flight, and does nothing else: it is what Migrate begins
// with. What keeps Migrate from beginning keeps Restore from it, and is said in the same way.
func (e *Executor) Restore(ctx context.Context) Result {
	recorded := map[string]Outcome{}
	f, begun, err := e.open(ctx, recorded)
	if begun {
		e.unlockAll()
	}
	return e.result(ctx, f, recorded, e.Provider.Next(f, e.Goal), false, err)
}

// open looks at everything, becomes the only writer and restores what an interrupted run left. When begun, the locks
// are held; else nothing was changed, or err says what could not be restored.
func (e *Executor) open(ctx context.Context, recorded map[string]Outcome) (f plan.State, begun bool, err error) {
	e.verified, e.statements, e.fenceWaived = map[string]string{}, map[string]*plan.Statement{}, map[string]string{}
	f = e.observe(ctx)
	e.Goal = e.Provider.Complete(f, e.Goal)
	if !f.Hub.Found && !e.Goal.NoHub {
		return f, false, nil
	}
	if err := e.Saved.Fits(f); err != nil {
		return f, false, err
	}
	if f.Hub.StoredElsewhere != "" && f.Hub.InFlight == "" {
		return f, false, nil // nothing is written there, not even a lock
	}
	e.at(f.Hub)
	if f, err = e.enter(ctx, f, recorded); err != nil {
		return f, false, err
	}
	restored, err := e.undoInterrupted(ctx, f, recorded)
	if err != nil {
		e.unlockAll()
		return f, false, err
	}
	if restored {
		f = e.observe(ctx)
		e.Goal = e.Provider.Complete(f, e.Goal) // what the run begins with has changed
	}
	return f, true, nil
}

// result says what became of a run.
func (e *Executor) result(ctx context.Context, f plan.State, recorded map[string]Outcome, last plan.Wave, done bool,
	err error) Result {
	return Result{Outcomes: summarize(e.Provider, f, e.Goal, recorded, last, done), Facts: f, Done: done,
		Interrupted: ctx.Err() != nil, Err: err}
}

// hasUnfinishedUndo says whether a step of the last wave could be put back as little as verified: its way back is in a
// journal, which holds that of one wave, so that nothing else is begun before the next run has restored it.
func (e *Executor) hasUnfinishedUndo() bool {
	return slices.ContainsFunc(e.sortedJournals(), (*journalCluster).busy)
}

// againVerified is how often a wave that only verifies may come again: what was seen may end once more while a hub that
// was just restored is still being rolled out.
const againVerified = 5

// cameAtMost is how often a wave may come in one run, others between: two that undo each other would go on for ever.
const cameAtMost = 20

// writesSomething says whether a wave changes anything.
func writesSomething(w plan.Wave) bool {
	return slices.ContainsFunc(w.Steps, func(s plan.Step) bool {
		return s.Changes() || s.Irreversible
	})
}

// ids names a wave by its steps.
func ids(w plan.Wave) string { return strings.Join(idsOf(w.Steps), " ") }

func idsOf(steps []plan.Step) []string {
	var all []string
	for _, s := range steps {
		all = append(all, s.ID)
	}
	return all
}

// running is a step that has been written and is being verified.
type running struct {
	plan.Step
	deadline time.Time
	judges   []plan.Judge     // of its conditions
	missing  string           // what the last observation still lacked
	unmet    []plan.Condition // the conditions that it did not meet; nil when all are to be looked at
	ends     bool             // it is over if one look at all of it says the same
	over     bool             // it is verified or has failed
	wholeAt  time.Time        // when all that it lacked was looked at last
}

// run carries out one wave and returns the members whose step is not verified.
func (e *Executor) run(ctx context.Context, wave plan.Wave, before plan.State,
	recorded map[string]Outcome) ([]string, error) {
	began := plan.WaveRecord{Wave: wave.Title, Began: e.Now().UTC(), Goal: e.Goal.Word()}
	if err := e.begin(ctx, wave, before, began); err != nil {
		return nil, err
	}
	still := map[string]func() error{}
	for _, s := range wave.Steps {
		if s.Withdraws == nil {
			continue
		}
		before = e.observe(ctx) // seconds before the write: somebody may have put a member back
		still[s.ID] = e.stillSafe(s, before)
		if err := still[s.ID](); err != nil {
			e.report(Info, s.Member, "not written: %v", err)
			if errors.Is(err, errSuperseded) && e.superseded < supersededAtMost {
				e.superseded++
				if err := e.end(ctx, wave, before, began, map[string]string{s.ID: "not written: " + err.Error()}, nil); err != nil {
					return nil, err
				}
				return nil, errSuperseded
			}
			recorded[s.Member] = Outcome{Member: s.Member, State: Refused, Why: "not written: " + err.Error()}
			return []string{s.Member}, e.end(ctx, wave, before, began, map[string]string{s.ID: "not written: " + err.Error()},
				nil)
		}
	}
	e.announce(wave, before)
	failed := e.writeAll(ctx, wave, still)
	var pending []*running
	for _, s := range wave.Steps {
		if failed[s.ID] == "" {
			pending = append(pending, &running{Step: s, deadline: e.Now().Add(s.Timeout)})
		}
	}
	e.verify(ctx, pending, before, failed, recorded)
	e.finish(ctx, wave, failed)

	var undone []plan.Step
	for _, s := range wave.Steps {
		why, bad := failed[s.ID]
		switch {
		case bad && s.Optional:
			e.fenceWaived[s.Member] = why
			e.report(Info, s.Member, "goes on without: %s", why)
		case bad:
			undone = append(undone, s)
		}
	}
	put := e.undoAll(ctx, undone)
	var lost []string
	stuck := map[string]bool{}
	for _, s := range undone {
		lost = append(lost, s.Member)
		why := failed[s.ID]
		switch back := put[s.ID]; {
		case back.err != nil:
			stuck[s.ID] = true
			why += "; could not be put back: " + back.err.Error() + "; the next run does that first"
		case back.wrote:
			why += "; put back"
		}
		failed[s.ID] = why
		recorded[s.Member] = Outcome{Member: s.Member, State: Failed, Why: why}
		if strings.HasPrefix(why, interrupted) && !stuck[s.ID] {
			recorded[s.Member] = Outcome{Member: s.Member, State: Interrupted, Why: why}
		}
		e.report(StepFailed, s.Member, "%s", why)
	}
	return lost, e.end(ctx, wave, before, began, failed, stuck)
}

// finish removes what only the way back of a step needed that is verified. What cannot be removed is said, and fails
// nothing.
func (e *Executor) finish(ctx context.Context, wave plan.Wave, failed map[string]string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.UndoWithin)
	defer cancel()
	for _, s := range wave.Steps {
		if failed[s.ID] != "" {
			continue
		}
		for _, p := range s.OnSuccess {
			if _, err := e.write(ctx, p, nil); err != nil {
				e.report(Info, s.Member, "verified, and %s in %s is left, which nothing needs any more: %v",
					p.Object, p.Context, err)
			}
		}
	}
}

// writeAll performs the writes of the steps of a wave, side by side, and returns why those failed that did, by ID.
func (e *Executor) writeAll(ctx context.Context, wave plan.Wave, still map[string]func() error) map[string]string {
	failed := map[string]string{}
	written := make([]error, len(wave.Steps))
	var wg sync.WaitGroup
	for i, s := range wave.Steps {
		write := func() { written[i] = e.apply(ctx, s, still[s.ID]) }
		if e.oneByOne {
			write()
		} else {
			wg.Go(write)
		}
	}
	wg.Wait()
	for i, err := range written {
		switch {
		case err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()):
			failed[wave.Steps[i].ID] = interrupted + " while it was written: " + err.Error()
		case err != nil:
			failed[wave.Steps[i].ID] = err.Error()
		}
	}
	return failed
}

// interrupted is what the reason begins with why a step is not verified that the run was asked to leave.
const interrupted = "interrupted"

// errSuperseded is why a withdrawing step is not written although nobody stands in its way: a member's session has
// just ended, say.
var errSuperseded = errors.New("something else comes first")

// supersededAtMost is how often a run goes on from that: who is overtaken again and again had better look why.
const supersededAtMost = 3

// stillSafe asks, on the state that was just read, whether a withdrawing step is still what comes next, and the one
// rule. Facts age: what it returns says no once they are too old to be believed.
func (e *Executor) stillSafe(s plan.Step, f plan.State) func() error {
	next := e.Provider.Next(f, e.Goal)
	return func() error {
		if !slices.ContainsFunc(next.Steps, func(n plan.Step) bool { return n.ID == s.ID }) {
			why := "the state has changed"
			if len(next.Obstacles) > 0 {
				why = next.Obstacles[0].Member + ": " + next.Obstacles[0].Why
			}
			if len(next.Steps) > 0 {
				return fmt.Errorf("it is not what comes next any more (%s): %w, the wave %q", why, errSuperseded, next.Title)
			}
			return fmt.Errorf("it is not what comes next any more (%s)", why)
		}
		if blockers := f.Blockers(s, e.Now()); len(blockers) > 0 {
			return errors.New(blockers[0].String())
		}
		return nil
	}
}

// apply gets what a step asks for from outside, then performs its writes, in order.
func (e *Executor) apply(ctx context.Context, s plan.Step, still func() error) error {
	e.report(Started, s.Member, "%s", s.Title)
	if s.Supply != nil {
		said, err := e.Supply(ctx, *s.Supply, e.whileLocked(still))
		for _, line := range said {
			e.report(Wrote, s.Member, "%s", line)
		}
		if err != nil {
			return err
		}
	}
	for _, p := range s.Writes {
		wrote, err := e.writeLifted(ctx, p, still)
		if err != nil {
			return err
		}
		if wrote {
			e.report(Wrote, s.Member, "wrote %s in %s", p.Object, p.Context)
		}
	}
	return nil
}
