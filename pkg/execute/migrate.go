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
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

// ProveNamed lists, proves and publishes members without changing them: all that present the wanted credential when none are named.
func (e *Executor) ProveNamed(ctx context.Context, names []string) (Result, error) {
	f := e.look(ctx)
	recorded := map[string]Outcome{}
	if !f.Hub.Found {
		return Result{Outcomes: account(f, e.Goal, recorded, e.Dialect.Next(f, e.Goal), false), Facts: f}, nil
	}
	e.hub = f.Hub.Context
	for _, n := range names {
		if f.Member(n) == nil {
			return Result{Facts: f}, fmt.Errorf("no member is called %q; kubectl xcpauth status lists them", n)
		}
	}
	var steps []*running
	failed := map[string]string{}
	for _, m := range f.Members {
		if len(names) > 0 && !slices.Contains(names, m.Name) {
			continue
		}
		if m.Err != "" {
			if len(names) > 0 {
				recorded[m.Name] = Outcome{Member: m.Name, State: Unreachable, Why: m.Err}
			}
			continue
		}
		s := e.Dialect.Prove(m, e.Goal)
		if err := e.list(ctx, m); err != nil {
			failed[s.ID] = err.Error()
			recorded[m.Name] = Outcome{Member: m.Name, State: Refused, Why: failed[s.ID]}
			continue
		}
		steps = append(steps, &running{Step: s, deadline: e.Now().Add(s.Within)})
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

// list puts a member into the roster, or renews its entry, when that is needed for a statement about it.
func (e *Executor) list(ctx context.Context, m plan.Member) error {
	entry := plan.Patch{Context: e.hub, Object: roster.Ref(m.Name), Create: true, After: roster.EntryObject(m)}
	switch {
	case m.Registered && !m.Outdated:
		return nil
	case m.Outdated:
		entry.Create, entry.After = false, roster.Renewal(m)
	}
	if _, err := e.Write(ctx, entry, nil); err != nil {
		return fmt.Errorf("%w; kubectl xcpauth migrate installs the roster where it is not", err)
	}
	return nil
}

// Migrate goes on until nothing is left to do or a step fails:
//
//  1. restore the wave that an interrupted run left in flight, if any;
//  2. observe everything, ask the dialect for the next wave;
//  3. write the way back of the wave into the journal;
//  4. for each step, side by side: if it withdraws something, observe again and ask the dialect and the one rule again;
//     write, prove, publish, else put back;
//  5. clear the journal; stop if a step failed, or if the wave would come again, else go on with 2.
//
// What concerns the run as a whole is in the result's Err; what concerns a member is in its outcome.
func (e *Executor) Migrate(ctx context.Context) Result {
	recorded := map[string]Outcome{}
	f := e.look(ctx)
	finish := func(last plan.Wave, done bool, err error) Result {
		return Result{Outcomes: account(f, e.Goal, recorded, last, done), Facts: f, Done: done, Interrupted: ctx.Err() != nil, Err: err}
	}
	if !f.Hub.Found {
		return finish(e.Dialect.Next(f, e.Goal), false, nil)
	}
	e.hub = f.Hub.Context
	restored, err := e.restore(ctx, f)
	if err != nil {
		return finish(e.Dialect.Next(f, e.Goal), false, err)
	}
	if restored {
		f = e.look(ctx)
	}
	before := ""
	for ctx.Err() == nil {
		wave := e.Dialect.Next(f, e.Goal)
		if len(wave.Steps) == 0 {
			return finish(wave, len(wave.Blocked) == 0, nil)
		}
		if ids(wave) == before {
			return finish(wave, false, fmt.Errorf("the wave %q was done and proved, and would come again: something undoes it; look at kubectl xcpauth status", wave.Title))
		}
		ok, err := e.run(ctx, wave, f, recorded)
		if ctx.Err() == nil {
			f = e.look(ctx)
		}
		if err != nil || !ok {
			return finish(e.Dialect.Next(f, e.Goal), false, err)
		}
		before = ids(wave)
	}
	return finish(e.Dialect.Next(f, e.Goal), false, nil)
}

// ids names a wave by its steps.
func ids(w plan.Wave) string {
	var all []string
	for _, s := range w.Steps {
		all = append(all, s.ID)
	}
	return strings.Join(all, " ")
}

// restore takes back what an interrupted run left in flight, before anything else is done. What cannot be reached now stays
// written down, and keeps the run from going on.
func (e *Executor) restore(ctx context.Context, f plan.Facts) (bool, error) {
	left, err := e.ReadJournal(ctx, e.hub)
	if err != nil || left == nil {
		return false, err
	}
	e.say("hub", "an earlier run (%s, begun %s) was interrupted in the wave %q; restoring it first", left.By, left.Began.Format(time.RFC3339), left.Wave)
	remaining := Entry{Wave: left.Wave, Began: left.Began, By: left.By}
	var failures []error
	for _, s := range left.Steps {
		wrote := false
		located, err := e.locate(s, f)
		if err == nil {
			wrote, err = e.takeBack(ctx, located)
		}
		var changed *ChangedError
		var refused *refusedError
		switch {
		case errors.As(err, &changed), errors.As(err, &refused):
			e.say(s.Member, "not restored: %v", err) // somebody has decided otherwise since: theirs stands
		case err != nil:
			remaining.Steps = append(remaining.Steps, s)
			failures = append(failures, fmt.Errorf("restoring %s as the journal says, before anything else: %w", s.Member, err))
		case wrote:
			e.say(s.Member, "restored as it was before the interrupted wave")
		default:
			e.say(s.Member, "is as it was before the interrupted wave")
		}
	}
	if len(failures) > 0 {
		return true, errors.Join(append(failures, e.WriteJournal(ctx, e.hub, &remaining))...)
	}
	return true, e.WriteJournal(ctx, e.hub, nil)
}

// locate finds the contexts of a journal's patches by the clusters that they were of: whoever reads it may call them by other
// names. It refuses what the dialect would not have written.
func (e *Executor) locate(s EntryStep, f plan.Facts) (EntryStep, error) {
	undo := slices.Clone(s.Undo)
	for i, p := range undo {
		if !e.Dialect.Restores(p) {
			return s, fmt.Errorf("the journal asks for a change of %s that this tool does not make; look at the ConfigMap %s/%s in %s", p.Object, journalRef.Namespace, journalRef.Name, e.hub)
		}
		if p.Cluster == "" {
			continue
		}
		at := ""
		if f.Hub.ClusterUID == p.Cluster {
			at = f.Hub.Context
		}
		for _, m := range f.Members {
			if m.ClusterUID == p.Cluster && m.Err == "" {
				at = m.Context
			}
		}
		for _, o := range f.Others {
			if o.ClusterUID == p.Cluster {
				at = o.Context // its member is gone, which the write will find
			}
		}
		if at == "" {
			return s, fmt.Errorf("its cluster (%s, called %s by that run) is not reached; select its context, and see that it answers; if it is gone for good: kubectl xcpauth edge forget %s --alive --reason WHY", p.Cluster, p.Context, s.Member)
		}
		undo[i].Context = at
	}
	s.Undo = undo
	return s, nil
}

// refusedError says that a member cannot be put back, since the hub would refuse it there.
type refusedError struct{ cred guard.Cred }

func (e *refusedError) Error() string {
	return fmt.Sprintf("the hub does not surely accept %s any more, so it stays as it is; kubectl xcpauth status shows whether it is connected", e.cred)
}

// takeBack writes the way back of one step, unless the hub would refuse the member there. What the roster states of the
// member is taken back first: the webhook believes it. It returns whether it put anything back.
func (e *Executor) takeBack(ctx context.Context, s EntryStep) (bool, error) {
	if s.From != "" {
		hub := e.Observe(ctx, e.hub).Hub
		if !hub.Found {
			return false, errors.New(hub.Err)
		}
		if hub.Accepts.Accepts[s.From] != guard.Yes {
			return false, &refusedError{s.From}
		}
		var gone *ChangedError
		void := plan.Patch{Context: e.hub, Object: roster.Ref(s.Member), Status: true, After: roster.Void()}
		if _, err := e.Write(ctx, void, nil); err != nil && !errors.As(err, &gone) {
			return false, fmt.Errorf("taking back first what the roster states of it: %w", err)
		}
	}
	wrote := false
	for _, p := range s.Undo {
		w, err := e.Write(ctx, p, nil)
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
	entry := entryOf(wave, e.Source, e.Now())
	if len(entry.Steps) > 0 {
		if err := e.WriteJournal(ctx, e.hub, &entry); err != nil {
			return false, fmt.Errorf("nothing was written, since the way back could not be kept: %w", err)
		}
	}
	still := map[string]func() error{}
	for _, s := range wave.Steps {
		if s.Withdraws == nil {
			continue
		}
		before = e.look(ctx) // seconds before the write: somebody may have put a member back
		still[s.ID] = e.stillSafe(s, before)
		if err := still[s.ID](); err != nil {
			e.say(s.Member, "not written: %v", err)
			recorded[s.Member] = Outcome{Member: s.Member, State: Refused, Why: "not written: " + err.Error()}
			return false, e.WriteJournal(ctx, e.hub, nil)
		}
	}
	e.say("hub", "wave: %s", wave.Title)
	failed := map[string]string{}
	steps := make([]*running, len(wave.Steps))
	written := make([]error, len(wave.Steps))
	var wg sync.WaitGroup
	for i, s := range wave.Steps {
		write := func() {
			written[i] = e.apply(ctx, s, still[s.ID])
			steps[i] = &running{Step: s, deadline: e.Now().Add(s.Within)}
		}
		if e.oneByOne {
			write()
		} else {
			wg.Go(write)
		}
	}
	wg.Wait()
	for i, err := range written {
		if err != nil {
			failed[steps[i].ID] = err.Error()
		}
	}
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

// stillSafe asks, on facts that were just read, whether a withdrawing step is still what comes next, and the one rule. Facts
// age: what it returns says no once they are too old to be believed.
func (e *Executor) stillSafe(s plan.Step, f plan.Facts) func() error {
	next := e.Dialect.Next(f, e.Goal)
	return func() error {
		if !slices.ContainsFunc(next.Steps, func(n plan.Step) bool { return n.ID == s.ID }) {
			why := "the facts have changed"
			if len(next.Blocked) > 0 {
				why = next.Blocked[0].Member + ": " + next.Blocked[0].Why
			}
			return fmt.Errorf("it is not what comes next any more (%s)", why)
		}
		if blockers := guard.Withdraw(f.Hub.Accepts, *s.Withdraws, f.Edges(), e.Now()); len(blockers) > 0 {
			return errors.New(blockers[0].String())
		}
		return nil
	}
}

// apply performs the writes of a step, in order.
func (e *Executor) apply(ctx context.Context, s plan.Step, still func() error) error {
	for _, p := range s.Writes {
		wrote, err := e.Write(ctx, p, still)
		if err != nil {
			return err
		}
		if wrote {
			e.say(s.Member, "wrote %s in %s", p.Object, p.Context)
		}
	}
	return nil
}

// retryEvery is how long putting back waits before it tries again.
const retryEvery = time.Second

// putBack undoes a step that is not proved, trying again until its time is over. It goes on when the run was interrupted:
// leaving a member half moved is worse.
func (e *Executor) putBack(ctx context.Context, s plan.Step) (bool, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.PutBackWithin)
	defer cancel()
	undo := undoOf(s)
	if len(undo) == 0 {
		return false, nil
	}
	deadline := e.Now().Add(e.PutBackWithin)
	for {
		wrote, err := e.takeBack(ctx, EntryStep{ID: s.ID, Member: s.Member, From: s.From, Undo: undo})
		var changed *ChangedError
		var refused *refusedError
		var denied *DeniedError
		if err == nil || errors.As(err, &changed) || errors.As(err, &refused) || errors.As(err, &denied) || e.Now().Add(retryEvery).After(deadline) || ctx.Err() != nil {
			return wrote, err
		}
		e.Pause(ctx, retryEvery)
	}
}
