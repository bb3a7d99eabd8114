package main

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
)

// terminal is the other end of a real pseudo-terminal, and plays what a person would see: the lines of the window and
// everything above it, the alternate window, the cursor.
type terminal struct {
	*testing.T
	tty *os.File // what the program writes to

	mu       sync.Mutex
	changed  *sync.Cond
	columns  int
	lines    []string
	row, col int
	kept     []string // the lines of the ordinary window while the alternate one is shown
	keptRow  int
	window   bool
	hidden   bool
	seen     []string // every text that was ever visible
	closed   bool
}

func newTerminal(t *testing.T, columns, rows uint16) *terminal {
	t.Helper()
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	master, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := pty.Setsize(tty, &pty.Winsize{Cols: columns, Rows: rows}); err != nil {
		t.Fatal(err)
	}
	term := &terminal{T: t, tty: tty, columns: int(columns)}
	term.changed = sync.NewCond(&term.mu)
	done := make(chan struct{})
	go func() {
		defer close(done)
		term.play(master)
	}()
	t.Cleanup(func() {
		tty.Close()
		master.Close()
		<-done
	})
	return term
}

// resize makes the window another size. As most terminals do, it breaks lines that are too long by then.
func (t *terminal) resize(columns, rows uint16) {
	t.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.columns = int(columns)
	t.at()
	var broken []string
	row := t.row
	for i, line := range t.lines {
		if i == t.row {
			row = len(broken)
		}
		runes := []rune(line)
		for len(runes) > t.columns {
			broken, runes = append(broken, string(runes[:t.columns])), runes[t.columns:]
		}
		broken = append(broken, string(runes))
	}
	t.lines, t.row = broken, row
	if err := pty.Setsize(t.tty, &pty.Winsize{Cols: columns, Rows: rows}); err != nil {
		t.Fatal(err)
	}
}

// sequences are the ones that a screen may send; any other is an error.
var sequences = regexp.MustCompile(`^\x1b\[(\?25[lh]|\?1049[lh]|H|K|J|\d+A|[\d;]*m)`)

