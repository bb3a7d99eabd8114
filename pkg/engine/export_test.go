package engine

import (
	"context"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// What the tests in package engine_test call of a run. They run on clusters over HTTP, and what reaches those imports
// this package.

// In lets a run begin in a hub that it has found.
func (e *Executor) In(hub string) { e.hub = hub }

// WithoutJournals lets a run have no journal.
func (e *Executor) WithoutJournals() { e.hub, e.journals = "", map[string]*journalCluster{} }

// WithLock replaces the lock that a run holds in a context.
func (e *Executor) WithLock(home string, l Lock) { e.journals[home].lock = l }

func (e *Executor) ObserveNow(ctx context.Context) plan.State { return e.observe(ctx) }

func (e *Executor) LockAll(ctx context.Context, f plan.State) error {
	_, err := e.lockAll(ctx, f)
	return err
}

func (e *Executor) UndoInterrupted(ctx context.Context, f plan.State) (bool, error) {
	return e.undoInterrupted(ctx, f, map[string]Outcome{})
}

func (e *Executor) Begin(ctx context.Context, wave plan.Wave, f plan.State, past plan.WaveRecord) error {
	return e.begin(ctx, wave, f, past)
}

func (e *Executor) End(ctx context.Context, wave plan.Wave, f plan.State, past plan.WaveRecord,
	failed map[string]string) error {
	return e.end(ctx, wave, f, past, failed, nil)
}

func (e *Executor) PublishStep(ctx context.Context, s plan.Step, f plan.State, evidence []string) error {
	return e.publish(ctx, s, f, evidence)
}

// Undone is what came of undoing a step.
type Undone struct {
	Wrote bool
	Err   error
}

func (e *Executor) UndoAll(ctx context.Context, steps []plan.Step) map[string]Undone {
	came := map[string]Undone{}
	for id, r := range e.undoAll(ctx, steps) {
		came[id] = Undone{r.wrote, r.err}
	}
	return came
}

func (e *Executor) WriteOne(ctx context.Context, p plan.Write) (bool, error) {
	return e.write(ctx, p, nil)
}
