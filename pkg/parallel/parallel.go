// Package parallel works on many values at a time, on all processors. It must not know what it works on.
package parallel

import (
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// Map returns what do makes of each value, in the order of the values. Calls of do run at the same time, as many as
// there are processors, so do must not write what another call reads or writes. Map returns when all have returned.
func Map[From, To any](all []From, do func(From) To) []To {
	made := make([]To, len(all))
	each(len(all), func(i int) { made[i] = do(all[i]) })
	return made
}

// each calls do with each number below n. There is a goroutine for each processor and not for each number: a new one
// grows its stack first, which takes as long as a small do.
func each(n int, do func(i int)) {
	var next atomic.Int64
	var g errgroup.Group
	for range min(n, runtime.GOMAXPROCS(0)) {
		g.Go(func() error {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
			return nil
		})
	}
	_ = g.Wait() // none returns an error
}
