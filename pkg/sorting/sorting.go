// Package sorting sorts slices of large values. The sorts of package slices are compiled again for each type of
// element, which costs the plugin up to 20 kB each; these are not. It must not know what it sorts.
package sorting

import "slices"

// Stable sorts as slices.SortStableFunc does. Compare gets pointers to elements and must not keep them: a large element
// takes longer to copy than to compare. A slice that is not in order yet is copied once.
func Stable[T any](all []T, compare func(a, b *T) int) {
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return compare(&all[i], &all[j]) })
	if slices.IsSorted(order) {
		return
	}
	before := slices.Clone(all)
	for to, from := range order {
		all[to] = before[from]
	}
}
