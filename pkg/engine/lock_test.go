package engine

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// held is a lock that another run has until a time, which passes while somebody pauses.
type held struct {
	Clusters
	now, free time.Time
	fails     error // instead of the lock, once it is free
	cancel    func()
	cancelAt  time.Time
}

func (h *held) Now() time.Time { return h.now }

func (h *held) Pause(_ context.Context, d time.Duration) {
	if h.now = h.now.Add(d); !h.cancelAt.IsZero() && !h.now.Before(h.cancelAt) {
		h.cancel()
	}
}

func (h *held) Lock(context.Context, string, string) (Lock, error) {
	if h.now.Before(h.free) {
		return nil, &LockedError{Home: "hub", Holder: "ann@pod[1]/1", Since: "noon"}
	}
	return free{}, h.fails
}

// A run waits for the one that holds the lock as long as it is told to, says once who that is, and no longer.
func TestALockIsWaitedForAsLongAsItIsTold(t *testing.T) {
	broken := errors.New("the API server did not answer")
	for name, tc := range map[string]struct {
		held, within, stopped time.Duration
		fails                 error
		took                  time.Duration
		says                  string // a part of the error; "" = the lock is had
		is                    error
	}{
		"free":                 {within: time.Minute},
		"free, not waited for": {},
		"held, not waited for": {held: time.Minute, says: "wait for it to end (--lock-timeout 2m does), or end it"},
		"of a run that died":   {held: LockFor, within: 2 * time.Minute, took: LockFor},
		"of a run that goes on": {held: time.Hour, within: 90 * time.Second, took: 90 * time.Second,
			says: "it still did after 1m30s"},
		"for less than a second": {held: time.Hour, within: 300 * time.Millisecond, took: 300 * time.Millisecond,
			says: "ann@pod[1]/1"},
		"interrupted meanwhile": {held: time.Hour, within: time.Hour, stopped: 5 * time.Second, took: 5 * time.Second,
			says: "waiting for the lock in hub", is: context.Canceled},
		"cannot be had at all": {within: time.Minute, fails: broken, says: "did not answer", is: broken},
		"cannot be had in the end": {held: 3 * time.Second, within: time.Minute, took: 3 * time.Second, fails: broken,
			says: "did not answer", is: broken},
		"let go in the last moment": {held: time.Minute, within: time.Minute, took: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
			h := &held{now: noon, free: noon.Add(tc.held), fails: tc.fails, cancel: cancel}
			if tc.stopped > 0 {
				h.cancelAt = noon.Add(tc.stopped)
			}
			var told []Event
			l, waited, err := AwaitLock(ctx, h, "hub", "me", noon.Add(tc.within), func(e Event) { told = append(told, e) })
			switch {
			case tc.says == "" && (err != nil || l == nil):
				t.Errorf("the lock is not had: %v", err)
			case tc.says != "" && (err == nil || !strings.Contains(err.Error(), tc.says)):
				t.Errorf("%v, want %q in it", err, tc.says)
			case tc.is != nil && !errors.Is(err, tc.is):
				t.Errorf("%v is not %v", err, tc.is)
			}
			if took := h.now.Sub(noon); took != tc.took || waited != (tc.took > 0) {
				t.Errorf("it took %s (waited: %v), want %s", took, waited, tc.took)
			}
			if (len(told) == 1) != waited || len(told) > 1 {
				t.Fatalf("told %d times", len(told))
			}
			if waited && (!strings.Contains(told[0].Text, "ann@pod[1]/1 holds the lock in hub since noon; waiting") ||
				!told[0].Until.Equal(noon.Add(tc.within))) {
				t.Errorf("told %+v", told[0])
			}
		})
	}
}

// busy is a mesh whose lock another run holds, from the moment in which it is asked for, and does its work meanwhile.
type busy struct {
	*mesh
	works func()
	asked int
	wrote []string
}

func (b *busy) Lock(context.Context, string, string) (Lock, error) {
	if b.asked++; b.asked == 1 {
		b.works()
		return nil, &LockedError{Home: "hub", Holder: "ann@pod[1]/1", Since: "noon"}
	}
	return free{}, nil
}

func (b *busy) Glance(ctx context.Context, moves map[string]func(plan.Read) bool) plan.State {
	return b.Observe(ctx, contextsIn(moves)...)
}

func (b *busy) Observe(ctx context.Context, contexts ...string) plan.State {
	for _, z := range b.zones {
		z.reachable = true
	}
	return b.mesh.Observe(ctx, contexts...)
}

func (b *busy) Write(ctx context.Context, p plan.Write, still func() error) (bool, error) {
	b.wrote = append(b.wrote, p.Object.String()+" in "+p.Context)
	return b.mesh.Write(ctx, p, still)
}

// What a run saw before it waited for another one is past: it goes on from what that one left, be that the end or a
// wave in flight.
func TestARunThatWaitedGoesOnFromWhatTheOtherLeft(t *testing.T) {
	for name, killed := range map[string]int{"it ended": 0, "it was killed": 4} {
		t.Run(name, func(t *testing.T) {
			w := newMesh(7)
			w.strangers, w.stuck = false, map[string]bool{}
			b := &busy{mesh: w}
			var other Result
			var died bool
			b.works = func() {
				latest, cancel := maps.Clone(w.latest), w.cancel
				w.killAt = killed
				other, died = w.run(plan.Goal{}, func(e *Executor) { e.MaxFailures = 0 })
				w.killAt, w.latest, w.cancel = 0, latest, cancel
			}
			r, _ := w.run(plan.Goal{}, func(e *Executor) { e.Clusters, e.MaxFailures, e.LockTimeout = b, 0, time.Minute })
			if died != (killed > 0) || !died && !other.Done {
				t.Fatalf("the other run: died %v, done %v: %v", died, other.Done, other.Err)
			}
			if !r.Done || r.Err != nil || w.home.InFlight != nil {
				t.Errorf("done: %v, %v, in flight: %+v\n%s", r.Done, r.Err, w.home.InFlight, strings.Join(w.log, "\n"))
			}
			if (len(b.wrote) > 0) != died {
				t.Errorf("it wrote %q", b.wrote)
			}
		})
	}
}
