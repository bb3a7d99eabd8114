package parallel_test

import (
	"runtime"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/parallel"
)

func TestMapKeepsTheOrder(t *testing.T) {
	for _, n := range []int{0, 1, 2, 1000} {
		var all, want []int
		for i := range n {
			all, want = append(all, i), append(want, i*i)
		}
		if got := parallel.Map(all, func(i int) int { return i * i }); !slices.Equal(got, want) {
			t.Errorf("of %d numbers: %v", n, got)
		}
	}
}

// Each of the first calls waits until as many have begun as there are processors: fewer at a time would never return.
func TestMapWorksOnAllProcessors(t *testing.T) {
	processors := runtime.GOMAXPROCS(0)
	var begun, running, most atomic.Int64
	all := make(chan struct{})
	parallel.Map(make([]struct{}, 10*processors), func(struct{}) struct{} {
		now := running.Add(1)
		defer running.Add(-1)
		for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
		}
		if begun.Add(1) == int64(processors) {
			close(all)
		}
		<-all
		return struct{}{}
	})
	if most.Load() != int64(processors) {
		t.Errorf("up to %d calls ran at a time, on %d processors", most.Load(), processors)
	}
}
