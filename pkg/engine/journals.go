package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

// enter asks for every right and becomes the only writer. What was seen before it waited for another run is past: it
// looks again, and asks again, for what that run left may need other rights.
func (e *Executor) enter(ctx context.Context, f plan.State, recorded map[string]Outcome) (plan.State, error) {
	if err := e.authorize(ctx, f, recorded); err != nil {
		return f, err
	}
	waited, err := e.lockAll(ctx, f)
	if err == nil && waited {
		f = e.observe(ctx)
		e.Goal = e.Provider.Complete(f, e.Goal)
		if err = e.Saved.Fits(f); err == nil {
			err = e.authorize(ctx, f, recorded)
		}
	}
	if err != nil {
		e.unlockAll()
	}
	return f, err
}

// lockAll becomes the only writer of every home of the run and reads its journal; it says whether it waited for another
// run. A home that cannot be entered ends the run when it is the hub; else its member is left out of the run.
func (e *Executor) lockAll(ctx context.Context, f plan.State) (waited bool, err error) {
	e.journals = map[string]*journalCluster{}
	until := e.Now().Add(e.LockTimeout)
	if e.hub != "" {
		if waited, err = e.lockJournal(ctx, e.hub, until); err != nil {
			return waited, &NotBegunError{Err: err}
		}
		return waited, nil
	}
	for _, m := range f.Members {
		switch {
		case m.Err != "":
			e.skip(m.Name, "it was not reached when the run began: "+m.Err)
		case e.journals[m.Context] == nil:
			late, err := e.lockJournal(ctx, m.Context, until)
			if waited = waited || late; err != nil {
				e.skip(m.Name, err.Error())
			}
		}
	}
	return waited, nil
}

// NotBegunError says why nothing was begun: a right is missing, say, or another run is the writer.
type NotBegunError struct{ Err error }

func (e *NotBegunError) Error() string { return e.Err.Error() }

func (e *NotBegunError) Unwrap() error { return e.Err }

func (e *Executor) lockJournal(ctx context.Context, context string, until time.Time) (waited bool, err error) {
	lock, waited, err := AwaitLock(ctx, e, context, e.by(ctx, context), until, e.send)
	if err != nil {
		return waited, err
	}
	h := &journalCluster{context: context, lock: lock}
	if h.journal, err = e.ReadJournal(ctx, context); err != nil {
		lock.Unlock()
		return waited, err
	}
	e.journals[context] = h
	return waited, nil
}

// unlockAll lets every lock go.
func (e *Executor) unlockAll() {
	for _, h := range e.journals {
		h.lock.Unlock()
	}
}

// skip leaves a member out of the rest of the run. Each reason is kept.
func (e *Executor) skip(member, why string) {
	for i, s := range e.Goal.Skip {
		if s.Member == member {
			e.Goal.Skip[i].Why += "; " + why
			return
		}
	}
	e.Goal.Skip = append(e.Goal.Skip, plan.Obstacle{Member: member, Why: why})
}

// begin writes down the way back of a wave in each home, and what the objects of it said before anything of them was
// changed.
func (e *Executor) begin(ctx context.Context, wave plan.Wave, f plan.State, past plan.WaveRecord) error {
	parts, err := e.byJournal(wave.Steps, f)
	if err != nil {
		return fmt.Errorf("nothing was written: %w", err)
	}
	for _, p := range parts {
		h, steps := p.journalCluster, p.steps
		next := h.journal
		next.Originals = maps.Clone(next.Originals)
		for _, s := range steps {
			if m := f.Member(s.Member); m == nil || m.Original == nil {
				next.remember(s)
			}
		}
		own := EntryOf(wave.Title, steps, e.by(ctx, h.context), past.Began)
		next.InFlight = own.with(h.notUndone)
		oneWay := slices.ContainsFunc(steps, func(s plan.Step) bool {
			return s.Irreversible || s.NoUndo && s.KeepsOriginal // the next run is to know that it was begun
		})
		if own == nil && len(next.Originals) == len(h.journal.Originals) && !oneWay {
			continue
		}
		entry := past
		entry.By = e.by(ctx, h.context)
		entry.Steps, entry.Result = idsOf(steps), "begun"
		for _, s := range steps {
			entry.Deletes = append(entry.Deletes, deletions(s)...)
		}
		next.History = slices.Clone(next.History)
		next.Record(entry)
		if err := e.keepJournal(ctx, h, next); err != nil {
			return fmt.Errorf("nothing was written, since the way back could not be kept: %w", err)
		}
	}
	return nil
}

