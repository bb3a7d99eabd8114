package main

import (
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
)

// asideShown is how many lines are kept of what is written beside a window, asideFor how long they are shown: as long
// as a login may take.
const (
	asideShown = 4
	asideFor   = 2 * time.Minute
)

// aside takes what is written to stderr while a window is redrawn, where it would be gone at once: a warning, or the
// code with which a credential plugin wants its user to log in. The window shows the last of it at its end.
type aside struct {
	mu    sync.Mutex
	lines []string
	open  bool // the last line has no end yet: a question
	at    time.Time
}

// Write implements io.Writer.
func (a *aside) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at = time.Now()
	for i, line := range strings.SplitAfter(string(p), "\n") {
		text, ended := strings.CutSuffix(line, "\n")
		text = strings.Map(func(r rune) rune {
			if unicode.IsPrint(r) {
				return r
			}
			return ' '
		}, text)
		switch {
		case line == "":
			continue
		case i == 0 && a.open:
			a.lines[len(a.lines)-1] += text
		default:
			a.lines = append(a.lines, text)
		}
		a.open = !ended
	}
	a.lines = a.lines[max(0, len(a.lines)-asideShown):]
	return len(p), nil
}

// shown are the lines to show now, below an empty one.
func (a *aside) shown(now time.Time, columns int) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.lines) == 0 || now.Sub(a.at) > asideFor {
		return nil
	}
	lines := []string{""}
	for _, l := range a.lines {
		lines = append(lines, render.Clip(strings.TrimRight(l, " "), columns-1))
	}
	return lines
}
