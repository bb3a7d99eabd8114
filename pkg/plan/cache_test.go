package plan

import (
	"sync"
	"testing"
)

// What is made of a kept result is made once for each type, whoever asks at the same time; of another, each time.
func TestWhatIsMadeOfAKeptResultIsMadeOnce(t *testing.T) {
	type length int
	type first byte
	made := 0
	lengthOf := func(r Result) length { made++; return length(len(r.Body)) }
	kept := Result{Body: []byte("abc")}.WithCache()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if got := Cached(kept.WithCache(), lengthOf); got != 3 {
				t.Errorf("length %d", got)
			}
			if got := Cached(kept, func(r Result) first { return first(r.Body[0]) }); got != 'a' {
				t.Errorf("first %q", got)
			}
		})
	}
	wg.Wait()
	if made != 1 {
		t.Errorf("made %d times", made)
	}
	for range 2 {
		Cached(Result{Body: []byte("ab")}, lengthOf)
	}
	if other := Cached(Result{Body: []byte("ab")}.WithCache(), lengthOf); made != 4 || other != 2 {
		t.Errorf("of other results: made %d times, length %d", made, other)
	}
}

// A snapshot without caches stays as it is; what is made of one that has them is not made again.
func TestASnapshotGetsCachesOnce(t *testing.T) {
	type length int
	made := 0
	lengthOf := func(r Result) length { made++; return length(len(r.Body)) }
	a, b := Read{Name: "a"}, Read{Name: "b"}
	bare := Snapshot{Reads: map[Read]Result{a: Result{Body: []byte("abc")}.WithCache(), b: {Body: []byte("ab")}}}
	kept := bare.WithCache()
	if bare.Reads[b].cache != nil {
		t.Error("the snapshot that was given has changed")
	}
	for range 2 {
		for _, s := range []Snapshot{kept, kept.WithCache()} {
			if x, y := Cached(s.Reads[a], lengthOf), Cached(s.Reads[b], lengthOf); x != 3 || y != 2 {
				t.Errorf("lengths %d, %d", x, y)
			}
		}
	}
	if Cached(bare.Reads[a], lengthOf); made != 2 {
		t.Errorf("made %d times, want once for each result", made)
	}
}
