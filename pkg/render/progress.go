package render

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Progress is the wave in flight as a table that is redrawn in place: one row for each member, in the phase that its
// last event says.
type Progress struct {
	// Columns is how wide the terminal is on which lines are wrapped; 0 = they are not.
	Columns int

	rows  []*progressRow
	began time.Time // of the first event
}

type progressRow struct {
	last  engine.Event
	since time.Time // when the phase began
}

// Add takes an event in, and returns the lines that scroll up above the table: the end of the last wave, the title of
// the next, and what concerns no row.
func (p *Progress) Add(e engine.Event, colour bool) []string {
	switch e.Phase {
	case engine.WaveStarted:
		return append(p.End(colour), p.Line(e, colour))
	case engine.Info:
		return []string{p.Line(e, colour)}
	}
	for _, r := range p.rows {
		if r.last.Member != e.Member {
			continue
		}
		if phaseWord(r.last.Phase) != phaseWord(e.Phase) {
			r.since = e.At
		}
		r.last = e
		return nil
	}
	p.rows = append(p.rows, &progressRow{last: e, since: e.At})
	return nil
}

// End empties the table and returns what became of each member, in the order in which that was known.
func (p *Progress) End(colour bool) []string {
	slices.SortStableFunc(p.rows, func(a, b *progressRow) int { return a.last.At.Compare(b.last.At) })
	var lines []string
	for _, r := range p.rows {
		lines = append(lines, p.Line(r.last, colour))
	}
	p.rows = nil
	return lines
}

// Line is an event as one line: what progress is where there is no terminal to draw on. On one it is wrapped.
func (p *Progress) Line(e engine.Event, colour bool) string {
	if p.began.IsZero() {
		p.began = e.At
	}
	text := oneLine(e.Member + ": " + e.Text)
	if !e.Until.IsZero() {
		text += " (" + about(e.Takes) + "until " + TimeOfDay(e.Until, p.began) + " at most)"
	}
	at := TimeOfDay(e.At, p.began) + " "
	if p.Columns > 2*len(at) {
		var lines bytes.Buffer
		rest := wrapped(&lines, p.Columns-1-len(at), "", "", text)
		text = strings.ReplaceAll(lines.String()+rest, "\n", "\n"+strings.Repeat(" ", len(at)))
	}
	if colour {
		text = paint(styles[e.Phase], text)
	}
	return at + text
}

// progressShown is how many members a table shows at most, on however tall a terminal.
const progressShown = 12

// Lines lays the table out for a terminal of a size: no line reaches its last column, and what does not fit is counted.
func (p *Progress) Lines(now time.Time, columns, height int, colour bool) []string {
	if len(p.rows) == 0 || columns < 2 {
		return nil
	}
	rows := slices.Clone(p.rows)
	slices.SortStableFunc(rows, func(a, b *progressRow) int {
		return cmp.Compare(slices.Index(urgency, a.last.Phase), slices.Index(urgency, b.last.Phase))
	})
	shown := min(len(rows), progressShown, max(height-4, 1))
	widest := utf8.RuneCountInString("MEMBER")
	for _, r := range rows[:shown] {
		widest = max(widest, utf8.RuneCountInString(r.last.Member))
	}
	widest = min(widest, max((columns-1)/3, 6))
	text := columns - 1 - widest - len("   WAITING   000s   ")
	line := func(member, phase, since, what, style string) string {
		s := fmt.Sprintf("%-*s   %-7s", widest, Clip(member, widest), phase)
		if columns-1 >= widest+len("   WAITING   000s") {
			s += fmt.Sprintf("   %-4s", since)
		}
		if text >= len("WAITS FOR") {
			s += "   " + what
		}
		s = strings.TrimRight(Clip(s, columns-1), " ")
		if colour {
			s = paint(style, s)
		}
		return s
	}
	lines := []string{line("MEMBER", "PHASE", "FOR", "WAITS FOR", "1")}
	for _, r := range rows[:shown] {
		what := r.last.Text
		for _, said := range []string{"waiting: ", "verified: ", r.last.Member + ": "} { // the row says that
			what = strings.TrimPrefix(what, said)
		}
		if !r.last.Until.IsZero() { // first, for a long text is clipped
			what = "until " + TimeOfDay(r.last.Until, p.began) + ": " + what
		}
		lines = append(lines, line(r.last.Member, phaseWord(r.last.Phase), plan.Short(max(now.Sub(r.since), 0)), what,
			styles[r.last.Phase]))
	}
	if folded := rows[shown:]; len(folded) > 0 {
		lines = append(lines, Clip("… and "+fold(folded), columns-1))
	}
	return lines
}

// TimeOfDay is a time for those who watch since another: without its date on the same day alone.
func TimeOfDay(at, since time.Time) string {
	if since.In(at.Location()).Format(time.DateOnly) == at.Format(time.DateOnly) {
		return at.Format(time.TimeOnly)
	}
	return at.Format(time.DateTime)
}

// fold counts the rows that are not shown by their phase: "88 more waiting", "90 more: 2 waiting, 88 verified".
func fold(rows []*progressRow) string {
	counts := map[string]int{}
	var words []string
	for _, r := range rows {
		word := phaseWord(r.last.Phase)
		if counts[word]++; counts[word] == 1 {
			words = append(words, word)
		}
	}
	if len(words) == 1 {
		return fmt.Sprintf("%d more %s", len(rows), words[0])
	}
	for i, word := range words {
		words[i] = fmt.Sprintf("%d %s", counts[word], word)
	}
	return fmt.Sprintf("%d more: %s", len(rows), strings.Join(words, ", "))
}

// urgency orders the phases: what somebody should look at first.
var urgency = []engine.Phase{engine.StepFailed, engine.Waiting, engine.Wrote, engine.Started, engine.StepVerified}

func phaseWord(p engine.Phase) string {
	switch p {
	case engine.Started, engine.Wrote:
		return "writing"
	}
	return string(p)
}

// styles are how a phase is coloured (ECMA-48 SGR).
var styles = map[engine.Phase]string{engine.StepFailed: "31", engine.StepVerified: "32", engine.WaveStarted: "1"}

func paint(style, text string) string {
	if style == "" {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}

// Clip makes text one line of at most a number of columns, and says with … that it is shorter than it was.
func Clip(text string, columns int) string {
	text = oneLine(text)
	if utf8.RuneCountInString(text) <= columns {
		return text
	}
	if columns < 1 {
		return ""
	}
	return string([]rune(text)[:columns-1]) + "…"
}

// oneLine makes line breaks spaces and leaves other control characters out: what a server says is not to move the
// cursor.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return ' '
		case r < ' ' || r == 0x7f:
			return -1
		}
		return r
	}, text)
}
