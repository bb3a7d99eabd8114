package main

import (
	"fmt"
	"html"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
)

// What a character of a terminal takes in a picture, in pixels.
const (
	cellWidth  = 8.4
	lineHeight = 19.0
	margin     = 16.0
)

// style is how a reader's colour scheme shows what a program coloured.
const style = `text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#1f2328;white-space:pre}
rect{fill:#f6f8fa;stroke:#d1d9e0}.b{font-weight:700}.c31{fill:#cf222e}.c32{fill:#1a7f37}
.c33{fill:#9a6700}.c36{fill:#0969da}.c2{fill:#656d76}
@media (prefers-color-scheme: dark) {text{fill:#e6edf3}rect{fill:#0d1117;stroke:#3d444d}.c2{fill:#9198a1}
.c31{fill:#ff7b72}.c32{fill:#3fb950}.c33{fill:#d29922}.c36{fill:#58a6ff}}`

// sgr is a control sequence that changes how text looks; any other is left out.
var (
	sgr   = regexp.MustCompile("\x1b\\[([0-9;]*)m")
	other = regexp.MustCompile("\x1b(\\[[0-9;?]*[A-Za-ln-z]|\\][^\x07]*\x07|[=>])")
)

// picture draws what a command printed on a terminal as an SVG that follows the reader's colour scheme. alt says what
// is to be seen, for those who do not see it.
func picture(command, printed, alt string) string {
	const prompt = "\x1b[2m$ \x1b[0m\x1b[1m"
	var lines []string
	text := strings.ReplaceAll(other.ReplaceAllString(printed, ""), "\r", "")
	for line := range strings.SplitSeq(prompt+command+"\x1b[0m\n"+strings.TrimRight(text, "\n"), "\n") {
		lines = append(lines, broken(line)...)
	}
	width, height := 2*margin+cellWidth*imageColumns, 2*margin+lineHeight*float64(len(lines))
	var out strings.Builder
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" role="img" width="%.0f" height="%.0f"`, width, height)
	fmt.Fprintf(&out, ` viewBox="0 0 %.0f %.0f">`, width, height)
	fmt.Fprintf(&out, "\n<title>%s</title>\n<desc>%[1]s</desc>\n<style>%s</style>\n", html.EscapeString(alt), style)
	fmt.Fprintf(&out, "<rect x=\"0.5\" y=\"0.5\" width=\"%.0f\" height=\"%.0f\" rx=\"8\"/>\n", width-1, height-1)
	row := func(i int, text string) {
		fmt.Fprintf(&out, "<text x=\"%.0f\" y=\"%.0f\" xml:space=\"preserve\">%s</text>\n", margin,
			margin+lineHeight*(float64(i)+0.75), text)
	}
	for i, l := range lines {
		row(i, spans(l))
	}
	out.WriteString("</svg>\n")
	return out.String()
}

// broken is a line as a terminal breaks it, each part with the colour that holds there.
func broken(line string) []string {
	var parts []string
	var part strings.Builder
	colour, columns := "", 0
	for line != "" {
		if m := sgr.FindString(line); m != "" && strings.HasPrefix(line, m) {
			colour = m
			part.WriteString(m)
			line = line[len(m):]
			continue
		}
		r, size := utf8.DecodeRuneInString(line)
		if columns += runewidth.RuneWidth(r); columns > imageColumns {
			parts, columns = append(parts, part.String()), runewidth.RuneWidth(r)
			part.Reset()
			part.WriteString(colour)
		}
		part.WriteString(line[:size])
		line = line[size:]
	}
	return append(parts, part.String())
}

// spans are the parts of a line, each with the classes of its colours.
func spans(line string) string {
	var out strings.Builder
	classes := ""
	write := func(text string) {
		switch {
		case text == "":
		case classes == "":
			out.WriteString(html.EscapeString(text))
		default:
			fmt.Fprintf(&out, `<tspan class="%s">%s</tspan>`, classes, html.EscapeString(text))
		}
	}
	at := 0
	for _, m := range sgr.FindAllStringSubmatchIndex(line, -1) {
		write(line[at:m[0]])
		at = m[1]
		classes = classesOf(classes, line[m[2]:m[3]])
	}
	write(line[at:])
	return out.String()
}

// classesOf is what holds after the codes of a control sequence.
func classesOf(before, codes string) string {
	classes := strings.Fields(before)
	for code := range strings.SplitSeq(codes, ";") {
		switch code {
		case "", "0", "39", "22":
			classes = nil
		case "1":
			classes = append(classes, "b")
		default:
			classes = append(classes, "c"+code)
		}
	}
	return strings.Join(classes, " ")
}
