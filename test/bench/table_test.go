package bench

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

// row is what one way of looking at a fleet cost.
type row struct {
	product, way string
	members      int
	cost
	requests float64 // per member
}

// table is what BenchmarkFleet has measured.
var table []row

// markdown writes rows as a table, and how the CPU of each way grows with the fleet: the exponent between a hundred
// members and the most, 1 where a member costs the same in any fleet.
func markdown(rows []row) string {
	var b strings.Builder
	b.WriteString("\n| product | what | members | wall | CPU | CPU a member | memory | requests a member |\n" +
		"|---|---|--:|--:|--:|--:|--:|--:|\n")
	for _, r := range rows {
		memory := "-"
		if r.peak > 0 {
			memory = fmt.Sprintf("%d MiB", r.peak>>20)
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %.2f s | %.2f s | %.1f ms | %s | %.1f |\n", r.product, r.way, r.members,
			r.wall.Seconds(), r.cpu.Seconds(), r.cpu.Seconds()*1000/float64(r.members), memory, r.requests)
	}
	b.WriteString("\n| product | what | CPU grows from 100 to 5000 members with the exponent |\n|---|---|--:|\n")
	for i, least := range rows {
		for _, most := range rows[i:] {
			if least.members == 100 && most.members == 5000 && least.way == most.way && least.product == most.product {
				fmt.Fprintf(&b, "| %s | %s | %.2f |\n", least.product, least.way, exponent(least, most))
			}
		}
	}
	return b.String()
}

// exponent is how CPU grows with members between two rows.
func exponent(a, b row) float64 {
	return math.Log(b.cpu.Seconds()/a.cpu.Seconds()) / math.Log(float64(b.members)/float64(a.members))
}

func TestTheTableSaysHowTheCostGrows(t *testing.T) {
	at := func(members int, cpu time.Duration) row {
		return row{product: "tsb", way: "status", members: members, cost: cost{wall: time.Second, cpu: cpu, peak: 64 << 20},
			requests: 16}
	}
	got := markdown([]row{at(100, time.Second), at(1000, 10*time.Second), at(5000, 50*time.Second)})
	for _, want := range []string{"| tsb | status | 1000 | 1.00 s | 10.00 s | 10.0 ms | 64 MiB | 16.0 |\n",
		"| tsb | status | 1.00 |\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}
