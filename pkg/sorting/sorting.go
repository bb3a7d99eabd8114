// Package sorting sorts slices of large values. The sorts of package slices are compiled again for each type of
// element, which costs the plugin up to 20 kB each; these are not. It must not know what it sorts.
package sorting

import "slices"

// Stable sorts as slices.SortStableFunc does. It takes a second slice of the same size for as long as it sorts.
func Stable[T any](all []T, compare func(a, b T) int) {
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return compare(all[i], all[j]) })
	sorted := make([]T, len(all))
	for to, from := range order {
		sorted[to] = all[from]
	}
	copy(all, sorted)
}
