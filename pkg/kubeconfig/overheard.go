package kubeconfig

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// overheard is the stderr of a plugin that runs without the terminal: it is kept, and from when it is shown passed on
// too.
type overheard struct {
	began chan struct{} // closed by the first that is printed

	mu    sync.Mutex
	text  capped
	shown io.Writer // nil until then
}

// Write implements io.Writer.
func (o *overheard) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.text.Len() == 0 && len(p) > 0 {
		close(o.began)
	}
	if o.shown != nil {
		_, _ = o.shown.Write(p) // a terminal that is gone does not stop a login
	}
	return o.text.Write(p)
}

func (o *overheard) kept() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Bytes()
}

// show passes on what was printed and what will be.
func (o *overheard) show(to io.Writer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, _ = to.Write(o.text.Bytes())
	o.shown = to
}

// errLimit is why a plugin was stopped whose time was over.
var errLimit = errors.New("its time is over")

// limit is how long a plugin may run. It can stand still while the plugin waits for its turn, and begin again.
type limit struct {
	mu     sync.Mutex
	within time.Duration
	over   func() // nil before and after the run
	timer  *time.Timer
}

func newLimit(within time.Duration) *limit { return &limit{within: within} }

// bound ends a context when the time is over.
func (l *limit) bound(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = func() { cancel(errLimit) }
	l.timer = time.AfterFunc(l.within, l.over)
	return ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.timer.Stop()
		l.over = nil
		cancel(context.Canceled)
	}
}

// stop lets no more time pass.
func (l *limit) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over != nil {
		l.timer.Stop()
	}
}

// start begins again, with so much time.
func (l *limit) start(within time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over != nil {
		l.within, l.timer = within, time.AfterFunc(within, l.over)
	}
}

func (l *limit) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.within.String()
}
