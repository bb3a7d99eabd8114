package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/redact"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
)

// expiry is when a credential expires, given in RFC 3339.
func expiry(at string) string {
	t, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return at
	}
	return "expires " + stamp(t)
}

// stamp is a time as reports have it.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "not known"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// both is a cell's value with what is said about it.
func both(value string, more ...string) string {
	for _, s := range more {
		if s != "" {
			value += "; " + s
		}
	}
	return value
}

// shown is text as every format shows it: without secrets, and without what a terminal or a page would obey.
func shown(s string) string { return render.Clean(redact.Secrets(s)) }

// diffShown is how many lines of a diff are shown: a policy that is created has hundreds, the same for each member.
const diffShown = 60

// diffLines are the lines of a diff, as far as it is shown.
func diffLines(d string) []string {
	all := shownLines(d)
	if n := len(all) - diffShown; n > 0 {
		return append(all[:diffShown], fmt.Sprintf("… and %d more lines, which kubectl xcpauth plan --diff shows", n))
	}
	return all
}

// shownLines are the lines of a text, each as it is shown.
func shownLines(s string) []string {
	all := strings.Split(strings.TrimRight(redact.Secrets(s), "\n"), "\n")
	for i := range all {
		all[i] = render.Clean(all[i])
	}
	return all
}
