package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// tuneGC sets when memory is collected next, after each time that it was, unless the user has set GOGC.
func tuneGC() {
	if os.Getenv("GOGC") != "" {
		return
	}
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	afterEachCollection(func() {
		metrics.Read(sample)
		debug.SetGCPercent(gcPercent(sample[0].Value.Uint64()))
	})
}

// afterEachCollection does something now, and each time that the garbage collector has run.
func afterEachCollection(do func()) {
	type unused struct{ _ *unused }
	do()
	runtime.AddCleanup(new(unused), afterEachCollection, do)
}

// gcPercent is by how much memory may grow before it is collected, in percent of what was kept: by three quarters,
// since what is seen of a thousand clusters stays for the whole run; and by some MiB where little is kept, since
// collecting costs a small fleet a fourth of its CPU else.
func gcPercent(kept uint64) int {
	const share, least = 75, 12 << 20
	return max(share, int(least*100/max(kept, 1<<20)))
}
