package kubeconfig

import (
	"regexp"
	"strings"
	"unicode"

	"github.com/xcpauth/kubectl-xcpauth/pkg/redact"
)

// saidLimit is how much of what a plugin printed is shown: the end of it, where programs say what went wrong.
const saidLimit = 300

// said is what a plugin printed on stderr, in one line behind a colon, without what looks like a secret; "" when it
// printed nothing.
func said(stderr []byte) string {
	text := strings.Join(strings.Fields(redact.Text(clean(string(stderr)))), " ")
	if runes := []rune(text); len(runes) > saidLimit {
		text = "... " + string(runes[len(runes)-saidLimit:])
	}
	if text == "" {
		return ""
	}
	return ": " + text
}

var escapes = regexp.MustCompile(`\x1b(\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|.)`)

// clean takes out what a terminal would obey.
func clean(s string) string {
	s = escapes.ReplaceAllString(s, "")
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}