func (t *terminal) play(from io.Reader) {
	buf := make([]byte, 1<<16)
	var rest string
	for {
		n, err := from.Read(buf)
		t.mu.Lock()
		rest = t.show(rest + string(buf[:n]))
		t.seen = append(t.seen, strings.Join(t.lines, "\n"))
		t.closed = err != nil
		t.changed.Broadcast()
		t.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// show plays text and returns what may be the beginning of a sequence.
func (t *terminal) show(text string) string {
	for text != "" {
		if text[0] == 0x1b {
			found := sequences.FindString(text)
			if found == "" {
				if len(text) < 8 {
					return text
				}
				t.Errorf("an unknown sequence: %q", text[:8])
				return ""
			}
			t.control(found[2:])
			text = text[len(found):]
			continue
		}
		r, size := []rune(text)[0], len(string([]rune(text)[0]))
		if r == 0xfffd {
			if len(text) < 4 {
				return text
			}
			size = 1
		}
		text = text[size:]
		switch r {
		case '\r':
			t.col = 0
		case '\n':
			t.row++
		default:
			if t.col >= t.columns {
				t.row, t.col = t.row+1, 0
			}
			t.at()
			line := []rune(t.lines[t.row])
			for len(line) <= t.col {
				line = append(line, ' ')
			}
			line[t.col] = r
			t.lines[t.row] = string(line)
			t.col++
		}
	}
	return ""
}

func (t *terminal) at() {
	for len(t.lines) <= t.row {
		t.lines = append(t.lines, "")
	}
}

func (t *terminal) control(what string) {
	t.at()
	switch {
	case what == "?25l":
		t.hidden = true
	case what == "?25h":
		t.hidden = false
	case what == "?1049h":
		t.window, t.kept, t.keptRow, t.lines, t.row, t.col = true, t.lines, t.row, nil, 0, 0
	case what == "?1049l":
		t.window, t.lines, t.row, t.col = false, t.kept, t.keptRow, 0
	case what == "H":
		t.row, t.col = 0, 0
	case what == "K":
		t.lines[t.row] = string([]rune(t.lines[t.row])[:min(t.col, len([]rune(t.lines[t.row])))])
	case what == "J":
		t.lines[t.row] = string([]rune(t.lines[t.row])[:min(t.col, len([]rune(t.lines[t.row])))])
		t.lines = t.lines[:t.row+1]
	case strings.HasSuffix(what, "A"):
		n, _ := strconv.Atoi(strings.TrimSuffix(what, "A"))
		if t.row -= n; t.row < 0 {
			t.Errorf("the cursor goes above the first line")
			t.row = 0
		}
	}
}

// await waits until what is visible has the property, and returns it.
func (t *terminal) await(what string, holds func(text string) bool) string {
	t.Helper()
	late := time.AfterFunc(30*time.Second, func() {
		t.mu.Lock()
		t.closed = true
		t.changed.Broadcast()
		t.mu.Unlock()
	})
	defer late.Stop()
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		text := strings.TrimRight(strings.Join(t.lines, "\n"), "\n ")
		if holds(text) {
			return text
		}
		if t.closed {
			t.Fatalf("never visible: %s; the last was\n%s", what, text)
		}
		t.changed.Wait()
	}
}

func (t *terminal) awaitText(text string) string {
	t.Helper()
	return t.await(fmt.Sprintf("%q", text), func(seen string) bool { return strings.Contains(seen, text) })
}

// asFound fails unless the terminal is as it was: the ordinary window, with a cursor.
func (t *terminal) asFound() {
	t.Helper()
	t.await("the ordinary window with a cursor", func(string) bool { return !t.window && !t.hidden })
}

func TestProgressIsDrawnInPlaceOnATerminal(t *testing.T) {
	term := newTerminal(t, 80, 24)
	s := newScreen(term.tty)
	if !s.live() {
		t.Fatal("a terminal is not taken for one")
	}
	p := &progress{screen: s}
	at := time.Now()
	say := func(phase engine.Phase, member, text string) {
		p.report(engine.Event{At: at, Phase: phase, Member: member, Text: text})
	}
	stamp := at.Format(time.TimeOnly)
	say(engine.WaveStarted, "hub", "wave: the rest")
	for i := range 20 {
		say(engine.Started, fmt.Sprintf("edge-%d", i), "present a JWT")
	}
	say(engine.Waiting, "edge-7", "waiting: EdgeXcp says MUTUAL_TLS")
	term.await("below the title of the wave a table of 12 rows, and the rest counted", func(text string) bool {
		lines := strings.Split(text, "\n")
		return lines[0] == stamp+" hub: wave: the rest" && len(lines) == 1+1+12+1 &&
			strings.HasPrefix(lines[2], "edge-7    waiting ") && lines[14] == "… and 8 more writing"
	})
	fmt.Fprintln(s, "a warning of somebody else")
	term.await("what is written meanwhile above the table", func(text string) bool {
		lines := strings.Split(text, "\n")
		return len(lines) == 16 && lines[1] == "a warning of somebody else" && strings.HasPrefix(lines[2], "MEMBER")
	})
	term.resize(30, 10)
	term.await("the table for 30 columns", func(text string) bool {
		return strings.Contains(text, "… and 14 more writing") && !strings.Contains(text, "WAITS FOR")
	})
	term.resize(80, 24)
	for i := range 20 {
		say(engine.StepVerified, fmt.Sprintf("edge-%d", i), "verified: all is well")
	}
	say(engine.WaveStarted, "hub", "wave: mTLS off")
	term.await("the finished wave as plain lines", func(text string) bool {
		return strings.HasSuffix(text, "wave: mTLS off") && strings.Count(text, "verified: all is well") == 20 &&
			!strings.Contains(text, "MEMBER")
	})
	say(engine.Waiting, "hub", "waiting: an older pod of Central is left")
	say(engine.StepFailed, "hub", "not verified; put back")
	p.end()
	term.await("everything as plain lines, and nothing else", func(text string) bool {
		lines := strings.Split(text, "\n")
		return len(lines) == 1+1+20+1+1 && lines[0] == stamp+" hub: wave: the rest" &&
			lines[23] == stamp+" hub: not verified; put back" && !strings.Contains(text, "MEMBER")
	})
	term.asFound()
}

func TestProgressElsewhereIsPlainLines(t *testing.T) {
	for name, dumb := range map[string]bool{"a pipe": false, "a dumb terminal": true} {
		t.Run(name, func(t *testing.T) {
			var w io.Writer = &strings.Builder{}
			if dumb {
				term := newTerminal(t, 80, 24)
				t.Setenv("TERM", "dumb")
				w = term.tty
				defer func() {
					term.awaitText("12:00:02 edge-1: verified: x")
					term.mu.Lock()
					defer term.mu.Unlock()
					if text := strings.Join(term.seen, ""); strings.Contains(text, "MEMBER") || term.hidden {
						t.Errorf("something is drawn on it: %q", text)
					}
				}()
			}
			p := &progress{screen: newScreen(w)}
			at := time.Date(2026, 3, 27, 12, 0, 0, 0, time.Local)
			for i, e := range []engine.Event{{Phase: engine.WaveStarted, Member: "hub", Text: "wave: canary"},
				{Phase: engine.Waiting, Member: "edge-1", Text: "waiting: x"}, {Phase: engine.StepVerified, Member: "edge-1",
					Text: "verified: x"}} {
				e.At = at.Add(time.Duration(i) * time.Second)
				p.report(e)
			}
			p.end()
			if b, ok := w.(*strings.Builder); ok &&
				b.String() != "12:00:00 hub: wave: canary\n12:00:01 edge-1: waiting: x\n12:00:02 edge-1: verified: x\n" {
				t.Errorf("got\n%s", b.String())
			}
		})
	}
}

func TestColours(t *testing.T) {
	for _, tc := range []struct {
		flag, noColor, term string
		tty, want           bool
	}{
		{"auto", "", "xterm", true, true},
		{"auto", "1", "xterm", true, false},
		{"auto", "", "dumb", true, false},
		{"auto", "", "xterm", false, false},
		{"always", "1", "dumb", false, true},
		{"never", "", "xterm", true, false},
	} {
		term := newTerminal(t, 80, 24)
		t.Setenv("NO_COLOR", tc.noColor)
		t.Setenv("TERM", tc.term)
		var w io.Writer = io.Discard
		if tc.tty {
			w = term.tty
		}
		if got := (&fleetOptions{colour: tc.flag}).coloured(newScreen(w)); got != tc.want {
			t.Errorf("%+v: coloured %v", tc, got)
		}
	}
	if r := xcpauth(t, "", "status", "--color=sometimes"); r.code != 1 ||
		!strings.Contains(r.err, "--color is \"sometimes\"; pass one of "+strings.Join(colours, ", ")) {
		t.Errorf("exit code %d: %s", r.code, r.err)
	}
}

// The second Ctrl-C may come while the table is redrawn: what comes after the terminal was restored draws nothing.
func TestNothingIsDrawnOnceTheTerminalIsRestored(t *testing.T) {
	term := newTerminal(t, 80, 24)
	s := newScreen(term.tty)
	s.draw([]string{"one", "two"})
	term.awaitText("two")
	s.restore()
	s.draw([]string{"three"})
	s.page([]string{"four"})
	fmt.Fprintln(s, "last words")
	term.await("nothing but what was written", func(text string) bool { return text == "last words" })
	term.asFound()
}

func TestColoursTakeNoColumns(t *testing.T) {
	lines := map[string]int{"": 0, "abc": 3, "\x1b[31mabc\x1b[0m": 3, "a…\x1b[1m": 2}
	for line, want := range lines {
		if got := visible(line); got != want {
			t.Errorf("%q takes %d columns, want %d", line, got, want)
		}
	}
}
