// Package parallel works on many values at a time, on all processors. It must not know what it works on.
package parallel

import (
	"runtime"

	"golang.org/x/sync/errgroup"
)

// Map returns what do makes of each value, in the order of the values. Calls of do run at the same time, as many as
// there are processors, so do must not write what another call reads or writes. Map returns when all have returned.
func Map[From, To any](all []From, do func(From) To) []To {
	made := make([]To, len(all))
	each(len(all), func(i int) { made[i] = do(all[i]) })
	return made
}

// each calls do with each number below n.
func each(n int, do func(i int)) {
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range n {
		g.Go(func() error {
			do(i)
			return nil
		})
	}
	_ = g.Wait() // none returns an error
}
