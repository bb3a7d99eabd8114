package engine

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// LockFor is how long a lock is good without being renewed.
const LockFor = 30 * time.Second

// lockPoll is how often a lock that another run holds is asked for again.
const lockPoll = time.Second

// Lock is held by the one run that may write.
type Lock interface {
	// Held says why the lock is not held any more, nil while it is.
	Held() error
	// Unlock lets it go.
	Unlock()
}

// LockedError says that another run is the writer.
type LockedError struct {
	Home, Holder, Since string
	Waited              time.Duration // for how long it was waited for
}

func (e *LockedError) Error() string {
	next := "wait for it to end (--lock-timeout 2m does), or end it"
	if e.Waited > 0 {
		next = fmt.Sprintf("it still did after %s; look at what it does, or end it", e.Waited.Round(time.Second))
	}
	return fmt.Sprintf("another run is at work: %s holds the lock in %s since %s; %s; a run that died lets go after %s",
		e.Holder, e.Home, e.Since, next, LockFor)
}

// AwaitLock is Lock of clusters; while another run holds it, it asks again until a time, and says whether it had to.
// The first time it tells who holds it: of a pod that was killed, say, the next one does not know that it is dead.
func AwaitLock(ctx context.Context, c Clusters, home, by string, until time.Time,
	tell func(Event)) (l Lock, waited bool, err error) {
	began := c.Now()
	for {
		l, err := c.Lock(ctx, home, by)
		var locked *LockedError
		if !errors.As(err, &locked) {
			return l, waited, err
		}
		left := until.Sub(c.Now())
		if left <= 0 {
			if waited {
				locked.Waited = c.Now().Sub(began)
			}
			return nil, waited, locked
		}
		if !waited {
			tell(Event{At: c.Now(), Phase: Info, Member: "hub", Until: until,
				Text: fmt.Sprintf("another run is at work: %s holds the lock in %s since %s; waiting for it",
					locked.Holder, home, locked.Since)})
		}
		waited = true
		if c.Pause(ctx, min(lockPoll, left)); ctx.Err() != nil {
			return nil, waited, fmt.Errorf("waiting for the lock in %s, which %s holds: %w", home, locked.Holder, ctx.Err())
		}
	}
}
