package verdict

import (
	"fmt"
	"testing"
)

// sized is an inventory of n members, all on jwt, as the hub's own cluster shows it.
func sized(n int) Inventory {
	var inv Inventory
	for i := range n {
		name := fmt.Sprintf("edge-%04d", i)
		inv.Roster = append(inv.Roster, entry(name, fmt.Sprintf("uid-%d", i), "jwt"))
		inv.Clusters, inv.Central = append(inv.Clusters, name), append(inv.Central, name)
	}
	return inv
}

// A whole answer to an edit that is admitted allocates the same number of pieces for any fleet, as the rule itself
// does (pkg/guard): no words are found for members that stand in nobody's way.
func TestAnAdmittedEditAllocatesTheSameForAnyFleet(t *testing.T) {
	q, err := Ask(update(both, jwtOnly))
	if err != nil {
		t.Fatal(err)
	}
	allocs := func(n int) float64 {
		inv := sized(n)
		return testing.AllocsPerRun(10, func() {
			if !q.Answer(inv, noon).Allowed {
				t.Error("denied")
			}
		})
	}
	one, thousand := allocs(1), allocs(1000)
	if thousand > one+5 {
		t.Errorf("%.0f allocations for 1 member, %.0f for 1000", one, thousand)
	}
}

// A whole answer for fleets of one to a thousand members, none of which blocks, and all of which block.
func BenchmarkAnswer(b *testing.B) {
	q, err := Ask(update(both, jwtOnly))
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{1, 10, 100, 1000} {
		inv := sized(n)
		b.Run(fmt.Sprintf("admitted/members=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if v := q.Answer(inv, noon); !v.Allowed {
					b.Fatal(v.Message)
				}
			}
		})
		for i := range inv.Roster {
			inv.Roster[i].Status.Presents = []string{"mtls"}
		}
		b.Run(fmt.Sprintf("denied/members=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if v := q.Answer(inv, noon); v.Allowed {
					b.Fatal("allowed")
				}
			}
		})
	}
}
