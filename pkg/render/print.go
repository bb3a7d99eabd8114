package render

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf8"

	"sigs.k8s.io/yaml"
)

// APIVersion is the apiVersion of every report.
const APIVersion = "xcpauth.io/v1alpha1"

// Formats lists the output formats of -o.
var Formats = []string{"table", "wide", "json", "yaml"}

// Report is something to print.
type Report interface {
	// Table lays the report out as text.
	Table(w io.Writer, wide bool)
}

// CheckFormat refuses an unknown output format, before any work is done.
func CheckFormat(format string) error {
	if !slices.Contains(Formats, format) {
		return fmt.Errorf("output format %q is not known; pass -o with one of: %s", format, strings.Join(Formats, ", "))
	}
	return nil
}

// PrintOne writes the report as one of many in a stream: JSON in one line, YAML as a document of its own.
func PrintOne(w io.Writer, format string, r Report) error {
	switch format {
	case "json":
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		return e.Encode(r)
	case "yaml":
		if _, err := io.WriteString(w, "---\n"); err != nil {
			return err
		}
	}
	return Print(w, format, r)
}

// Print writes the report in the given format.
func Print(w io.Writer, format string, r Report) error {
	switch format {
	case "json":
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(r)
	case "yaml":
		b, err := yaml.Marshal(r)
		if err == nil {
			_, err = w.Write(b)
		}
		return err
	}
	r.Table(w, format == "wide")
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

func (p painter) Write(text []byte) (int, error) {
	line, ends := strings.CutSuffix(string(text), "\n")
	style := ""
	switch {
	case strings.HasPrefix(line, "     +"):
		style = "32"
	case strings.HasPrefix(line, "     -"):
		style = "31"
	case strings.Contains(line, "way back: NONE"), strings.HasPrefix(line, "THE WAY BACK ENDS"),
		strings.HasPrefix(line, " ! "):
		style = "1;31"
	}
	if style == "" || !ends || strings.Contains(line, "\n") {
		return p.Writer.Write(text)
	}
	if _, err := io.WriteString(p.Writer, paint(style, line)+"\n"); err != nil {
		return 0, err
	}
	return len(text), nil
}

// Columns prints rows under headings, aligned. A cell is one line, whatever a name holds.
func Columns(w io.Writer, headings []string, rows [][]string) {
	t := tabwriter.NewWriter(w, 6, 4, 3, ' ', 0) // as kubectl's
	fmt.Fprintln(t, strings.Join(headings, "\t"))
	for _, r := range rows {
		for i := range r {
			r[i] = clean(r[i])
		}
		fmt.Fprintln(t, strings.Join(r, "\t"))
	}
	t.Flush()
}

// width is how wide text that is read is laid out.
const width = 80

// Paragraph prints text after a label, wrapped, with the following lines indented below the text.
func Paragraph(w io.Writer, label, text string) {
	label, text = clean(label), clean(text)
	indent := strings.Repeat(" ", min(utf8.RuneCountInString(label), 24))
	line := label
	fresh := true
	for _, word := range strings.Fields(text) {
		if !fresh && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			fmt.Fprintln(w, line)
			line, fresh = indent, true
		}
		if !fresh {
			line += " "
		}
		line, fresh = line+word, false
	}
	fmt.Fprintln(w, strings.TrimRight(line, " "))
}

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
			if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > columns {
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
