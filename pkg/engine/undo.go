package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

// undoInterrupted takes back the wave that an interrupted run left in flight, in each home, before anything else is
// done. What cannot be reached now stays written down, and keeps the run from going on. What this user may not write
// stays written down too, and keeps its member alone out of the run; unless it is the hub's.
func (e *Executor) undoInterrupted(ctx context.Context, f plan.State, recorded map[string]Outcome) (bool, error) {
	restored := false
	var errs []error
	for _, h := range e.sortedJournals() {
		if h.journal.InFlight == nil {
			continue
		}
		restored = true
		errs = append(errs, e.undoEntry(ctx, f, h, recorded))
	}
	return restored, errors.Join(errs...)
}

func (e *Executor) undoEntry(ctx context.Context, f plan.State, h *journalCluster, recorded map[string]Outcome) error {
	left := *h.journal.InFlight
	e.report(WaveStarted, "hub", "an earlier run (%s, begun %s) was interrupted in the wave %q; restoring it first",
		left.By, left.Began.Format(time.RFC3339), left.Wave)
	remaining := Entry{Wave: left.Wave, Began: left.Began, By: left.By}
	kept := remaining
	barred := e.notPermitted(ctx, f, left)
	past := plan.WaveRecord{Wave: left.Wave, Began: left.Began, Ended: e.Now().UTC(), By: left.By,
		Result: "interrupted; restored by " + e.by(ctx, h.context)}
	var failures []error
	unsureUntil := e.Now().Add(e.UndoWithin) // for all of them: what is not known of a hub is so for each
	for _, s := range left.Steps {
		if why := barred[s.ID]; why != "" {
			if s.Member == "hub" || s.Member == "standby" { // nothing goes on beside it
				remaining.Steps = append(remaining.Steps, s)
				failures = append(failures, fmt.Errorf("restoring %s as the journal says, before anything else: %s", s.Member, why))
				continue
			}
			kept.Steps = append(kept.Steps, s)
			for _, name := range s.members(f) {
				e.skip(name, "an earlier run left it in flight, and it is not restored: "+why)
				recorded[name] = Outcome{Member: name, State: Refused, Why: e.Goal.Skipped(name)}
				e.report(Info, name, "not restored, and left out: %s", why)
			}
			continue
		}
		past.Steps = append(past.Steps, s.ID)
		wrote := false
		located, err := e.locate(s, f)
		if err == nil {
			wrote, err = e.undoWhenSure(ctx, located, unsureUntil)
		}
		var changed *ChangedError
		var refused *refusedError
		switch {
		case errors.As(err, &changed), errors.As(err, &refused):
			e.report(Info, s.Member, "not restored: %v", err) // somebody has decided otherwise since: theirs stands
		case err != nil:
			remaining.Steps = append(remaining.Steps, s)
			failures = append(failures, fmt.Errorf("restoring %s as the journal says, before anything else: %w", s.Member, err))
		case wrote:
			e.report(Wrote, s.Member, "restored as it was before the interrupted wave")
		default:
			e.report(Info, s.Member, "is as it was before the interrupted wave")
		}
	}
	if len(kept.Steps) > 0 {
		h.notUndone = &kept
	}
	next := h.journal
	if len(failures) > 0 {
		remaining.Steps = append(remaining.Steps, kept.Steps...)
		next.InFlight = &remaining
	} else if next.InFlight = h.notUndone; len(past.Steps) > 0 {
		next.History = slices.Clone(next.History)
		next.Record(past)
	}
	if err := e.keepJournal(ctx, h, next); err != nil {
		return errors.Join(append(failures, err)...)
	}
	return errors.Join(failures...)
}

