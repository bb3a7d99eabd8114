package admit

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
)

// intake holds the bodies of the reviews that are not answered yet, within a budget of bytes, and the line in which
// those that were read wait for a place. A caller that sends slowly holds what it has sent, and no place.
type intake struct {
	mu   sync.Mutex
	free int // bytes of the budget
	open int // places
	all  int // places
	held []*body
	line []*body // that were read and have no place yet: the smallest first, then the one that came first
}

// body is one review's text on its way.
type body struct {
	text    []byte
	size    int           // bytes of the budget that it holds
	places  int           // that it needs
	stop    func()        // ends its read; nil once it is read
	turn    chan struct{} // closed when it has a place, or was dropped
	inPlace bool
	dropped bool
}

// errCrowded says that a body had to make room for others.
var errCrowded = errors.New("too many reviews are being answered")

func newIntake(l Limits) *intake {
	return &intake{free: l.Bytes, open: l.InFlight, all: l.InFlight}
}

// begin takes in a new body; stop must end its read.
func (in *intake) begin(stop func()) *body {
	b := &body{stop: stop, turn: make(chan struct{})}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.held = append(in.held, b)
	return b
}

// read reads a body to its end, at most bodyMax of it. length is what was announced, and -1 where nothing was: it is
// believed as an upper bound alone, so that an announcement takes no memory.
func (in *intake) read(b *body, from io.Reader, length int64) error {
	const first = 4 << 10
	for {
		if len(b.text) == cap(b.text) {
			next := max(first, 2*cap(b.text))
			if length >= 0 {
				next = min(next, int(length)+1) // one more, so that the end is seen without growing
			}
			next = max(min(next, bodyMax+1), len(b.text)+1)
			if err := in.grow(b, next); err != nil {
				return err
			}
			b.text = append(make([]byte, 0, next), b.text...)
		}
		n, err := from.Read(b.text[len(b.text):cap(b.text)])
		b.text = b.text[:len(b.text)+n]
		switch {
		case in.gone(b):
			return errCrowded
		case len(b.text) > bodyMax:
			return errTooLarge
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// grow gives a body as much of the budget as it asks for. Where that is used up, the body that holds most gives way:
// ordinary reviews are small.
func (in *intake) grow(b *body, to int) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	for !b.dropped && in.free < to-b.size {
		victim := b
		for _, other := range in.held {
			if !other.inPlace && other.size > victim.size && other.size > to {
				victim = other
			}
		}
		in.drop(victim)
	}
	if b.dropped {
		return errCrowded
	}
	in.free -= to - b.size
	b.size = to
	return nil
}

func (in *intake) gone(b *body) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return b.dropped
}

// drop takes the memory of a body that has no place yet. It is called with mu held.
func (in *intake) drop(b *body) {
	b.dropped = true
	in.free += b.size
	b.size = 0
	in.line = slices.DeleteFunc(in.line, func(o *body) bool { return o == b })
	if b.stop != nil {
		b.stop()
	}
	close(b.turn)
}

// enter waits for a place for a body that was read, until ctx ends. A small body does not wait behind a large one.
func (in *intake) enter(ctx context.Context, b *body) error {
	in.mu.Lock()
	b.stop, b.places = nil, min(max(1, len(b.text)/place), in.all)
	if !b.dropped {
		at := len(in.line)
		for at > 0 && in.line[at-1].places > b.places {
			at--
		}
		in.line = slices.Insert(in.line, at, b)
		in.advance()
	}
	in.mu.Unlock()
	select {
	case <-b.turn:
	case <-ctx.Done():
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if !b.inPlace {
		return errCrowded
	}
	return nil
}

// advance gives places to the head of the line for as long as they suffice. It is called with mu held.
func (in *intake) advance() {
	for len(in.line) > 0 && in.line[0].places <= in.open {
		b := in.line[0]
		in.line = in.line[1:]
		in.open -= b.places
		b.inPlace = true
		close(b.turn)
	}
}

// end lets a body go, with its place.
func (in *intake) end(b *body) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.held = slices.DeleteFunc(in.held, func(o *body) bool { return o == b })
	in.line = slices.DeleteFunc(in.line, func(o *body) bool { return o == b })
	in.free += b.size
	b.size, b.stop = 0, nil
	if b.inPlace {
		b.inPlace = false
		in.open += b.places
	}
	in.advance()
}
