package supply

import (
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/redact"
)

// maxSaid is how much of what a program said is repeated.
const maxSaid = 600

// said makes what a program said fit to be shown: what may be a secret is masked, control characters are taken out, and
// only the end of it is kept, on one line.
func said(text string) string {
	text = redact.Text(text)
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0x9b {
			return -1
		}
		return r
	}, text)
	if len(text) > maxSaid {
		text = "... " + strings.ToValidUTF8(text[len(text)-maxSaid:], "")
	}
	return strings.TrimSpace(text)
}
