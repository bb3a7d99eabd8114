package engine

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/estimate"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Clusters is what a migration needs of the world. Live is the real one; a model of it is what the tests run through
// every interruption.
type Clusters interface {
	// Observe looks at the named contexts, all selected ones when none are named, and makes a state of that and of what it
	// last saw of the others.
	Observe(ctx context.Context, contexts ...string) plan.State
	// Glance reads again what moves says of each context, side by side: all of it where that is nil. It makes a state of
	// that and of what it last saw of the rest.
	Glance(ctx context.Context, moves map[string]func(plan.Read) bool) plan.State
	// MissingPermissions asks for rights, by context, and says of each context in which some are missing, or could not
	// be asked for, which.
	MissingPermissions(ctx context.Context, needs map[string][]plan.Permission) map[string]Denial
	// Write performs one patch, unless the object is not as Before says or is gone (ChangedError), and returns whether it
	// wrote. still, when not nil, is asked right before each attempt, and its error ends it.
	Write(ctx context.Context, p plan.Write, still func() error) (bool, error)
	// Probe sends a patch as a server-side dry run, on a connection of its own, and returns the words in which admission
	// denied it, "" when it was let through. Nothing is stored.
	Probe(ctx context.Context, p plan.Write) (denied string, err error)
	// Supply gets a member the credentials that it lacks, and says which objects it wrote and what it left alone.
	Supply(ctx context.Context, s plan.Supply, still func() error) ([]string, error)
	// Lock makes this process of who runs it the only writer of a home, or says who is (LockedError). The lock keeps
	// itself until it is let go.
	Lock(ctx context.Context, home, by string) (Lock, error)
	// ReadJournal returns the journal of a home, empty when there is none; WriteJournal replaces it.
	ReadJournal(ctx context.Context, home string) (Journal, error)
	WriteJournal(ctx context.Context, home string, j Journal) error
	// Publish writes a member's statement into the hub's roster.
	Publish(ctx context.Context, hub string, m plan.Member, st api.EdgeClusterStatus) error
	// Now is the time, and Pause lets some of it pass, less when ctx ends.
	Now() time.Time
	Pause(ctx context.Context, d time.Duration)
}

// Denial is which rights are missing in a context, or why they could not be asked for.
type Denial struct {
	Why     string
	Unknown bool // none is known to be missing
}

// Phase says what an event is about, for who draws it.
type Phase string

// The phases of a member in a run.
const (
	Info         Phase = "noted" // nothing of its state changed
	Started      Phase = "begun" // its step has begun
	Wrote        Phase = "wrote"
	Waiting      Phase = "waiting"
	StepVerified Phase = "verified"
	StepFailed   Phase = "failed" // and whether it was put back
	WaveStarted  Phase = "wave"
)

// Event is one line of progress.
type Event struct {
	At     time.Time
	Phase  Phase
	Member string
	Text   string
	// Until is when it is over at the latest: the wave that begins, or what is waited for; zero when that is not known.
	Until time.Time
	Takes estimate.Time // how long the wave takes that begins
}

// Executor carries a migration out.
type Executor struct {
	Clusters
	Provider plan.Provider
	Goal     plan.Goal
	Source   string // who runs this: user@host
	// By says who runs this as a home's cluster knows it; nil = Source.
	By func(ctx context.Context, home string) string
	// Poll is how often to look while a step is being verified; less often where looking takes long.
	Poll time.Duration
	// MaxFailures is how many members may fail before the run ends; those that failed are put back and left.
	MaxFailures int
	// LockTimeout is how long to wait, in all, for the locks that another run holds.
	LockTimeout time.Duration
	// UndoWithin bounds putting unverified steps back after an interruption.
	UndoWithin time.Duration
	// Saved, when not nil, is the plan that was shown and accepted: a step with writes that it does not have ends the run.
	Saved  *plan.Saved
	Report func(Event)
	// Limits have the events say how many waves there are, and until when; nil leaves that out.
	Limits *estimate.Limits

	hub          string // the hub's context, once it is found; "" when the run is without one
	namespace    string // of the roster and the journal there
	journals     map[string]*journalCluster
	verified     map[string]string // the Basis of what each hub accepts, once it was verified to run with that in this run
	statements   map[string]*plan.Statement
	statementsMu sync.Mutex        // of stated, while steps are put back side by side
	fenceWaived  map[string]string // why this run goes on without a member's fence
	foreseen     foreseen
	superseded   int               // how often something else came before a withdrawing step
	Statements   []api.EdgeCluster // what was verified without a hub to publish it in
	oneByOne     bool              // the steps of a wave are written in turn: the model is not for several goroutines
}

// by is who runs this, in a home.
func (e *Executor) by(ctx context.Context, home string) string {
	if e.By == nil {
		return e.Source
	}
	return e.By(ctx, home)
}

// observe observes, and adds what this run has verified.
func (e *Executor) observe(ctx context.Context, contexts ...string) plan.State {
	return e.withVerified(e.Observe(ctx, contexts...))
}

// withVerified is a state that also has what this run has verified.
func (e *Executor) withVerified(f plan.State) plan.State {
	f.Hub.VerifiedBasis = e.verified["hub"]
	if f.Standby != nil {
		f.Standby.VerifiedBasis = e.verified["standby"]
	}
	for i := range f.Members {
		m := &f.Members[i]
		if e.Goal.NoHub {
			m.Statement = e.statements[m.Name]
			m.Fence.Verified = m.Statement != nil && m.Statement.Fence != "" &&
				m.Statement.Fence == m.Fence.ID() && m.Fence.Current
		}
		if why := e.fenceWaived[m.Name]; why != "" && m.Fence.Unavailable == "" {
			m.Fence.Unavailable = why
		}
	}
	return f
}

func (e *Executor) report(phase Phase, member, format string, args ...any) {
	e.send(Event{Phase: phase, Member: member, Text: fmt.Sprintf(format, args...)})
}

// at says in which hub the run keeps its journal and its roster, once that is found.
func (e *Executor) at(h plan.Hub) { e.hub, e.namespace = h.Context, h.Roster.In }
