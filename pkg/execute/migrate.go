package execute

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// ProveNamed proves and publishes members without changing them: all that present the wanted credential when none are named.
func (e *Executor) ProveNamed(ctx context.Context, names []string) (Result, error) {
	f := e.Observe(ctx)
	recorded := map[string]Outcome{}
	if !f.Hub.Found {
		return Result{Outcomes: account(f, e.Goal, recorded, e.Dialect.Next(f, e.Goal), false), Facts: f}, nil
	}
	e.hub = f.Hub.Context
	var steps []*running
	failed := map[string]string{}
	for _, m := range f.Members {
		if m.Err != "" || (len(names) > 0 && !slices.Contains(names, m.Name)) {
			continue
		}
		s := e.Dialect.Prove(m, e.Goal)
		if !m.Registered {
			failed[s.ID] = "not in the roster; kubectl xcpauth migrate registers it"
			recorded[m.Name] = Outcome{Member: m.Name, State: Refused, Why: failed[s.ID]}
			continue
		}
		steps = append(steps, &running{Step: s, deadline: e.Now().Add(s.Within)})
	}
	for _, n := range names {
		if f.Member(n) == nil {
			return Result{Facts: f}, fmt.Errorf("no member is called %q; kubectl xcpauth status lists them", n)
		}
	}
	byID := map[string]string{}
	for _, s := range steps {
		byID[s.ID] = s.Member
	}
	e.prove(ctx, steps, f, failed, recorded)
	for id, why := range failed {
		if name := byID[id]; name != "" {
			recorded[name] = Outcome{Member: name, State: Failed, Why: why}
		}
	}
	r := Result{Facts: f, Done: len(failed) == 0, Interrupted: ctx.Err() != nil}
	for _, m := range f.Members {
		o, ok := recorded[m.Name]
		switch {
		case ok:
		case m.Err != "" && m.Context != "":
			o = Outcome{State: Unreachable, Why: m.Err}
		default:
			o = Outcome{State: Skipped, Why: "not asked for"}
		}
		o.Member, o.Context = m.Name, m.Context
		r.Outcomes = append(r.Outcomes, o)
	}
	return r, nil
}

// Migrate goes on until nothing is left to do or a step fails:
//
//  1. restore the wave that an interrupted run left in flight, if any;
//  2. observe everything, ask the dialect for the next wave;
//  3. write the way back of the wave into the journal;
//  4. for each step, side by side: ask the one rule again if it withdraws something, write, prove, publish, else put back;
//  5. clear the journal; stop if a step failed, else go on with 2.
//
// What concerns the run as a whole is in the result's Err; what concerns a member is in its outcome.
func (e *Executor) Migrate(ctx context.Context) Result {
	recorded := map[string]Outcome{}
	f := e.Observe(ctx)
	finish := func(last plan.Wave, done bool, err error) Result {
		return Result{Outcomes: account(f, e.Goal, recorded, last, done), Facts: f, Done: done, Interrupted: ctx.Err() != nil, Err: err}
	}
	if !f.Hub.Found {
		return finish(e.Dialect.Next(f, e.Goal), false, nil)
	}
	e.hub = f.Hub.Context
	restored, err := e.restore(ctx)
	if err != nil {
		return finish(e.Dialect.Next(f, e.Goal), false, err)
	}
	if restored {
		f = e.Observe(ctx)
	}
	for ctx.Err() == nil {
		wave := e.Dialect.Next(f, e.Goal)
		if len(wave.Steps) == 0 {
			return finish(wave, len(wave.Blocked) == 0, nil)
		}
		ok, err := e.run(ctx, wave, f, recorded)
		if ctx.Err() == nil {
			f = e.Observe(ctx)
		}
		if err != nil || !ok {
			return finish(e.Dialect.Next(f, e.Goal), false, err)
		}
	}
	return finish(e.Dialect.Next(f, e.Goal), false, nil)
}

// restore takes back what an interrupted run left in flight, before anything else is done.
func (e *Executor) restore(ctx context.Context) (bool, error) {
	left, err := e.ReadJournal(ctx, e.hub)
	if err != nil || left == nil {
		return false, err
	}
	e.say("hub", "an earlier run (%s, begun %s) was interrupted in the wave %q; restoring it first", left.By, left.Began.Format(time.RFC3339), left.Wave)
	for _, s := range left.Steps {
		wrote, err := e.takeBack(ctx, s)
		var changed *ChangedError
		var refused *refusedError
		switch {
		case errors.As(err, &changed), errors.As(err, &refused):
			e.say(s.Member, "not restored: %v", err) // somebody has decided otherwise since: theirs stands
		case err != nil:
			return false, fmt.Errorf("restoring %s as the journal says, before anything else: %w", s.Member, err)
		case wrote:
			e.say(s.Member, "restored as it was before the interrupted wave")
		default:
			e.say(s.Member, "is as it was before the interrupted wave")
		}
	}
	return true, e.WriteJournal(ctx, e.hub, nil)
}

