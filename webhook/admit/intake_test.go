package admit

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

// reads a body of a length to its end.
func (in *intake) reads(t *testing.T, b *body, length int) error {
	t.Helper()
	return in.read(b, strings.NewReader(strings.Repeat("x", length)), int64(length))
}

func TestTheBodyThatHoldsMostGivesWay(t *testing.T) {
	in := newIntake(Limits{InFlight: 64, Bytes: 100 << 10})
	var cut []string
	begin := func(name string) *body { return in.begin(func() { cut = append(cut, name) }) }
	small, large := begin("small"), begin("large")
	if err := errors.Join(in.reads(t, small, 1000), in.reads(t, large, 80<<10)); err != nil {
		t.Fatal(err)
	}
	middle := begin("middle")
	if err := in.reads(t, middle, 40<<10); err != nil {
		t.Fatalf("one that holds less than another: %v", err)
	}
	if strings.Join(cut, " ") != "large" || !large.dropped || small.dropped {
		t.Errorf("cut off: %q, want the large one alone", cut)
	}
	if err := in.enter(t.Context(), large); !errors.Is(err, errCrowded) {
		t.Errorf("one that gave way gets a place: %v", err)
	}
	if err := in.reads(t, begin("larger still"), 90<<10); !errors.Is(err, errCrowded) {
		t.Errorf("one that would hold more than all others: %v", err)
	}
	if err := errors.Join(in.enter(t.Context(), small), in.enter(t.Context(), middle)); err != nil {
		t.Errorf("the others: %v", err)
	}
}

func TestABodyInItsPlaceGivesWayToNobody(t *testing.T) {
	in := newIntake(Limits{InFlight: 64, Bytes: 100 << 10})
	placed, next := in.begin(func() {}), in.begin(func() {})
	if err := errors.Join(in.reads(t, placed, 80<<10), in.enter(t.Context(), placed)); err != nil {
		t.Fatal(err)
	}
	if err := in.reads(t, next, 50<<10); !errors.Is(err, errCrowded) || placed.dropped {
		t.Errorf("%v; the one in its place was dropped: %v", err, placed.dropped)
	}
	in.end(placed)
	in.end(next)
	if in.free != 100<<10 || in.open != 64 || len(in.held)+len(in.line) != 0 {
		t.Errorf("not everything was given back: %+v", in)
	}
}

func TestASmallBodyDoesNotWaitBehindALargeOne(t *testing.T) {
	in := newIntake(Limits{InFlight: 4, Bytes: 32 << 20})
	enter := func(length int) (*body, chan error) {
		b, done := in.begin(func() {}), make(chan error, 1)
		if err := in.reads(t, b, length); err != nil {
			t.Fatal(err)
		}
		go func() { done <- in.enter(context.Background(), b) }()
		return b, done
	}
	first, done := enter(3 * place)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	large, waits := enter(4 * place)
	small, done := enter(1)
	if err := <-done; err != nil {
		t.Errorf("the small one: %v", err)
	}
	select {
	case err := <-waits:
		t.Errorf("the large one has a place although there is none: %v", err)
	default:
	}
	in.end(first)
	in.end(small)
	if err := <-waits; err != nil {
		t.Errorf("the large one in the end: %v", err)
	}
	in.end(large)
}

func TestACallThatIsOverLeavesTheLine(t *testing.T) {
	in := newIntake(Limits{InFlight: 1, Bytes: 32 << 20})
	first, second := in.begin(func() {}), in.begin(func() {})
	if err := in.enter(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := in.enter(over, second); !errors.Is(err, errCrowded) {
		t.Errorf("%v", err)
	}
	in.end(second)
	in.end(first)
	if in.open != 1 || len(in.line) != 0 {
		t.Errorf("%+v", in)
	}
}

// What is announced takes nothing; what was sent is all that is held.
func TestAnAnnouncementHoldsNothing(t *testing.T) {
	in := newIntake(Limits{InFlight: 1, Bytes: 32 << 20})
	b := in.begin(func() {})
	if err := in.read(b, io.MultiReader(strings.NewReader("{"), broken{}), bodyMax); err == nil {
		t.Fatal("no error")
	}
	if b.size > 4<<10 {
		t.Errorf("one byte of 7 MiB that were announced holds %d bytes", b.size)
	}
	for _, length := range []int{0, 1, 4095, 4096, 4097, 100_000, bodyMax} {
		for _, announced := range []int64{int64(length), -1} {
			b := in.begin(func() {})
			err := in.read(b, strings.NewReader(strings.Repeat("x", length)), announced)
			if err != nil || len(b.text) != length || announced >= 0 && b.size > length+1 {
				t.Errorf("%d bytes, announced %d: %d read, %d held, %v", length, announced, len(b.text), b.size, err)
			}
			in.end(b)
		}
	}
	if err := in.reads(t, in.begin(func() {}), bodyMax+1); !errors.Is(err, errTooLarge) {
		t.Errorf("a byte too many: %v", err)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
