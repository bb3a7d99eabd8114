package kubeconfig

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
		got, err := choose(names, strings.Fields(tc.patterns))
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

// A name is chosen as it stands, even if it looks like a pattern.
func TestSelectNamesThatLookLikePatterns(t *testing.T) {
	names := []string{"^caret", "/a/", "abc", "caret"}
	for _, tc := range []struct{ pattern, want string }{
		{"^caret", "^caret"}, {"/a/", "/a/"}, {"^/a/", "^caret abc caret"}, {"/^abc$/", "abc"}, {"^abc", "/a/ ^caret caret"},
	} {
		got, err := choose(names, []string{tc.pattern})
		want := strings.Fields(tc.want)
		slices.Sort(want)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q %v, want %q", tc.pattern, got, err, want)
		}
	}
}

// A comma in a regular expression, or in a name that is there, does not end it; between plain names it does.
func TestSelectTakesACommaForAPartOfTheValue(t *testing.T) {
	names := []string{"Lee, Ann@eu", "edge-1", "edge-12", "edge-123", "hub"}
	for _, tc := range []struct {
		pattern string
		want    []string
	}{
		{"/^edge-[0-9]{1,2}$/", []string{"edge-1", "edge-12"}},
		{"^/^edge-[0-9]{1,2}$/", []string{"Lee, Ann@eu", "edge-123", "hub"}},
		{"Lee, Ann@eu", []string{"Lee, Ann@eu"}},
		{"^Lee, Ann@eu", []string{"edge-1", "edge-12", "edge-123", "hub"}},
		{"edge-1,hub", []string{"edge-1", "hub"}},
		{"/^edge-/,^edge-1", []string{"edge-12", "edge-123"}},
	} {
		if got, err := choose(names, []string{tc.pattern}); err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("%q: %q %v, want %q", tc.pattern, got, err, tc.want)
		}
	}
}
