package main

import (
	"runtime"
	"testing"
)

func TestMemoryGrowsByThreeQuartersOrBySomeMiBBeforeItIsCollected(t *testing.T) {
	for _, c := range []struct {
		kept uint64
		want int
	}{{0, 1200}, {4 << 20, 300}, {12 << 20, 100}, {24 << 20, 75}, {480 << 20, 75}} {
		if got := gcPercent(c.kept); got != c.want {
			t.Errorf("of %d MiB: %d %%, want %d", c.kept>>20, got, c.want)
		}
	}
}

func TestSomethingIsDoneAfterEachCollection(t *testing.T) {
	done := make(chan struct{}, 3)
	afterEachCollection(func() {
		select {
		case done <- struct{}{}:
		default: // later tests collect too
		}
	})
	for range cap(done) { // the first is at once
		<-done
		runtime.GC()
	}
}
