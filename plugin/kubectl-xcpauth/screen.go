package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/term"
)

// screen is an output that lines can be kept at the end of, redrawn in place, when it is a terminal. What is written
// to it meanwhile comes above them. It knows the few control sequences that every terminal since the VT100 does
// (ECMA-48, and DEC's for the cursor and the alternate window), each written with its text in one write, so that
// nothing flickers.
type screen struct {
	w    io.Writer
	file *os.File // nil when it is no terminal that can be drawn on

	mu     sync.Mutex
	drawn  []string
	window bool   // the alternate window is shown
	hidden bool   // the cursor is
	ended  bool   // nothing is drawn any more
	aside  *aside // what is written goes there, nil = onto the screen
}

const (
	hideCursor  = "\x1b[?25l"
	showCursor  = "\x1b[?25h"
	openWindow  = "\x1b[?1049h"
	closeWindow = "\x1b[?1049l"
	home        = "\x1b[H"
	clearLine   = "\x1b[K" // to its end
	clearBelow  = "\x1b[J"
)

func newScreen(w io.Writer) *screen {
	s := &screen{w: w}
	if isTerminal(w) && os.Getenv("TERM") != "dumb" && drawable(w.(*os.File)) {
		s.file = w.(*os.File)
	}
	return s
}

// isTerminal says whether a person may sit at the other end of a stream.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// live says whether lines can be drawn in place.
func (s *screen) live() bool { return s.file != nil }

// size is how many columns and rows the terminal has now; 80 by 24 when it does not say.
func (s *screen) size() (columns, rows int) {
	if s.file != nil {
		if columns, rows, err := term.GetSize(int(s.file.Fd())); err == nil && columns > 0 && rows > 0 {
			return columns, rows
		}
	}
	return 80, 24
}

// Write implements io.Writer.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.aside != nil {
		return s.aside.Write(p)
	}
	if len(s.drawn) == 0 || s.window || len(p) == 0 {
		return s.w.Write(p)
	}
	var b bytes.Buffer
	s.up(&b)
	b.WriteString(clearBelow)
	b.Write(p)
	if p[len(p)-1] != '\n' {
		b.WriteByte('\n')
	}
	for _, line := range s.drawn {
		b.WriteString(line + "\n")
	}
	if _, err := s.w.Write(b.Bytes()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// turn has what is written from now on go aside; nil ends that.
func (s *screen) turn(to *aside) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.aside = to
}

// draw replaces the lines at the end. None may be wider than the terminal.
func (s *screen) draw(lines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.live() || s.ended || slices.Equal(lines, s.drawn) {
		return
	}
	var b bytes.Buffer
	s.hide(&b)
	s.up(&b)
	for _, line := range lines {
		b.WriteString(line + clearLine + "\n")
	}
	b.WriteString(clearBelow)
	s.drawn = slices.Clone(lines)
	_, _ = s.w.Write(b.Bytes()) // a terminal that is gone is noticed by what is written last
}

// page shows lines alone in the alternate window, from its top; what does not fit is left out.
func (s *screen) page(lines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	columns, rows := s.size()
	var b bytes.Buffer
	if !s.window {
		b.WriteString(openWindow)
		s.window = true
	}
	s.hide(&b)
	b.WriteString(home)
	for i, line := range lines[:min(len(lines), rows)] {
		if i > 0 {
			b.WriteString("\n")
		}
		if utf8.RuneCountInString(line) > columns-1 {
			line = string([]rune(line)[:max(columns-1, 0)])
		}
		b.WriteString("\r" + line + clearLine)
	}
	b.WriteString(clearBelow)
	_, _ = s.w.Write(b.Bytes())
}

// restore ends all drawing and leaves the terminal as it was found. It may be called at any time, and again.
func (s *screen) restore() {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b bytes.Buffer
	if s.window {
		b.WriteString(closeWindow)
	} else if len(s.drawn) > 0 {
		s.up(&b)
		b.WriteString(clearBelow)
	}
	if s.hidden {
		b.WriteString(showCursor)
	}
	s.drawn, s.window, s.hidden, s.ended = nil, false, false, true
	if b.Len() > 0 {
		_, _ = s.w.Write(b.Bytes())
	}
}

func (s *screen) hide(b *bytes.Buffer) {
	if !s.hidden {
		b.WriteString(hideCursor)
		s.hidden = true
	}
}

// up moves the cursor to the first of the drawn lines. A terminal that became narrower since has broken them into more.
func (s *screen) up(b *bytes.Buffer) {
	columns, _ := s.size()
	n := 0
	for _, line := range s.drawn {
		n += 1 + (max(visible(line), 1)-1)/columns
	}
	if n > 0 {
		fmt.Fprintf(b, "\r\x1b[%dA", n)
	}
}

// visible is how many columns a line takes: colours take none.
func visible(line string) int {
	n := utf8.RuneCountInString(line)
	for {
		at := strings.Index(line, "\x1b[")
		if at < 0 {
			return n
		}
		end := strings.IndexByte(line[at:], 'm')
		if end < 0 {
			return n
		}
		n -= end + 1
		line = line[at+end+1:]
	}
}
