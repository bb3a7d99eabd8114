package render

import (
	"fmt"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
)

// word is a credential as people write it.
func word(c guard.Cred) string {
	switch c {
	case "mtls":
		return "mTLS"
	case "jwt":
		return "JWT"
	case "":
		return "unknown"
	case "none":
		return "no token"
	}
	if kid, ok := strings.CutPrefix(string(c), "kid:"); ok {
		return "kid " + kid
	}
	return string(c)
}

func thingsAre(n int) string {
	if n == 1 {
		return "1 thing is"
	}
	return fmt.Sprintf("%d things are", n)
}

// left is the time until t, short.
func left(t, at time.Time) string {
	if !at.Before(t) {
		return "expired"
	}
	return short(t.Sub(at))
}

func ago(t, at time.Time) string {
	if d := at.Sub(t); d >= time.Second {
		return short(d) + " ago"
	}
	return "just now"
}

func short(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
