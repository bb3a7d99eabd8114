package render

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode"

	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
)

// APIVersion is the apiVersion of every report.
const APIVersion = "xcpauth.io/v1alpha1"

// Report is something to print.
type Report interface {
	// Table lays the report out as text.
	Table(w io.Writer, wide bool)
}

// Page is what tables and text are laid out on.
type Page struct {
	io.Writer
	Width     int  // in columns; 0 is 80
	Fit       bool // a row of a table is no wider than that, as on a terminal
	NoHeaders bool // tables have no headings
	Colour    bool
}

// PrintOne writes the report as one of many in a stream: JSON in one line, YAML as a document of its own.
func PrintOne(w io.Writer, f Format, r Report) error {
	switch f.Name {
	case "json":
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		return e.Encode(r)
	case "yaml":
		if _, err := io.WriteString(w, "---\n"); err != nil {
			return err
		}
	}
	return Print(w, f, r)
}

// Print writes the report in the given format; w may be a *Page.
func Print(w io.Writer, f Format, r Report) error {
	if !f.IsTable() {
		return f.print(w, r, false)
	}
	page := *pageOf(w)
	page.NoHeaders = f.NoHeaders
	r.Table(&page, f.Name == "wide")
	return nil
}

// Painted is a writer that colours the lines of a table which somebody is to see: what a diff takes away and adds,
// and where a way back ends. Each line must come in one write.
func Painted(w io.Writer, colour bool) io.Writer {
	if !colour {
		return w
	}
	return painter{w}
}

type painter struct{ io.Writer }

// ruleLine is the line with which the findings of a rule begin.
var ruleLine = regexp.MustCompile(`^XA\d{3} `)

// flagLine is a line of a sentence that was broken before a flag.
var flagLine = regexp.MustCompile(`^ +--[a-z]`)

func (p painter) Write(text []byte) (int, error) {
	line, ends := strings.CutSuffix(string(text), "\n")
	style := ""
	switch {
	case strings.HasPrefix(line, "     +"):
		style = green
	case strings.HasPrefix(line, "     -") && !flagLine.MatchString(line):
		style = "31"
	case ruleLine.MatchString(line) && strings.Contains(line, " "+string(finding.Error)):
		style = red
	case ruleLine.MatchString(line) && strings.Contains(line, " "+string(finding.Warning)):
		style = yellow
	case strings.Contains(line, "way back: NONE"), strings.HasPrefix(line, "THE WAY BACK ENDS"),
		strings.HasPrefix(line, " ! "), strings.HasPrefix(line, "NOT CONNECTED: "):
		style = red
	}
	if style == "" || !ends || strings.Contains(line, "\n") {
		return p.Writer.Write(text)
	}
	if _, err := io.WriteString(p.Writer, paint(style, line)+"\n"); err != nil {
		return 0, err
	}
	return len(text), nil
}

// pageOf is the page that a writer is, or a plain one.
func pageOf(w io.Writer) *Page {
	if p, is := w.(*Page); is {
		return p
	}
	return &Page{Writer: w}
}

// width is how wide text is laid out.
func (p *Page) width() int { return cmp.Or(p.Width, 80) }

// clean takes out what a terminal would obey, or a table take for the end of a cell.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}

// Wrap prints text in lines of at most a number of columns, each line that begins with a space as it is.
func Wrap(w io.Writer, text string, columns int) {
	line := ""
	flush := func() {
		if line != "" {
			fmt.Fprintln(w, line)
		}
		line = ""
	}
	for l := range strings.Lines(text) {
		if strings.HasPrefix(l, " ") {
			flush()
			fmt.Fprintln(w, strings.TrimRight(l, "\n"))
			continue
		}
		for _, word := range strings.Fields(l) {
			if line != "" && widthOf(line)+1+widthOf(word) > columns {
				flush()
			}
			line = strings.TrimLeft(line+" "+word, " ")
		}
	}
	flush()
}

// plural is a number of things: "1 edge", "2 edges".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
