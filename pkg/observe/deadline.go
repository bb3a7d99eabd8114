package observe

import (
	"context"
	"errors"
	"sync"
	"time"
)

// errDeadline is why a context ended whose deadline has passed.
var errDeadline = errors.New("the deadline has passed")

// deadline ends a context after a time that it can be told not to count: while a credential plugin waits for its
// turn, or a human answers it, nobody is late.
type deadline struct {
	cancel context.CancelCauseFunc

	mu    sync.Mutex
	left  time.Duration
	since time.Time // when it last began to count; zero while it does not
	timer *time.Timer
}

func withDeadline(ctx context.Context, d time.Duration) (context.Context, *deadline) {
	ctx, cancel := context.WithCancelCause(ctx)
	dl := &deadline{cancel: cancel, left: d}
	dl.run(true)
	return ctx, dl
}

// run says whether time counts from now on.
func (d *deadline) run(counts bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case counts && d.since.IsZero():
		d.since = time.Now()
		d.timer = time.AfterFunc(d.left, func() { d.cancel(errDeadline) })
	case !counts && !d.since.IsZero():
		d.timer.Stop()
		d.left -= time.Since(d.since)
		d.since = time.Time{}
	}
}

func (d *deadline) stop() {
	d.run(false)
	d.cancel(context.Canceled)
}
