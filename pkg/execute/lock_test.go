package execute

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Two runs at once could turn mTLS off while the other puts an edge back: a lock is only taken at once from a process
// that is surely dead.
func TestAHolderIsGoneOnlyWhenItsVeryMachineSaysSo(t *testing.T) {
	ended := exec.Command(os.Args[0], "-test.run=^$")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	dead, mine := ended.Process.Pid, ProcessOf("ann@host")
	here, _, known := strings.Cut(mine, "/")
	if !strings.HasPrefix(here, "ann@host[") || !known {
		t.Fatalf("this process is called %q, want its machine in it", mine)
	}
	for _, tc := range []struct {
		name, holder, asker string
		want                bool
	}{
		{"a dead process of this machine", fmt.Sprintf("%s/%d", here, dead), mine, true},
		{"a dead process of this machine, of somebody else", fmt.Sprintf("%s/%d", strings.Replace(here, "ann", "bob", 1), dead), mine, true},
		{"a dead process of this machine, of a user with an @ and a /",
			fmt.Sprintf("%s/%d", strings.Replace(here, "ann", "arn:aws:sts::1:assumed-role/x/ann@example.com", 1), dead), mine,
			true},
		{"a process of this machine that runs", mine, mine, false},
		{"a process of another machine with the same name", fmt.Sprintf("ann@host[00000000]/%d", dead), mine, false},
		{"a machine that is known by name alone", fmt.Sprintf("ann@host/%d", dead), "ann@host/1", false},
		{"not a process at all", "ann@host", mine, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := gone(tc.holder, tc.asker); got != tc.want {
				t.Errorf("%s is gone, asked by %s: %v, want %v", tc.holder, tc.asker, got, tc.want)
			}
		})
	}
}

func TestALockWithoutManagedFieldsIsNoOlderThanItSays(t *testing.T) {
	renewed := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	var l lease
	l.Spec.RenewTime = renewed.Format(microTime)
	if got := l.written(); !got.Equal(renewed) {
		t.Errorf("written %s, want when it was renewed: it would be taken from a run that is at work", got)
	}
	l.Metadata.ManagedFields = []managedField{{Time: renewed.Add(time.Minute).Format(time.RFC3339)}}
	if got := l.written(); !got.Equal(renewed.Add(time.Minute)) {
		t.Errorf("written %s, want the API server's time, where there is one", got)
	}
}

// lost is a lock that another run has taken.
type lost struct{}

func (lost) Held() error { return errors.New("the lock was taken by somebody else") }
func (lost) Unlock()     {}

// A run that was suspended, and whose lock another one has taken, leaves the journal as that one wrote it: the way
// back of a wave that is not its own is in it.
func TestTheJournalIsLeftToWhoHasTheLock(t *testing.T) {
	step := moved("a", "a")
	wave := plan.Wave{Title: "the rest", Steps: []plan.Step{step}}
	for name, writes := range map[string]func(*Executor, plan.State) error{
		"a wave begins": func(e *Executor, f plan.State) error { return e.begin(t.Context(), wave, f, plan.WaveRecord{}) },
		"a wave ends": func(e *Executor, f plan.State) error {
			return e.end(t.Context(), wave, f, plan.WaveRecord{}, map[string]string{step.ID: "not proved"}, nil)
		},
		"a wave is restored": func(e *Executor, f plan.State) error {
			_, err := e.undoInterrupted(t.Context(), f, map[string]Outcome{})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, e := newBed(t, map[string][]object{"hub": openHub("a"), "a": onJWT("a")})
			b.journal = inFlight(t, step)
			f := e.observe(t.Context())
			if err := e.lockAll(t.Context(), f); err != nil {
				t.Fatal(err)
			}
			e.journals["hub"].lock, b.journal = lost{}, inFlight(t, moved("b", "b"))
			other := b.journal
			if err := writes(e, f); err == nil || b.journal != other || len(b.wrote) > 0 {
				t.Errorf("%v; the journal of the other run became %s; wrote %q", err, b.journal, b.wrote)
			}
		})
	}
}

// What a run saw of a member that another one may have hold of by now is not stated.
func TestNothingIsStatedWithoutTheLock(t *testing.T) {
	for name, lock := range map[string]Lock{"held": free{}, "lost": lost{}} {
		b, e := newBed(t, map[string][]object{"hub": append(openHub("a"), stated("a")), "a": onJWT("a")})
		f := e.observe(t.Context())
		if err := e.lockAll(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		e.journals["hub"].lock = lock
		err := e.publish(t.Context(), plan.Step{ID: "prove/a", States: plan.StatesAgain, Member: "a"}, f, []string{"seen"})
		if (err == nil) != (name == "held") || (len(b.wrote) > 0) != (name == "held") {
			t.Errorf("the lock is %s: %v; wrote %q", name, err, b.wrote)
		}
	}
}
