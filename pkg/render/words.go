package render

import (
	"fmt"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

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
	return plan.Short(t.Sub(at))
}

func ago(t, at time.Time) string {
	if d := at.Sub(t); d >= time.Second {
		return plan.Short(d) + " ago"
	}
	return "just now"
}

// Stamp is a time in reports: RFC 3339, in UTC.
func Stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Clean is text without what a terminal, or the reader of a page, must not be given.
func Clean(s string) string { return clean(s) }
