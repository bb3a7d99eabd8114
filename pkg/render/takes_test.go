package render

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
	"github.com/xcpauth/kubectl-xcpauth/pkg/estimate"
)

func TestHowLongAWaveTakesIsOneLine(t *testing.T) {
	for _, tc := range []struct {
		of                 estimate.Time
		says, json, latest string
	}{
		{estimate.Time{Complete: true, Limited: true, AtMost: 100 * time.Second}, "at once, at most 100s",
			`{"expectedSeconds":0,"atMostSeconds":100}`, "; over by 12:01:40 at the latest"},
		{estimate.Time{Known: 110500 * time.Millisecond, Complete: true, Limited: true, AtMost: 15*time.Minute + time.Second},
			"about 111s, at most 16m", `{"expectedSeconds":111,"atMostSeconds":901}`, "; over by 12:15:01 at the latest"},
		{estimate.Time{Known: 41 * time.Minute, Limited: true, AtMost: 100 * time.Minute},
			"about 41m and what is not known, at most 1h40m", `{"atMostSeconds":6000}`, "; over by 13:40:00 at the latest"},
		{estimate.Time{Limited: true, AtMost: 3 * time.Hour}, "how long is not known, at most 3h", `{"atMostSeconds":10800}`,
			"; over by 15:00:00 at the latest"},
		{estimate.Time{Limited: true, AtMost: 12 * time.Hour}, "how long is not known, at most 12h",
			`{"atMostSeconds":43200}`, "; over by 2026-01-03 00:00:00 at the latest"},
		{estimate.Time{}, "how long is not known, without a limit", `{}`, ""},
	} {
		r := takes(tc.of, time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC))
		b, err := json.Marshal(r)
		if err != nil || r.words() != tc.says || string(b) != tc.json || r.over() != tc.latest {
			t.Errorf("%+v: %q, %s, %q, %v", tc.of, r.words(), b, r.over(), err)
		}
	}
}

func TestProgressSaysWhichWaveItIsAndUntilWhenItWaits(t *testing.T) {
	p := &Progress{}
	wave := event(0, engine.WaveStarted, "hub", "wave 3 of 10: canary")
	wave.Until, wave.Takes = noon.Add(16*time.Minute), estimate.Time{Known: 2 * time.Minute, Complete: true}
	waiting := event(5, engine.Waiting, "edge-1", "waiting: EdgeXcp does not say JWT yet")
	waiting.Until = noon.Add(15 * time.Minute)
	up := p.Add(wave, false)
	if want := "12:00:00 hub: wave 3 of 10: canary (about 2m, until 12:16:00 at most)"; len(up) != 1 || up[0] != want {
		t.Errorf("%q, want %q", up, want)
	}
	p.Add(waiting, false)
	if got := strings.Join(p.Lines(noon.Add(10*time.Second), 100, 20, false), "\n"); !strings.Contains(got,
		"until 12:15:00: EdgeXcp does not say JWT yet") {
		t.Error(got)
	}
	if got, want := p.Line(waiting, false),
		"12:00:05 edge-1: waiting: EdgeXcp does not say JWT yet (until 12:15:00 at most)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	wave.Takes = estimate.Time{Known: time.Minute}
	if got := p.Line(wave, false); strings.Contains(got, "about") {
		t.Errorf("it says how long it takes, and that is not known: %s", got)
	}
}
