package execute

import (
	"context"
	"fmt"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Clusters is what a migration needs of the world. Live is the real one; a model of it is what the tests run through every
// interruption.
type Clusters interface {
	// Observe looks at the named contexts, all selected ones when none are named, and makes facts of that and of what it
	// last saw of the others.
	Observe(ctx context.Context, contexts ...string) plan.Facts
	// Write performs one patch, unless the object is not as Before says or is gone (ChangedError), and returns whether it
	// wrote. still, when not nil, is asked right before each attempt, and its error ends it.
	Write(ctx context.Context, p plan.Patch, still func() error) (bool, error)
	// ReadJournal returns the wave that is written down as in flight in the hub, nil when none is; WriteJournal replaces it.
	ReadJournal(ctx context.Context, hub string) (*Entry, error)
	WriteJournal(ctx context.Context, hub string, e *Entry) error
	// Publish writes a member's statement into the hub's roster.
	Publish(ctx context.Context, hub string, m plan.Member, st api.EdgeClusterStatus) error
	// Now is the time, and Pause lets some of it pass, less when ctx ends.
	Now() time.Time
	Pause(ctx context.Context, d time.Duration)
}

// Event is one line of progress.
type Event struct {
	At     time.Time
	Member string
	Text   string
}

// Executor carries a migration out.
type Executor struct {
	Clusters
	Dialect plan.Dialect
	Goal    plan.Goal
	Source  string        // who runs this: user@host
	Poll    time.Duration // between two observations while a step is being proved
	// PutBackWithin bounds putting unproved steps back after an interruption.
	PutBackWithin time.Duration
	Report        func(Event)

	hub      string // the hub's context, once it is found
	vouched  string // the Basis of what the hub accepts, once it was proved to run with that in this run
	oneByOne bool   // the steps of a wave are written in turn: the model is not for several goroutines
}

// look observes, and adds what this run has proved of the hub.
func (e *Executor) look(ctx context.Context, contexts ...string) plan.Facts {
	f := e.Observe(ctx, contexts...)
	f.Hub.Vouched = e.vouched
	return f
}

func (e *Executor) say(member, format string, args ...any) {
	if e.Report != nil {
		e.Report(Event{At: e.Now(), Member: member, Text: fmt.Sprintf(format, args...)})
	}
}
