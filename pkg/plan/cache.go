package plan

import (
	"maps"
	"sync"
)

// cache is what was made of a result, by its type.
type cache struct {
	mu sync.Mutex
	of map[any]*cacheEntry
}

// cacheEntry is a thing of one type that is made once.
type cacheEntry struct {
	sync.Once
	v any
}

// WithCache is the result as one of which everything is made once, however often it is asked for: by several steps of
// one look, and by later looks for which it was not read again. What was made lives and ends with the result.
func (r Result) WithCache() Result {
	if r.cache == nil {
		r.cache = &cache{of: map[any]*cacheEntry{}}
	}
	return r
}

// WithCache is the snapshot with a cache in each result. Nothing is copied where each has one.
func (s Snapshot) WithCache() Snapshot {
	for _, result := range s.Reads {
		if result.cache == nil {
			s.Reads = maps.Clone(s.Reads)
			for r, result := range s.Reads {
				s.Reads[r] = result.WithCache()
			}
			return s
		}
	}
	return s
}

// Cached is what do makes of a result: made once for each type T when the result is Kept, else each time. do rests on
// the result alone. All who ask share what was made, so none of them changes it.
func Cached[T any](r Result, do func(Result) T) T {
	if r.cache == nil {
		return do(r)
	}
	key := any((*T)(nil)) // a type, as a value
	r.cache.mu.Lock()
	one := r.cache.of[key]
	if one == nil {
		one = &cacheEntry{}
		r.cache.of[key] = one
	}
	r.cache.mu.Unlock()
	one.Do(func() { one.v = do(r) })
	return one.v.(T)
}
