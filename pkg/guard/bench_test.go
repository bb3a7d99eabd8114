package guard

import (
	"fmt"
	"testing"
	"time"
)

// onJWT are n members none of which blocks mtls.
func onJWT(n int) []Member {
	edges := make([]Member, n)
	for i := range edges {
		edges[i] = Member{Name: fmt.Sprintf("edge-%d", i), Presents: []Cred{"jwt"}, Until: noon.Add(time.Minute)}
	}
	return edges
}

// What an admitted edit costs in memory does not depend on how many members were looked at.
func TestAdmittingAllocatesTheSameForAThousandMembersAsForOne(t *testing.T) {
	from, to := hub(Yes, Yes), hub(No, Yes)
	allocs := func(n int) float64 {
		edges := onJWT(n)
		return testing.AllocsPerRun(100, func() {
			if len(Withdraw(from, to, edges, noon)) > 0 {
				t.Error("denied")
			}
		})
	}
	if one, thousand := allocs(1), allocs(1000); one != thousand {
		t.Errorf("%v allocations for 1 member, %v for 1000", one, thousand)
	}
}

// The one rule for fleets of one to a thousand members, none of which blocks: then all are looked at.
func BenchmarkWithdraw(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprintf("members=%d", n), func(b *testing.B) {
			edges := onJWT(n)
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