// notPermitted says of the steps of a journal, by ID, why this user may not take them back, and who could. A step whose
// cluster is not reached is none of them, nor is one whose rights could not be asked for: restoring it says so.
func (e *Executor) notPermitted(ctx context.Context, f plan.State, left Entry) map[string]string {
	needs := map[string]map[string][]plan.Permission{}
	for _, s := range left.Steps {
		located, err := e.locate(s, f)
		if err != nil {
			continue
		}
		of := map[string][]plan.Permission{}
		for _, p := range slices.Concat(located.Undo, e.fenceRemovals(located, f)) {
			for _, r := range p.Permissions() {
				of[r.Context] = append(of[r.Context], r.Permission)
			}
		}
		if s.From != "" && e.hub != "" && f.UsesRoster { // what is stated is taken back first
			for _, name := range s.members(f) {
				of[e.hub] = append(of[e.hub], Stating(e.namespace, name)[1:]...)
			}
		}
		needs[s.ID] = of
	}
	barred := map[string]string{}
	for id, lacking := range missingFor(ctx, e, needs) {
		if !slices.ContainsFunc(slices.Collect(maps.Values(lacking)), func(l Denial) bool { return !l.Unknown }) {
			continue
		}
		i := slices.IndexFunc(left.Steps, func(s EntryStep) bool { return s.ID == id })
		barred[id] = fmt.Sprintf("%s; who has them restores it with: kubectl xcpauth migrate; it was left by %s",
			words(lacking), cmp.Or(left.Steps[i].Left, left.origin()))
	}
	return barred
}

// fenceRemovals are the patches that remove the fence which denies the way back of a step, when there is one: it
// denies none to what a member is to present.
func (e *Executor) fenceRemovals(s EntryStep, f plan.State) []plan.Write {
	if s.From == "" || s.From == e.Goal.To || e.Provider.RemoveFence == nil {
		return nil
	}
	var all []plan.Write
	for _, m := range f.Members {
		its := func(p plan.Write) bool { return p.Object.UID != "" && p.Object.UID == m.Object.UID }
		if slices.ContainsFunc(s.Undo, its) {
			all = append(all, e.Provider.RemoveFence(f, m)...)
		}
	}
	return all
}

