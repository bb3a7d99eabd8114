package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"strings"
	"sync"
	"unicode"

	"k8s.io/klog/v2"
)

// libraries is the log of the libraries below us, client-go's klog and the standard library's: a line of theirs in the
// middle of a table that is redrawn would tear it, so it goes through our own stderr, in our own form, and each only
// once.
var libraries = &libraryLog{}

type libraryLog struct {
	once sync.Once

	mu   sync.Mutex
	to   io.Writer
	said map[string]bool
}

// logTo has the libraries log to a writer from now on.
func (l *libraryLog) logTo(to io.Writer) {
	l.mu.Lock()
	l.to, l.said = to, map[string]bool{}
	l.mu.Unlock()
	l.once.Do(func() { // they may log at any time, so what they hold is never changed again
		klog.SetSlogLogger(slog.New(l))
		log.SetFlags(0)
		log.SetOutput(l)
	})
}

// Write implements io.Writer for the standard library's log, which writes one line at a time.
func (l *libraryLog) Write(line []byte) (int, error) {
	l.say(string(line))
	return len(line), nil
}

// Enabled implements slog.Handler.
func (*libraryLog) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

// Handle implements slog.Handler: the message, and what there is of an error.
func (l *libraryLog) Handle(_ context.Context, r slog.Record) error {
	text := strings.TrimSpace(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "err" && a.Value.String() != text {
			text += ": " + a.Value.String()
		}
		return true
	})
	l.say(text)
	return nil
}

// WithAttrs implements slog.Handler.
func (l *libraryLog) WithAttrs([]slog.Attr) slog.Handler { return l }

// WithGroup implements slog.Handler.
func (l *libraryLog) WithGroup(string) slog.Handler { return l }

func (l *libraryLog) say(text string) {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) ||
			unicode.IsSpace(r)
	}), " ")
	l.mu.Lock()
	defer l.mu.Unlock()
	if text == "" || l.said[text] {
		return
	}
	l.said[text] = true
	fmt.Fprintln(l.to, "log: "+text)
}
