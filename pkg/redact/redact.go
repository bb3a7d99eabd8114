// Package redact takes secrets out of text that is shown. Values that are known to be secret are a plan.Secret and need
// no search; here is what others wrote: programs, API servers, people who put a token where a name belongs. It knows
// only the forms that secrets have, and imports nothing of ours.
package redact

import (
	"regexp"
	"strings"
	"unicode"
)

// Hidden stands where a secret stood.
const Hidden = "[redacted]"

// The forms of secrets that are none of anything else.
var (
	armoured  = regexp.MustCompile(`(?s)-----BEGIN [A-Z0-9 ]+-----.*?(-----END [A-Z0-9 ]+-----|$)`)
	jwt       = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{5,}(\.[A-Za-z0-9_-]*)*`)
	ofKey     = regexp.MustCompile(`"(d|p|q|dp|dq|qi|k)"(\s*:\s*)"[^"]*"?`) // the private members of a JSON web key
	longToken = regexp.MustCompile(`(?i)\b(bearer|basic)\s+[a-z0-9+/_.=-]{16,}`)
	userURL   = regexp.MustCompile(`://[^\s/@]+@`)
)

// What only looks like one.
var (
	scheme    = regexp.MustCompile(`(?i)\b(bearer|basic)\s+[^\s"',;]+`)
	named     = regexp.MustCompile(`(?i)([a-z0-9_-]*(?:token|secret|password|passwd|passphrase|credential|api[_-]?key|private[_-]?key|access[_-]?key|session[_-]?key|assertion|authorization)[a-z0-9_-]*["']?\s*[:=]\s*)("[^"]*"|'[^']*'|[^\s"',;&)]+)`)
	plainWord = regexp.MustCompile(`^[A-Za-z]{1,7}$`)
	longRun   = regexp.MustCompile(`[A-Za-z0-9+/_=-]{20,}`)
)

// Text masks what is a secret, and what looks like one, in what a program printed: what follows Bearer or a word such
// as token or password, and long runs of letters with digits, which no word or path segment is. It rather takes too
// much.
func Text(s string) string {
	s = armoured.ReplaceAllString(s, Hidden)
	s = Secrets(s)
	s = scheme.ReplaceAllString(s, "${1} "+Hidden)
	s = named.ReplaceAllStringFunc(s, func(pair string) string {
		m := named.FindStringSubmatch(pair)
		if plainWord.MatchString(m[2]) && !strings.Contains(m[1], "=") {
			return pair // prose: "no credentials: try again"
		}
		return m[1] + Hidden
	})
	return longRun.ReplaceAllStringFunc(s, func(run string) string {
		for _, part := range strings.Split(run, "/") { // a path is as long as it likes
			digits := strings.ContainsAny(part, "0123456789") || strings.HasSuffix(part, "==")
			if len(part) >= 20 && digits && strings.ContainsFunc(part, unicode.IsLetter) {
				return Hidden
			}
		}
		return run
	})
}

// Secrets masks what is a secret by its form, and leaves names alone: private keys, JWTs, the private members of JSON
// web keys, what follows Bearer, and what stands before the @ of an address. It is for text of which most is ours.
func Secrets(s string) string {
	s = armoured.ReplaceAllStringFunc(s, func(block string) string {
		if first, _, _ := strings.Cut(block, "\n"); strings.Contains(first, "PRIVATE") {
			return Hidden
		}
		return block
	})
	s = jwt.ReplaceAllString(s, Hidden)
	s = ofKey.ReplaceAllString(s, `"$1"$2"`+Hidden+`"`)
	s = longToken.ReplaceAllString(s, "${1} "+Hidden)
	return userURL.ReplaceAllString(s, "://"+Hidden+"@")
}
