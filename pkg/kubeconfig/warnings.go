package kubeconfig

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"
)

// warner prints what the API server of a context warns of, each warning once. Whom our own webhook tells that it was
// asked is left out: it says so with every answer, for those who probe it.
type warner struct {
	to      io.Writer // nil = discard
	context string

	mu   sync.Mutex
	said map[string]bool
}

// HandleWarningHeader implements rest.WarningHandler.
func (w *warner) HandleWarningHeader(code int, _, text string) {
	if code != 299 || text == "" || w.to == nil || strings.HasPrefix(text, "xcpauth-webhook ") &&
		strings.HasSuffix(text, " was asked") {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.said[text] {
		return
	}
	if w.said == nil {
		w.said = map[string]bool{}
	}
	w.said[text] = true
	line := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
	fmt.Fprintf(w.to, "warning from %s: %s\n", w.context, line)
}
