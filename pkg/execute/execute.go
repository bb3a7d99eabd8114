package execute

import (
	"context"
	"fmt"
	"sync"
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
	// Lacking asks for rights, by context, and says of each context in which some are missing, or could not be asked for, which.
	Lacking(ctx context.Context, needs map[string][]plan.Need) map[string]Lack
	// Write performs one patch, unless the object is not as Before says or is gone (ChangedError), and returns whether it
	// wrote. still, when not nil, is asked right before each attempt, and its error ends it.
	Write(ctx context.Context, p plan.Patch, still func() error) (bool, error)
	// Probe sends a patch as a server-side dry run, on a connection of its own, and returns the words in which admission denied it, ""
	// when it was let through. Nothing is stored.
	Probe(ctx context.Context, p plan.Patch) (denied string, err error)
	// Supply gets a member the credentials that it lacks, and says which objects it wrote and what it left alone.
	Supply(ctx context.Context, s plan.Supply, still func() error) ([]string, error)
	// Lock makes this run the only writer of a home, or says who is (LockedError). The lock keeps itself until it is let go.
	Lock(ctx context.Context, home, holder string) (Lock, error)
	// ReadJournal returns the journal of a home, empty when there is none; WriteJournal replaces it.
	ReadJournal(ctx context.Context, home string) (Journal, error)
	WriteJournal(ctx context.Context, home string, j Journal) error
	// Publish writes a member's statement into the hub's roster.
	Publish(ctx context.Context, hub string, m plan.Member, st api.EdgeClusterStatus) error
	// Now is the time, and Pause lets some of it pass, less when ctx ends.
	Now() time.Time
	Pause(ctx context.Context, d time.Duration)
}

// Lack is which rights are missing in a context, or why they could not be asked for.
type Lack struct {
	Why     string
	Unasked bool // none is known to be missing
}

// Lock is held by the one run that may write.
type Lock interface {
	// Held says why the lock is not held any more, nil while it is.
	Held() error
	// Unlock lets it go.
	Unlock()
}

// Phase says what an event is about, for who draws it.
type Phase string

// The phases of a member in a run.
const (
	Noted   Phase = "noted" // nothing of its state changed
	Begun   Phase = "begun" // its step has begun
	Wrote   Phase = "wrote"
	Waiting Phase = "waiting"
	Proved  Phase = "proved"
	Lost    Phase = "failed" // and whether it was put back
	NewWave Phase = "wave"
)

// Event is one line of progress.
type Event struct {
	At     time.Time
	Phase  Phase
	Member string
	Text   string
}

// Executor carries a migration out.
type Executor struct {
	Clusters
	Dialect plan.Dialect
	Goal    plan.Goal
	Source  string // who runs this: user@host
	Holder  string // the process that does, see ProcessOf
	// By says who runs this as a home's cluster knows it; nil = Source and Holder.
	By   func(ctx context.Context, home string) string
	Poll time.Duration // between two observations while a step is being proved
	// MaxFailures is how many members may fail before the run ends; those that failed are put back and left.
	MaxFailures int
	// PutBackWithin bounds putting unproved steps back after an interruption.
	PutBackWithin time.Duration
	// Saved, when not nil, is the plan that was shown and accepted: a step with writes that it does not have ends the run.
	Saved  *plan.Saved
	Report func(Event)

	hub       string // the hub's context, once it is found; "" when the run is without one
	homes     map[string]*home
	vouched   map[string]string // the Basis of what each hub accepts, once it was proved to run with that in this run
	stated    map[string]*plan.Statement
	forget    sync.Mutex        // of stated, while steps are put back side by side
	without   map[string]string // why this run goes on without a member's fence
	overtaken int               // how often something else came before a withdrawing step
	Stated    []api.EdgeCluster // what was proved without a hub to publish it in
	oneByOne  bool              // the steps of a wave are written in turn: the model is not for several goroutines
}

// by is who runs this, in a home.
func (e *Executor) by(ctx context.Context, home string) string {
	if e.By == nil {
		return e.Source
	}
	return e.By(ctx, home)
}

// look observes, and adds what this run has proved.
func (e *Executor) look(ctx context.Context, contexts ...string) plan.Facts {
	f := e.Observe(ctx, contexts...)
	f.Hub.Vouched = e.vouched["hub"]
	if f.Standby != nil {
		f.Standby.Vouched = e.vouched["standby"]
	}
	for i := range f.Members {
		m := &f.Members[i]
		if e.Goal.NoHub {
			m.Statement = e.stated[m.Name]
			m.Fence.Proved = m.Statement != nil && m.Statement.Fence != "" && m.Statement.Fence == m.Fence.ID() && m.Fence.Ours
		}
		if why := e.without[m.Name]; why != "" && m.Fence.Without == "" {
			m.Fence.Without = why
		}
	}
	return f
}

func (e *Executor) say(phase Phase, member, format string, args ...any) {
	if e.Report != nil {
		e.Report(Event{At: e.Now(), Phase: phase, Member: member, Text: fmt.Sprintf(format, args...)})
	}
}
