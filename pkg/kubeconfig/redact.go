package kubeconfig

import (
	"regexp"
	"strings"
	"unicode"
)

// saidLimit is how much of what a plugin printed is shown: the end of it, where programs say what went wrong.
const saidLimit = 300

// said is what a plugin printed on stderr, in one line behind a colon, without what looks like a secret; "" when it
// printed nothing.
func said(stderr []byte) string {
	text := strings.Join(strings.Fields(redact(clean(string(stderr)))), " ")
	if runes := []rune(text); len(runes) > saidLimit {
		text = "... " + string(runes[len(runes)-saidLimit:])
	}
	if text == "" {
		return ""
	}
	return ": " + text
}

var (
	escapes   = regexp.MustCompile(`\x1b(\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|.)`)
	pem       = regexp.MustCompile(`(?s)-----BEGIN [A-Z0-9 ]+-----.*?(-----END [A-Z0-9 ]+-----|$)`)
	jwt       = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{5,}(\.[A-Za-z0-9_-]*)*`)
	scheme    = regexp.MustCompile(`(?i)\b(bearer|basic)\s+[^\s"',;]+`)
	userURL   = regexp.MustCompile(`://[^\s/@]+@`)
	named     = regexp.MustCompile(`(?i)([a-z0-9_-]*(?:token|secret|password|passwd|passphrase|credential|api[_-]?key|private[_-]?key|access[_-]?key|session[_-]?key|assertion|authorization)[a-z0-9_-]*["']?\s*[:=]\s*)("[^"]*"|'[^']*'|[^\s"',;&)]+)`)
	plainWord = regexp.MustCompile(`^[A-Za-z]{1,7}$`)
	longRun   = regexp.MustCompile(`[A-Za-z0-9+/_=-]{20,}`)
)

// hidden stands where something that looks like a secret stood.
const hidden = "[redacted]"

// redact takes out what looks like a secret: PEM blocks, JWTs, what follows Bearer or a word such as token or
// password, what stands before the @ of an address, and long runs of letters with digits, which no word or path
// segment is. It rather takes too much.
func redact(s string) string {
	s = pem.ReplaceAllString(s, hidden)
	s = jwt.ReplaceAllString(s, hidden)
	s = scheme.ReplaceAllString(s, "${1} "+hidden)
	s = userURL.ReplaceAllString(s, "://"+hidden+"@")
	s = named.ReplaceAllStringFunc(s, func(pair string) string {
		m := named.FindStringSubmatch(pair)
		if plainWord.MatchString(m[2]) && !strings.Contains(m[1], "=") {
			return pair // prose: "no credentials: try again"
		}
		return m[1] + hidden
	})
	return longRun.ReplaceAllStringFunc(s, func(run string) string {
		for _, part := range strings.Split(run, "/") { // a path is as long as it likes
			if len(part) >= 20 && strings.ContainsAny(part, "0123456789") && strings.ContainsFunc(part, unicode.IsLetter) {
				return hidden
			}
		}
		return run
	})
}

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
