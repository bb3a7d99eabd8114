package render

import (
	"fmt"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/estimate"
)

// Takes is how long a wave takes, or all of them; a number that is not known is left out.
type Takes struct {
	Expected *int64 `json:"expectedSeconds,omitempty"`
	AtMost   *int64 `json:"atMostSeconds,omitempty"`

	time  estimate.Time
	began time.Time
}

// told says whether it was asked how long it takes.
func (t Takes) told() bool { return !t.began.IsZero() }

func takes(t estimate.Time, began time.Time) Takes {
	r := Takes{time: t, began: began}
	if t.Complete {
		r.Expected = seconds(t.Known)
	}
	if t.Limited {
		r.AtMost = seconds(t.AtMost)
	}
	return r
}

// words say how long it takes: "about 2m, at most 16m".
func (t Takes) words() string {
	expected := "how long is not known"
	switch {
	case t.time.Complete && t.time.Known == 0:
		expected = "at once"
	case t.time.Complete:
		expected = "about " + lasts(t.time.Known)
	case t.time.Known > 0:
		expected = "about " + lasts(t.time.Known) + " and what is not known"
	}
	if !t.time.Limited {
		return expected + ", without a limit"
	}
	return expected + ", at most " + lasts(t.time.AtMost)
}

// about says how long a wave should take, where that is known, before another word.
func about(t estimate.Time) string {
	if !t.Complete || t.Known == 0 {
		return ""
	}
	return "about " + lasts(t.Known) + ", "
}

// over says when that would be over, where there is a limit.
func (t Takes) over() string {
	if !t.time.Limited {
		return ""
	}
	return "; over by " + TimeOfDay(t.began.Add(t.time.AtMost), t.began) + " at the latest"
}

// lasts is a length of time for a plan, rounded up: "40s", "16m", "1h40m".
func lasts(d time.Duration) string {
	switch minutes := int64((d + time.Minute - 1) / time.Minute); {
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", *seconds(d))
	case minutes < 60:
		return fmt.Sprintf("%dm", minutes)
	case minutes%60 == 0:
		return fmt.Sprintf("%dh", minutes/60)
	default:
		return fmt.Sprintf("%dh%dm", minutes/60, minutes%60)
	}
}

// seconds is a length of time in whole seconds, rounded up.
func seconds(d time.Duration) *int64 {
	n := int64((d + time.Second - 1) / time.Second)
	return &n
}