// end clears the wave from each home, but for the steps that could not be put back, and adds it to the history.
func (e *Executor) end(ctx context.Context, wave plan.Wave, f plan.State, began plan.WaveRecord,
	failed map[string]string, stuck map[string]bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.UndoWithin)
	defer cancel()
	parts, err := e.byJournal(wave.Steps, f)
	errs := []error{err}
	for _, p := range parts {
		h, steps := p.journalCluster, p.steps
		past := began
		past.By = e.by(ctx, h.context)
		past.Ended, past.Result, past.Steps = e.Now().UTC(), plan.ResultVerified, idsOf(steps)
		writes := false
		for _, s := range steps {
			writes = writes || s.Changes() || s.Irreversible
			if why := failed[s.ID]; why != "" {
				past.Failed = append(past.Failed, s.Member)
				past.Result = s.Member + ": " + why
				past.Deletes = append(past.Deletes, deletions(s)...) // it may have left some of them
			}
		}
		next := h.journal
		if next.InFlight != nil {
			left := *next.InFlight
			left.Steps = slices.DeleteFunc(slices.Clone(left.Steps), func(s EntryStep) bool {
				return !stuck[s.ID] || h.notUndone.holds(s.ID)
			})
			next.InFlight = nil
			if len(left.Steps) > 0 {
				next.InFlight = &left
			}
			next.InFlight = next.InFlight.with(h.notUndone)
		}
		owed := slices.ContainsFunc(steps, func(s plan.Step) bool {
			return plan.Unverified(h.journal.History, s.Member)
		})
		if !h.busy() && !writes && !owed && len(past.Failed) == 0 {
			continue // a proof that went well changes nothing, unless an earlier run owes it
		}
		next.History = slices.Clone(next.History)
		next.Record(past)
		errs = append(errs, e.keepJournal(ctx, h, next))
	}
	return errors.Join(errs...)
}

// journalCluster is a cluster in which a run keeps its lock and its journal: the hub, or each edge's own in a run
// without a hub.
type journalCluster struct {
	context string
	lock    Lock
	journal Journal
	// notUndone is what an interrupted run left in flight and this one may not restore: it stays in the journal, beside
	// each wave of this run, and its members are left out.
	notUndone *Entry
}

// busy says whether the journal holds a wave of this run, or steps of it that could not be put back.
func (h *journalCluster) busy() bool {
	in := h.journal.InFlight
	return in != nil && slices.ContainsFunc(in.Steps, func(s EntryStep) bool { return !h.notUndone.holds(s.ID) })
}

// part is what a home has of a wave.
type part struct {
	*journalCluster
	steps []plan.Step
}

// byJournal parts the steps of a wave by their homes, in the order of their contexts. A step without a home is an
// error: nothing would keep its way back.
func (e *Executor) byJournal(steps []plan.Step, f plan.State) ([]part, error) {
	of := map[*journalCluster][]plan.Step{}
	for _, s := range steps {
		h := e.journalOf(s, f)
		if h == nil {
			return nil, fmt.Errorf("%s has no journal in this run; run the command again", s.Member)
		}
		of[h] = append(of[h], s)
	}
	var parts []part
	for _, h := range e.sortedJournals() {
		if len(of[h]) > 0 {
			parts = append(parts, part{h, of[h]})
		}
	}
	return parts, nil
}

// journalOf is the home of a step: the hub, or the cluster of its member.
func (e *Executor) journalOf(s plan.Step, f plan.State) *journalCluster {
	if h := e.journals[e.hub]; h != nil {
		return h
	}
	if m := f.Member(s.Member); m != nil {
		return e.journals[m.Context]
	}
	return nil
}

// deletions are the objects that a step deletes for good.
func deletions(s plan.Step) []plan.Deletion {
	var all []plan.Deletion
	for _, w := range s.Writes {
		if s.Irreversible && w.Op == plan.OpDelete {
			all = append(all, plan.Deletion{Member: s.Member, Cluster: w.Cluster, Object: w.Object})
		}
	}
	return all
}

// keepJournal writes the journal of a home while its lock is held: another run, which took the lock from one that was
// suspended, may have restored the wave, and have written the way back of its own there.
func (e *Executor) keepJournal(ctx context.Context, h *journalCluster, next Journal) error {
	if err := h.lock.Held(); err != nil {
		return err
	}
	if err := e.WriteJournal(ctx, h.context, next); err != nil {
		return err
	}
	h.journal = next
	return nil
}

// write is Write while the lock of the run is held. A statement that is taken back says when.
func (e *Executor) write(ctx context.Context, p plan.Write, still func() error) (bool, error) {
	if p.Op == plan.OpUpdateStatus {
		p.After = roster.TakenBack(p.After, e.Now())
	}
	return e.Clusters.Write(ctx, p, e.whileLocked(still))
}

// whileLocked asks, beside still, whether the locks are held: a run that was suspended for long may have lost them.
func (e *Executor) whileLocked(still func() error) func() error {
	return func() error {
		for _, h := range e.sortedJournals() {
			if err := h.lock.Held(); err != nil {
				return err
			}
		}
		if still != nil {
			return still()
		}
		return nil
	}
}

// sortedJournals lists the homes by context.
func (e *Executor) sortedJournals() []*journalCluster {
	var all []*journalCluster
	for _, context := range slices.Sorted(maps.Keys(e.journals)) {
		all = append(all, e.journals[context])
	}
	return all
}
