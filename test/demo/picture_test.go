package main

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"
)

// A picture is XML, shows each character that was printed, with its colour, and nothing of the terminal's controls.
func TestAPictureShowsWhatWasPrinted(t *testing.T) {
	const printed = "\x1b[?25lA <b> & \x1b[1;31mred\x1b[0m end\r\n\r\n\x1b[32m日本\x1b[39m\x1b[K\r\n\x1b[?25h"
	svg := picture("kubectl status", printed, "what is \"seen\"")
	var text strings.Builder
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("%v\n%s", err, svg)
		}
		if data, ok := token.(xml.CharData); ok {
			text.Write(data)
		}
	}
	for _, want := range []string{`what is "seen"`, "$ kubectl status", "A <b> & red end", "日本"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("it does not show %q:\n%s", want, text.String())
		}
	}
	if long := broken("\x1b[32m" + strings.Repeat("日", imageColumns)); len(long) != 2 ||
		!strings.HasPrefix(long[1], "\x1b[32m日") {
		t.Errorf("a line of twice the width is broken into %q", long)
	}
	for _, want := range []string{`<tspan class="b c31">red</tspan> end`, `<tspan class="c32">日本</tspan>`} {
		if !strings.Contains(svg, want) {
			t.Errorf("it has no %q:\n%s", want, svg)
		}
	}
	if strings.ContainsAny(svg, "\x1b\r") {
		t.Errorf("it has controls of the terminal: %q", svg)
	}
}
