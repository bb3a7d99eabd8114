package render

import (
	"fmt"
	"io"
	"strings"

	"github.com/mattn/go-runewidth"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// gap is what stands between two columns, as wide as kubectl's.
const gap = "   "

// shortest is how far a cell is shortened so that its row fits the page.
const shortest = 10

// cellStyles are the colours of cells that say how something is, by the heading above them.
var cellStyles = map[string]map[string]string{
	"STATE": {"connected": green, "ready": green, "not ready": red, "not connected": red, "blocked": red,
		"moving": yellow, "unknown": yellow,
		"unreachable": red, "forbidden": red, "not found": red},
	"SEVERITY": {"error": red, "warning": yellow},
	"RESULT": {"verified": green, "done": green, "failed": red, "reverted": yellow, "blocked": red,
		"interrupted": yellow, "not attempted": yellow},
}

// The colours of text.
const (
	green  = "32"
	yellow = "33"
	red    = "1;31"
)

// Columns prints rows under headings, aligned as kubectl does. A cell is one line, whatever a name holds. Where a page
// has a width, cells that are too long for it are shortened in their middle, the longest first.
func Columns(w io.Writer, headings []string, rows [][]string) {
	page := pageOf(w)
	all := [][]string{headings}
	for _, r := range rows {
		cells := make([]string, len(headings))
		for i := range min(len(r), len(cells)) {
			cells[i] = clean(r[i])
		}
		all = append(all, cells)
	}
	widths := widthsOf(all)
	if page.Fit {
		fit(headings, widths, page.width())
	}
	for n, r := range all {
		if n == 0 && page.NoHeaders {
			continue
		}
		var line strings.Builder
		for i, cell := range r {
			cell = middle(cell, widths[i])
			pad := strings.Repeat(" ", widths[i]-widthOf(cell))
			if style := cellStyles[headings[i]][cell]; style != "" && n > 0 && page.Colour {
				cell = paint(style, cell)
			}
			line.WriteString(cell)
			if i < len(r)-1 {
				line.WriteString(pad + gap)
			}
		}
		fmt.Fprintln(page, strings.TrimRight(line.String(), " "))
	}
}

// widthsOf are the widths of the columns, in cells of a terminal.
func widthsOf(rows [][]string) []int {
	widths := make([]int, len(rows[0]))
	for _, r := range rows {
		for i, cell := range r {
			widths[i] = max(widths[i], widthOf(cell))
		}
	}
	return widths
}

// fit makes the widest columns narrower until a row is no wider than the page, if that can be. Columns of one word,
// which tells how something is, stay whole.
func fit(headings []string, widths []int, width int) {
	total := len(gap) * (len(widths) - 1)
	for _, n := range widths {
		total += n
	}
	for ; total > width; total-- {
		widest := -1
		for i, n := range widths {
			if whole := cellStyles[headings[i]] != nil || headings[i] == "NEXT"; !whole && (widest < 0 || n > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 || widths[widest] <= shortest {
			return
		}
		widths[widest]--
	}
}

// inSentence is how wide a name is at most where it stands among words.
const inSentence = 40

// few are names in a sentence: at most so many, and how many more there are; long ones are shortened in their middle.
func few(names []string, most int) string {
	short := make([]string, 0, len(names))
	for _, name := range names {
		short = append(short, middle(name, inSentence))
	}
	return plan.Few(short, most)
}

// middle is a text of at most that width: a part of its middle is left out where it is wider. The ends of a long name
// tell it from others: arn:aws:eks:eu-…-1:cluster/payments-prod.
func middle(s string, width int) string {
	if widthOf(s) <= width {
		return s
	}
	head := runewidth.Truncate(s, (width-1)/2, "")
	tail := []rune(s)
	for widthOf(head)+1+widthOf(string(tail)) > width {
		tail = tail[1:]
	}
	return head + "…" + string(tail)
}

// widthOf is how many columns of a terminal a text takes. Most text is ASCII, of which it is the length; to find that
// of another takes twenty times as long.
func widthOf(text string) int {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' {
			return runewidth.StringWidth(text)
		}
	}
	return len(text)
}
