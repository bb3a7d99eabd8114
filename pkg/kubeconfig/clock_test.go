package kubeconfig

import (
	"net/http"
	"testing"
	"time"
)

func TestSkewIsWhatTheAnswerCannotExplain(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) string { return noon.Add(d).Format(http.TimeFormat) }
	for _, tc := range []struct {
		name string
		took time.Duration
		date string
		want time.Duration
		told bool
	}{
		{"the same time", 10 * time.Millisecond, at(0), 0, true},
		{"cut to the second before", 10 * time.Millisecond, at(-time.Second), 0, true},
		{"while a credential plugin took its time", 40 * time.Second, at(30 * time.Second), 0, true},
		{"ahead", time.Second, at(time.Minute), 59 * time.Second, true},
		{"behind", time.Second, at(-time.Minute), -59 * time.Second, true},
		{"no date", time.Second, "", 0, false},
		{"no date at all", time.Second, "yesterday", 0, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var c Cluster
			c.clock.note(noon, noon.Add(tc.took), tc.date)
			if got := c.Skew(); (got != nil) != tc.told || (got != nil && *got != tc.want) {
				t.Errorf("skew %v, want %v (told: %v)", got, tc.want, tc.told)
			}
		})
	}
}

func TestTheQuickestAnswerTellsTheSkew(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var c Cluster
	for _, took := range []time.Duration{90 * time.Second, time.Second, 80 * time.Second} {
		c.clock.note(noon, noon.Add(took), noon.Add(time.Minute).Format(http.TimeFormat))
	}
	if got := c.Skew(); got == nil || *got != 59*time.Second {
		t.Errorf("skew %v, want 59s", got)
	}
}