// locate finds the contexts of a journal's patches by the clusters that they were of: whoever reads it may call them
// by other names. It refuses what the provider would not have written.
func (e *Executor) locate(s EntryStep, f plan.State) (EntryStep, error) {
	undo := slices.Clone(s.Undo)
	for i, p := range undo {
		if p.Cluster == "" {
			if !e.Provider.AllowsUndo(f, p, s.From) {
				return s, e.notOurs(p)
			}
			continue
		}
		at := ""
		if f.Hub.ClusterUID == p.Cluster {
			at = f.Hub.Context
		}
		if f.Standby != nil && f.Standby.ClusterUID == p.Cluster {
			at = f.Standby.Context
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
		if !e.Provider.AllowsUndo(f, p, s.From) {
			return s, e.notOurs(p)
		}
		undo[i].Context = at
	}
	s.Undo = undo
	return s, nil
}

// notOurs says that a journal asks for what no provider writes.
func (e *Executor) notOurs(p plan.Write) error {
	at := JournalRef(e.namespace)
	return fmt.Errorf("the journal asks for a change of %s that this tool does not make; look at the ConfigMap %s/%s",
		p.Object, at.Namespace, at.Name)
}

// refusedError says that a member cannot be put back, since the hub would refuse it there, or it would not connect.
type refusedError struct {
	cred guard.Cred
	why  string // it would not connect
}

func (e *refusedError) Error() string {
	if e.why != "" {
		return fmt.Sprintf("it would not connect with %s (%s), so it stays as it is; kubectl xcpauth status shows whether it is connected", e.cred, e.why)
	}
	return fmt.Sprintf("the hub does not surely accept %s any more, so it stays as it is; kubectl xcpauth status shows whether it is connected", e.cred)
}

// unsureError says that it is not known whether the hub accepts what a member would present when it is put back: its
// way back stays written down.
type unsureError struct {
	cred guard.Cred
	hub  plan.Hub
}

func (e *unsureError) Error() string {
	why := strings.Join(e.hub.Anomalies, "; ")
	if why = cmp.Or(e.hub.StoredElsewhere, why); why != "" {
		why = " (" + why + ")"
	}
	return fmt.Sprintf("it is not known whether the hub accepts %s%s; see what it accepts with kubectl xcpauth status, "+
		"fix that, and run the command again", e.cred, why)
}

// retryEvery is how long putting back waits before it tries again.
const retryEvery = time.Second

// undoResult is what came of putting a step back: whether anything was written, or why it could not be.
type undoResult struct {
	wrote bool
	err   error
}

// undoAll undoes the steps that are not verified, side by side: one whose cluster does not answer keeps no other where
// it is. It tries again those that it could not until its time is over, and goes on when the run was interrupted, but
// with those that are settled: leaving a member half moved is worse. It returns what came of each, by ID.
func (e *Executor) undoAll(ctx context.Context, steps []plan.Step) map[string]undoResult {
	interrupted := ctx.Err() != nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.UndoWithin)
	defer cancel()
	came := map[string]undoResult{}
	left := slices.DeleteFunc(slices.Clone(steps), func(s plan.Step) bool {
		return s.KeepOnInterrupt && interrupted ||
			len(undoOf(s)) == 0
	})
	deadline := e.Now().Add(e.UndoWithin)
	for len(left) > 0 {
		now := make([]undoResult, len(left))
		var wg sync.WaitGroup
		for i, s := range left {
			put := func() {
				now[i].wrote, now[i].err = e.undoStep(ctx, EntryStep{ID: s.ID, Member: s.Member, From: s.RevertsTo,
					Undo: undoOf(s)})
			}
			if e.oneByOne {
				put()
			} else {
				wg.Go(put)
			}
		}
		wg.Wait()
		var again []plan.Step
		for i, s := range left {
			if came[s.ID] = now[i]; now[i].err != nil && !isFinal(now[i].err) {
				again = append(again, s)
			}
		}
		if left = again; len(left) == 0 || e.Now().Add(retryEvery).After(deadline) || ctx.Err() != nil {
			break
		}
		e.Pause(ctx, retryEvery)
	}
	return came
}

// undoWhenSure is undoStep, again until a deadline where it is not known whether the hub would accept the member there:
// a hub that is being rolled out, or read by halves, may tell soon.
func (e *Executor) undoWhenSure(ctx context.Context, s EntryStep, deadline time.Time) (wrote bool, err error) {
	var unsure *unsureError
	for ; ; e.Pause(ctx, retryEvery) {
		wrote, err = e.undoStep(ctx, s)
		if !errors.As(err, &unsure) || ctx.Err() != nil || e.Now().Add(retryEvery).After(deadline) {
			return wrote, err
		}
	}
}

// undoStep writes the way back of one step, unless the hub would refuse the member there, or it would not connect.
// What the roster states of the member is taken back first: the webhook believes it. It returns whether it put
// anything back.
func (e *Executor) undoStep(ctx context.Context, s EntryStep) (bool, error) {
	names := []string{s.Member} // under which this run and the one that wrote the step know the member
	if s.From != "" && e.hub != "" {
		f := e.Observe(ctx, e.hub)
		hub := f.Hub
		if !hub.Found {
			return false, errors.New(hub.Err)
		}
		switch accepted, known := acceptsNow(hub, s.From); {
		case !known:
			return false, &unsureError{cred: s.From, hub: hub}
		case !accepted:
			return false, &refusedError{cred: s.From}
		}
		names = s.members(f)
		for _, name := range names {
			if m := f.Member(name); m != nil && e.Provider.CannotPresent != nil {
				if why := e.Provider.CannotPresent(f, *m, s.From); why != "" {
					return false, &refusedError{s.From, why}
				}
			}
		}
		if !f.UsesRoster && e.Provider.CredentialAfter != nil {
			contexts := []string{e.hub}
			for _, p := range s.Undo {
				contexts = append(contexts, p.Context)
			}
			f = e.Observe(ctx, contexts...)
			for _, p := range s.Undo {
				switch got, known := e.Provider.CredentialAfter(f, p); {
				case !known:
					return false, fmt.Errorf("it could not be looked at, so what it would present again is not known")
				case got != s.From: // its credential was revoked meanwhile, or has expired
					return false, &refusedError{cred: s.From}
				}
			}
		}
		if f.UsesRoster {
			for _, name := range names {
				if err := e.retractStatement(ctx, name); err != nil {
					return false, fmt.Errorf("taking back first what the roster states of it: %w", err)
				}
			}
		}
	}
	e.statementsMu.Lock()
	for _, name := range names {
		delete(e.statements, name)
	}
	e.statementsMu.Unlock()
	wrote := false
	for _, p := range s.Undo {
		p.Undoing = true
		w, err := e.write(ctx, p, nil)
		if DeniedByFence(err) {
			if err = e.removeFence(ctx, p); err == nil {
				w, err = e.writeLifted(ctx, p, nil)
			}
		}
		if err != nil {
			return wrote, err
		}
		wrote = wrote || w && p.Op != plan.OpDelete // what is deleted here is a copy, and puts nothing back
	}
	return wrote, nil
}

