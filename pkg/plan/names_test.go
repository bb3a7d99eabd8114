package plan

import (
	"fmt"
	"strings"
	"testing"
)

// However many there are and whatever is said of each, it is one sentence; a few are named one by one.
func TestManyAreGroupedByTheirReason(t *testing.T) {
	many := func(n int, why func(int) string) (names, reasons []string) {
		for i := range n {
			names, reasons = append(names, fmt.Sprintf("edge-%d", i)), append(reasons, why(i))
		}
		return names, reasons
	}
	const refused = "the API server refused the connection"
	for name, tc := range map[string]struct {
		n    int
		why  func(int) string
		want string // its beginning, or all of it where it ends in )
	}{
		"one": {1, func(int) string { return refused }, "edge-0 (" + refused + ")"},
		"a few": {6, func(int) string { return refused }, "edge-0, edge-1, edge-2, edge-3, edge-4, edge-5 (" +
			refused + ")"},
		"many, one": {2000, func(int) string { return refused },
			"edge-0, edge-1, edge-2, edge-3, edge-4 and 1995 more (" + refused + ")"},
		"the most first": {9, func(i int) string { return []string{"a", "b", "b"}[i%3] },
			"edge-1, edge-2, edge-4, edge-5, edge-7, edge-8 (b), edge-0, edge-3, edge-6 (a)"},
		"each another": {2000, func(i int) string { return fmt.Sprintf("reason %d", i) },
			"edge-0 (reason 0), edge-1 (reason 1), edge-2 (reason 2), and 1997 more for 1997 other reasons"},
		"long ones": {2000, func(i int) string { return fmt.Sprintf("%d ", i) + strings.Repeat("x", 1<<16) },
			"edge-0 (0 xxx"},
	} {
		got := GroupByReason(many(tc.n, tc.why))
		if !strings.HasPrefix(got, tc.want) || strings.HasSuffix(tc.want, ")") && got != tc.want || len(got) > 1500 {
			t.Errorf("%s: %d bytes, %.200q, want %q", name, len(got), got, tc.want)
		}
	}
}
