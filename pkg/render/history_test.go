package render

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// went is a wave that was carried out some minutes before noon.
func went(before int, took time.Duration, title, goal, said string, lost []string, steps ...string) plan.WaveRecord {
	began := noon.Add(-time.Duration(before) * time.Minute)
	return plan.WaveRecord{Wave: title, Began: began, Ended: began.Add(took), By: "ann@change-host", Goal: goal,
		Result: said, Failed: lost, Steps: steps}
}

func TestHistory(t *testing.T) {
	var hundred []string
	for i := range 100 {
		hundred = append(hundred, fmt.Sprintf("move/edge-%d", i))
	}
	hub := []plan.WaveRecord{
		went(300, 2*time.Second, "register", "jwt-only", "proved", nil, "register"),
		went(299, 75*time.Second, "both modes on", "jwt-only", "proved", nil, "open"),
		went(290, 15*time.Minute, "canary", "jwt-only",
			"edge-1: not verified within 15m0s: its pods have not connected since; put back", []string{"edge-1"}, "move/edge-1"),
		went(200, time.Minute, "canary", "", "interrupted; restored by bob@other-host", nil, "move/edge-1"),
		went(100, 70*time.Minute, "the canary's token rotation", "jwt-only", "proved", nil, "witness/edge-1"),
		went(20, 4*time.Minute, "the rest", "jwt-only", "proved", nil, hundred...),
	}
	own := []plan.WaveRecord{went(150, 3*time.Minute, "canary", "edges", "proved", nil, "move/far")}
	f := plan.State{At: noon, Hub: plan.Hub{HubIdentity: plan.HubIdentity{Found: true, Context: "hub", ClusterUID: "1"},
		HubRecords: plan.HubRecords{History: hub,
			InFlight: `the wave "mTLS off" of ann@change-host, begun 2026-03-27T11:59:00Z`}},
		Members: []plan.Member{
			{Identity: plan.Identity{Name: "edge-1", Context: "edge-1", ClusterUID: "2"}},
			{Identity: plan.Identity{Name: "far", Context: "far", ClusterUID: "3"}, Past: plan.Past{History: own}},
			{Identity: plan.Identity{Name: "far-2", Context: "far", ClusterUID: "3"}, Past: plan.Past{History: own}},
			// in the same cluster: its journal counts once
			{Identity: plan.Identity{Name: "mpc", Context: "hub", ClusterUID: "1"}},
			{Identity: plan.Identity{Name: "gone", Context: "gone", Err: "the API server refused the connection"}},
		},
		Others: []plan.OtherContext{{Context: "asleep", State: "unreachable", Why: "did not answer in time"},
			{Context: "empty", State: "no-member"}}}
	h := NewHistory(f)
	text := laid(h, false)
	narrow(t, text)
	golden(t, "history", text)
	if wide := laid(h, true); !strings.Contains(wide, "edge-99") || strings.Contains(wide, "more") {
		t.Errorf("wide does not name every member:\n%s", wide)
	}
	report := alike(t, h)
	waves, _ := report["waves"].([]any)
	if len(waves) != 7 {
		t.Fatalf("%d waves, want 7: %v", len(waves), waves)
	}
	last := waves[6].(map[string]any)
	if steps, _ := last["steps"].([]any); len(steps) != 100 || last["said"] != "proved" ||
		last["by"] != "ann@change-host" || last["goal"] != "jwt-only" || last["context"] != "hub" ||
		last["wave"] != "the rest" {
		t.Errorf("the last wave is %v", last)
	}
	if got := waves[4].(map[string]any)["context"]; got != "far" {
		t.Errorf("the wave of the edge's own journal is said to be of %v", got)
	}
	if !slices.IsSortedFunc(h.Waves, func(a, b HistoryWave) int { return a.Ended.Compare(b.Ended) }) {
		t.Error("the newest is not last")
	}
	if want := []string{"gone: the API server refused the connection",
		"asleep: did not answer in time"}; !slices.Equal(h.Unread, want) {
		t.Errorf("unread are %q, want %q", h.Unread, want)
	}
}

func TestAHistoryWithNothingInItSaysSo(t *testing.T) {
	h := NewHistory(plan.State{At: noon, Hub: plan.Hub{HubIdentity: plan.HubIdentity{Found: true, Context: "hub"}}})
	if got := laid(h, false); got != "no wave was carried out yet\n" {
		t.Errorf("got %q", got)
	}
	if waves, ok := alike(t, h)["waves"].([]any); !ok || len(waves) != 0 {
		t.Error("in JSON the waves are not an empty list")
	}
}
