package guard

import (
	"fmt"
	"testing"
	"time"
)

// The one rule for fleets of one to a thousand members, none of which stands in the way: then all are looked at.
func BenchmarkWithdraw(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprintf("members=%d", n), func(b *testing.B) {
			edges := make([]Edge, n)
			for i := range edges {
				edges[i] = Edge{Name: fmt.Sprintf("edge-%d", i), Presents: []Cred{"jwt"}, Until: noon.Add(time.Minute)}
			}
			from, to := hub(Yes, Yes), hub(No, Yes)
			b.ReportAllocs()
			for b.Loop() {
				if got := Withdraw(from, to, edges, noon); len(got) > 0 {
					b.Fatal(got)
				}
			}
		})
	}
}