// acceptsNow says whether a hub accepts a credential, and whether that is known. One that is not among what a hub
// accepts whose keys were all read, such as a token of a key that is gone, is refused.
func acceptsNow(hub plan.Hub, cred guard.Cred) (accepted, known bool) {
	got, listed := hub.Accepts.Accepts[cred]
	if !listed {
		return false, len(hub.Anomalies) == 0 && hub.StoredElsewhere == ""
	}
	return got == guard.Yes, got != guard.Unknown
}

// retractStatement takes back what the roster states of a member; of one that it does not list there is nothing.
func (e *Executor) retractStatement(ctx context.Context, member string) error {
	var gone *ChangedError
	_, err := e.write(ctx, plan.Write{Context: e.hub, Object: roster.Ref(e.namespace, member), Op: plan.OpUpdateStatus,
		After: roster.RetractedStatus()}, nil)
	if errors.As(err, &gone) {
		return nil
	}
	return err
}

// removeFence removes the fence that denies a way back.
func (e *Executor) removeFence(ctx context.Context, p plan.Write) error {
	f := e.Observe(ctx, p.Context)
	for _, m := range f.Members {
		if m.Context != p.Context || m.Object.UID != p.Object.UID {
			continue
		}
		for _, w := range e.Provider.RemoveFence(f, m) {
			w.Undoing = true
			var gone *ChangedError
			if _, err := e.write(ctx, w, nil); err != nil && !errors.As(err, &gone) {
				return fmt.Errorf("removing its fence first: %w", err)
			}
		}
	}
	return nil
}

// liftedWithin is how long an API server may go on enforcing a policy whose binding was deleted: 44 seconds was seen
// on a busy one.
const liftedWithin = 2 * time.Minute

// writeLifted performs a write; one that the fence denies is tried again for a while, since a fence that was just
// removed is still enforced for some seconds.
func (e *Executor) writeLifted(ctx context.Context, p plan.Write, still func() error) (bool, error) {
	deadline := e.Now().Add(liftedWithin)
	for {
		wrote, err := e.write(ctx, p, still)
		if !DeniedByFence(err) || e.Now().After(deadline) || ctx.Err() != nil {
			return wrote, err
		}
		e.Pause(ctx, retryEvery)
	}
}

// DeniedByFence says whether a write was denied by the fence of its cluster.
func DeniedByFence(err error) bool {
	var denied *DeniedError
	return errors.As(err, &denied) && strings.Contains(denied.Message, plan.FenceName)
}

// isFinal says whether an error of putting back is one that trying again does not change.
func isFinal(err error) bool {
	var changed *ChangedError
	var refused *refusedError
	var denied *DeniedError
	return errors.As(err, &changed) || errors.As(err, &refused) || errors.As(err, &denied)
}
