package plan

import "sync"

// made is what was made of a result, by its type.
type made struct {
	mu sync.Mutex
	of map[any]*once
}

// once is a thing of one type that is made once.
type once struct {
	sync.Once
	v any
}

// Kept is the result as one of which everything is made once, however often it is asked for: by several steps of one look, and by later
// looks for which it was not read again. What was made lives and ends with the result.
func (r Result) Kept() Result {
	if r.made == nil {
		r.made = &made{of: map[any]*once{}}
	}
	return r
}

// Made is what do makes of a result: made once for each type T when the result is Kept, else each time. do rests on the result alone. All
// who ask share what was made, so none of them changes it.
func Made[T any](r Result, do func(Result) T) T {
	if r.made == nil {
		return do(r)
	}
	key := any((*T)(nil)) // a type, as a value
	r.made.mu.Lock()
	one := r.made.of[key]
	if one == nil {
		one = &once{}
		r.made.of[key] = one
	}
	r.made.mu.Unlock()
	one.Do(func() { one.v = do(r) })
	return one.v.(T)
}
