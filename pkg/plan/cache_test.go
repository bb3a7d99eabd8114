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
