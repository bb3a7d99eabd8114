package runs

import (
	"bytes"
	"sync"
	"testing"
)

// Watcher is a stderr that does something once, as soon as a text was printed. A test in which that never was fails.
type Watcher struct {
	text string
	then func()

	mu   sync.Mutex
	seen bytes.Buffer
	done bool
}

// NewWatcher returns one that waits for a text.
func NewWatcher(t *testing.T, text string, then func()) *Watcher {
	w := OnText(text, then)
	t.Cleanup(func() {
		if !w.Done() {
			t.Errorf("%q was never printed", text)
		}
		if t.Failed() {
			t.Logf("stderr:\n%s", w)
		}
	})
	return w
}

// OnText returns one that waits for a text which may never be printed.
func OnText(text string, then func()) *Watcher { return &Watcher{text: text, then: then} }

func (w *Watcher) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen.Write(p)
	if !w.done && bytes.Contains(w.seen.Bytes(), []byte(w.text)) {
		w.done = true
		w.then()
	}
	return len(p), nil
}

// Done says whether the text was printed.
func (w *Watcher) Done() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.done
}

// String is what was printed so far.
func (w *Watcher) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen.String()
}
