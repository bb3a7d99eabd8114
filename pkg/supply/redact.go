package supply

import (
	"regexp"
	"strings"
)

// secretLike is what may be a secret in what a program says: PEM keys, members of a JSON web key, what follows a
// telling word, and every long run of the letters of base64.
var secretLike = []struct {
	what *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\z)`), "***"},
	{regexp.MustCompile(`"(d|p|q|dp|dq|qi|k|n|jwk|x|y)"\s*:\s*"[^"]*"?`), `"$1": "***"`},
	{regexp.MustCompile(`(?i)\b(bearer|basic)\s+\S+`), "$1 ***"},
	{regexp.MustCompile(`(?i)([\w-]*(?:password|passwd|token|secret|authorization|api-?key))("?\s*[:=]\s*|=)("[^"]*"?|\S+)`), "$1$2***"},
	{regexp.MustCompile(`[A-Za-z0-9+/_-]{16,}(\.[A-Za-z0-9+/_-]{8,}){1,}=*`), "***"},
	{regexp.MustCompile(`[A-Za-z0-9+/_=]{32,}`), "***"},
}

// maxSaid is how much of what a program said is repeated.
const maxSaid = 600

// redact makes what a program said fit to be shown: what may be a secret is masked, control characters are taken out,
// and only the end of it is kept, on one line.
func redact(text string) string {
	for _, s := range secretLike {
		text = s.what.ReplaceAllString(text, s.with)
	}
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
