package sorting

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestStableSortsAsTheStandardLibraryDoes(t *testing.T) {
	type value struct{ key, place int }
	random := rand.New(rand.NewPCG(1, 2))
	for n := range 200 {
		all := make([]value, n%40)
		for i := range all {
			all[i] = value{random.IntN(8), i}
		}
		want := slices.Clone(all)
		byKey := func(a, b *value) int { return cmp.Compare(a.key, b.key) }
		slices.SortStableFunc(want, func(a, b value) int { return byKey(&a, &b) })
		if Stable(all, byKey); !slices.Equal(all, want) {
			t.Fatalf("%v, want %v", all, want)
		}
	}
}
