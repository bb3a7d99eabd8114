package plan

import (
	"fmt"
	"slices"
	"strings"
)

const (
	fewNames   = 5
	fewReasons = 3
	longest    = 300 // runes of a reason: an API server may say as much as it likes
)

// GroupByReason groups names by the reason that each has, the reason of most first, in a sentence of bounded length:
// every name has a row of its own elsewhere. names and reasons belong together by their index.
func GroupByReason(names, reasons []string) string {
	of := map[string][]string{}
	var order []string
	for i, why := range reasons {
		if of[why] == nil {
			order = append(order, why)
		}
		of[why] = append(of[why], names[i])
	}
	slices.SortStableFunc(order, func(a, b string) int { return len(of[b]) - len(of[a]) })
	var said []string
	rest := 0
	for i, why := range order {
		if i >= fewReasons && len(order) > fewReasons+1 {
			rest += len(of[why])
			continue
		}
		text := why
		if runes := []rune(why); len(runes) > longest {
			text = string(runes[:longest]) + "..."
		}
		said = append(said, fmt.Sprintf("%s (%s)", Few(of[why], fewNames), text))
	}
	if rest > 0 {
		said = append(said, fmt.Sprintf("and %d more for %d other reasons", rest, len(order)-fewReasons))
	}
	return strings.Join(said, ", ")
}

// Few names at most so many things, and says how many more there are: a sentence stays one that can be read.
func Few(names []string, most int) string {
	if len(names) <= most+1 { // "and 1 more" is no shorter
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
