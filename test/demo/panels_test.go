package main

import (
	"encoding/json"
	"testing"
)

func TestAFigureIsShownAsItsPanelSays(t *testing.T) {
	for _, tc := range []struct {
		name, defaults string
		value          float64
		shown, colour  string
	}{
		{"weeks", `{"unit":"s"}`, 30 * 86400, "4.29 weeks", ""},
		{"a part of a second", `{"unit":"s"}`, 0.0125, "12.5 ms", ""},
		{"memory", `{"unit":"bytes"}`, 64 << 20, "64 MiB", ""},
		{"a count", `{"unit":"short","decimals":0}`, 1.004, "1", ""},
		{"a word", `{"mappings":[{"options":{"1":{"text":"yes"}}}]}`, 1, "yes", ""},
		{"below a threshold", `{"thresholds":{"steps":[{"color":"red","value":null},{"color":"green","value":2}]}}`, 1, "1",
			"red"},
		{"at a threshold", `{"thresholds":{"steps":[{"color":"red","value":null},{"color":"green","value":2}]}}`, 2, "2",
			"green"},
	} {
		var p panel
		if err := json.Unmarshal([]byte(`{"fieldConfig":{"defaults":`+tc.defaults+`}}`), &p); err != nil {
			t.Fatal(err)
		}
		if shown, colour := p.shown(tc.value), p.colour(tc.value); shown != tc.shown || colour != tc.colour {
			t.Errorf("%s: %v is shown as %q in %q, want %q in %q", tc.name, tc.value, shown, colour, tc.shown, tc.colour)
		}
	}
}