// refusedError says that a member cannot be put back, since the hub would refuse it there.
type refusedError struct{ cred guard.Cred }

func (e *refusedError) Error() string {
	return fmt.Sprintf("the hub does not surely accept %s any more, so it stays as it is; kubectl xcpauth status shows whether it is connected", e.cred)
}

// takeBack writes the way back of one step, unless the hub would refuse the member there. It returns whether it wrote.
func (e *Executor) takeBack(ctx context.Context, s EntryStep) (bool, error) {
	if s.From != "" {
		hub := e.Observe(ctx, e.hub).Hub
		if !hub.Found {
			return false, errors.New(hub.Err)
		}
		if hub.Accepts.Accepts[s.From] != guard.Yes {
			return false, &refusedError{s.From}
		}
	}
	wrote := false
	for _, p := range s.Undo {
		w, err := e.Write(ctx, p)
		if err != nil {
			return wrote, err
		}
		wrote = wrote || w
	}
	return wrote, nil
}

// running is a step that has been written and is being proved.
type running struct {
	plan.Step
	deadline time.Time
	missing  string // what the last observation still lacked
}

// run carries out one wave and says whether every step of it is proved.
func (e *Executor) run(ctx context.Context, wave plan.Wave, before plan.Facts, recorded map[string]Outcome) (bool, error) {
	for _, s := range wave.Steps {
		if s.Withdraws == nil {
			continue
		}
		before = e.Observe(ctx) // seconds before the write: somebody may have put a member back
		if blockers := guard.Withdraw(before.Hub.Accepts, *s.Withdraws, before.Edges(), e.Now()); len(blockers) > 0 {
			for _, b := range blockers {
				e.say(s.Member, "not written: %s", b)
			}
			recorded[s.Member] = Outcome{Member: s.Member, State: Refused, Why: "not written: " + blockers[0].String()}
			return false, nil
		}
	}
	entry := entryOf(wave, e.Source, e.Now())
	if len(entry.Steps) > 0 {
		if err := e.WriteJournal(ctx, e.hub, &entry); err != nil {
			return false, fmt.Errorf("nothing was written, since the way back could not be kept: %w", err)
		}
	}
	e.say("hub", "wave: %s", wave.Title)
	failed := map[string]string{}
	var steps []*running
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, s := range wave.Steps {
		wg.Go(func() {
			err := e.apply(ctx, s)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed[s.ID] = err.Error()
			}
			steps = append(steps, &running{Step: s, deadline: e.Now().Add(s.Within)})
		})
	}
	wg.Wait()
	slices.SortFunc(steps, func(a, b *running) int { return strings.Compare(a.ID, b.ID) })
	var pending []*running
	for _, s := range steps {
		if failed[s.ID] == "" {
			pending = append(pending, s)
		}
	}
	e.prove(ctx, pending, before, failed, recorded)

	clean := true
	for _, s := range steps {
		why, bad := failed[s.ID]
		if !bad {
			continue
		}
		put, err := e.putBack(ctx, s.Step)
		switch {
		case err != nil:
			clean = false
			why += "; could not be put back: " + err.Error() + "; the next run does that first"
		case put:
			why += "; put back"
		}
		recorded[s.Member] = Outcome{Member: s.Member, State: Failed, Why: why}
		e.say(s.Member, "%s", why)
	}
	if clean && len(entry.Steps) > 0 {
		tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.PutBackWithin)
		defer cancel()
		if err := e.WriteJournal(tidy, e.hub, nil); err != nil {
			return false, err
		}
	}
	return len(failed) == 0, nil
}

// apply performs the writes of a step, in order.
func (e *Executor) apply(ctx context.Context, s plan.Step) error {
	for _, p := range s.Writes {
		wrote, err := e.Write(ctx, p)
		if err != nil {
			return err
		}
		if wrote {
			e.say(s.Member, "wrote %s in %s", p.Object, p.Context)
		}
	}
	return nil
}

// putBack undoes a step that is not proved. It goes on when the run was interrupted: leaving a member half moved is worse.
func (e *Executor) putBack(ctx context.Context, s plan.Step) (bool, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.PutBackWithin)
	defer cancel()
	undo := undoOf(s)
	if len(undo) == 0 {
		return false, nil
	}
	return e.takeBack(ctx, EntryStep{ID: s.ID, Member: s.Member, From: s.From, Undo: undo})
}
