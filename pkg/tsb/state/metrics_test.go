package state

import "testing"

// A label is found by its whole name: not by the end of another name, nor inside another value.
func TestALabelIsNotAPartOfAnother(t *testing.T) {
	for series, want := range map[string]string{
		`m{edge="b"}`:                          "b",
		`m{my_edge="a",edge="b"}`:              "b",
		`m{my_edge="a"}`:                       "",
		`m{text="edge=\"a\"",edge="b"}`:        "b",
		`m{text=",edge=\"a",edge="b\"c\\"}`:    `b"c\`,
		`m{edges="a", edge="b",}`:              "b",
		`edge_m{other="a}",edge="b"}`:          "b",
		`m{edge=""}`:                           "",
		`m`:                                    "",
		`m{edge="b`:                            "",
		`m{text="x,edge=",more="\\",edge="d"}`: "d",
	} {
		if got := label(series, "edge"); got != want {
			t.Errorf("%s: %q, want %q", series, got, want)
		}
	}
}
