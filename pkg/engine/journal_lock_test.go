package engine_test

import (
	"errors"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/test/bed"
)

// lost is a lock that another run has taken.
type lost struct{}

func (lost) Held() error { return errors.New("the lock was taken by somebody else") }

func (lost) Unlock() {}

// A run that was suspended, and whose lock another one has taken, leaves the journal as that one wrote it: the way
// back of a wave that is not its own is in it.
func TestTheJournalIsLeftToWhoHasTheLock(t *testing.T) {
	step := bed.Moved("a", "a")
	wave := plan.Wave{Title: "the rest", Steps: []plan.Step{step}}
	for name, writes := range map[string]func(*engine.Executor, plan.State) error{
		"a wave begins": func(e *engine.Executor, f plan.State) error {
			return e.Begin(t.Context(), wave, f,
				plan.WaveRecord{})
		},
		"a wave ends": func(e *engine.Executor, f plan.State) error {
			return e.End(t.Context(), wave, f, plan.WaveRecord{}, map[string]string{step.ID: "not verified"})
		},
		"a wave is restored": func(e *engine.Executor, f plan.State) error {
			_, err := e.UndoInterrupted(t.Context(), f)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, e := newBed(t, map[string][]bed.Object{"hub": bed.OpenHub("a"), "a": bed.OnJWT("a")})
			b.Journal = bed.InFlight(t, step)
			f := e.ObserveNow(t.Context())
			if err := e.LockAll(t.Context(), f); err != nil {
				t.Fatal(err)
			}
			e.WithLock("hub", lost{})
			b.Journal = bed.InFlight(t, bed.Moved("b", "b"))
			other := b.Journal
			if err := writes(e, f); err == nil || b.Journal != other || len(b.Wrote) > 0 {
				t.Errorf("%v; the journal of the other run became %s; wrote %q", err, b.Journal, b.Wrote)
			}
		})
	}
}

// What a run saw of a member that another one may have hold of by now is not stated.
func TestNothingIsStatedWithoutTheLock(t *testing.T) {
	for name, lock := range map[string]engine.Lock{"held": bed.Free{}, "lost": lost{}} {
		b, e := newBed(t, map[string][]bed.Object{"hub": append(bed.OpenHub("a"), bed.Stated("a")), "a": bed.OnJWT("a")})
		f := e.ObserveNow(t.Context())
		if err := e.LockAll(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		e.WithLock("hub", lock)
		err := e.PublishStep(t.Context(), plan.Step{ID: "prove/a", States: plan.StatesAgain, Member: "a"}, f,
			[]string{"seen"})
		if (err == nil) != (name == "held") || (len(b.Wrote) > 0) != (name == "held") {
			t.Errorf("the lock is %s: %v; wrote %q", name, err, b.Wrote)
		}
	}
}
