package render

import (
	"fmt"
	"io"
	"regexp"
	"strings"
)

// Paragraph prints text after a label, wrapped, with the following lines indented below the text. A command in it that
// follows a colon has a line of its own, which is never broken: it is there to be copied.
func Paragraph(w io.Writer, label, text string) {
	label, text = clean(label), clean(text)
	indent := strings.Repeat(" ", min(widthOf(label), 24))
	line := label
	for {
		prose, command, rest := cutCommand(text)
		line = wrapped(w, pageOf(w).width(), line, indent, prose)
		if command == "" {
			break
		}
		fmt.Fprintln(w, strings.TrimRight(line, " "))
		fmt.Fprintln(w, indent+"  "+command)
		if line, text = indent, rest; rest == "" {
			return
		}
	}
	fmt.Fprintln(w, strings.TrimRight(line, " "))
}

// wrapped prints the words of a text but for its last line, which it returns; the first follows what is on the line.
func wrapped(w io.Writer, width int, line, indent, text string) string {
	fresh := true
	for _, word := range strings.Fields(text) {
		if !fresh && widthOf(line)+1+widthOf(word) > width {
			fmt.Fprintln(w, line)
			line, fresh = indent, true
		}
		if !fresh {
			line += " "
		}
		line, fresh = line+word, false
	}
	return line
}

// ofCommand is where a command begins in a sentence.
var ofCommand = regexp.MustCompile(`: [a-z]*ctl [a-z]`)

// cutCommand cuts a text at its first command that follows a colon. It ends with the text, or outside of quotes with a
// semicolon, or with a comma or a full stop before a space. command is "" where there is none.
func cutCommand(text string) (prose, command, rest string) {
	at := ofCommand.FindStringIndex(text)
	if at == nil {
		return text, "", ""
	}
	prose, command = text[:at[0]+1], text[at[0]+2:]
	quote := rune(0)
	for i, r := range command {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote = r
		case quote == 0 && (r == ';' || strings.HasPrefix(command[i:], ", ") || strings.HasPrefix(command[i:], ". ")):
			return prose, strings.TrimSpace(command[:i]), strings.TrimSpace(command[i+1:])
		}
	}
	return prose, strings.TrimSuffix(strings.TrimSpace(command), "."), ""
}
