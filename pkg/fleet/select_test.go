package fleet

import (
	"slices"
	"strings"
	"testing"
)

func TestSelect(t *testing.T) {
	names := []string{"hub", "edge-eu", "edge-us", "other"}
	for _, tc := range []struct {
		patterns, want, wrong string
	}{
		{"", "edge-eu edge-us hub other", ""},
		{"edge-eu", "edge-eu", ""},
		{"/^edge-/", "edge-eu edge-us", ""},
		{"/edge/ hub edge-eu", "edge-eu edge-us hub", ""},
		{"^other", "edge-eu edge-us hub", ""},
		{"/edge/ ^/us$/", "edge-eu", ""},
		{"^/e/", "hub", ""},
		{"edge-ap", "", `matches "edge-ap"`},
		{"/zz/", "", `matches "/zz/"`},
		{"/(/", "", "reading the pattern"},
		{"/", "", `matches "/"`},
	} {
		got, err := Select(names, strings.Fields(tc.patterns))
		if tc.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), tc.wrong) {
				t.Errorf("%q: error %v, want %q", tc.patterns, err, tc.wrong)
			}
			continue
		}
		if err != nil || !slices.Equal(got, strings.Fields(tc.want)) {
			t.Errorf("%q: %v %v, want %q", tc.patterns, got, err, tc.want)
		}
	}
}
