package e2e

import (
	"bytes"
	"sync"
	"testing"
)

// watcher is a stderr that does something once, as soon as a text was printed.
type watcher struct {
	t    *testing.T
	text string
	then func()

	mu   sync.Mutex
	seen bytes.Buffer
	done bool
}

func newWatcher(t *testing.T, text string, then func()) *watcher {
	w := &watcher{t: t, text: text, then: then}
	t.Cleanup(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if !w.done {
			t.Errorf("%q was never printed:\n%s", text, w.seen.String())
		} else if t.Failed() {
			t.Logf("stderr:\n%s", w.seen.String())
		}
	})
	return w
}

func (w *watcher) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen.Write(p)
	if !w.done && bytes.Contains(w.seen.Bytes(), []byte(w.text)) {
		w.done = true
		w.then()
	}
	return len(p), nil
}
