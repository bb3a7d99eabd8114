package plan

import (
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
)

// Wave is the next thing to do: steps that run side by side, and what blocks others. A wave without steps and
// obstacles means that the goal is reached.
type Wave struct {
	Title     string
	Steps     []Step
	Obstacles []Obstacle
	Notes     []Obstacle // what the reader should know, and blocks nothing
}

// Obstacle is why a member, or the hub, cannot be changed now.
type Obstacle struct {
	Member string `json:"member"`
	Why    string `json:"why"` // one sentence that ends in what to do
}

// Kind names what a step does: "move". The IDs of the step's kind begin with it, and journals keep those.
type Kind string

// Step is one change with what verifies it and how it is undone. Everything about it is made in one place, where its
// product makes the step: nothing else tells steps apart by their kind.
type Step struct {
	ID     string // "move/edge-1"
	Kind   Kind
	Member string // a member's name, "hub" or "standby"
	Title  string // "edge-1: present a JWT"
	Verb   string // the same in two words, for a table
	Why    string
	// WayBack says in a plan how the step is undone, where that is not its writes inverted.
	WayBack string

	// Supply asks for credentials from outside before the first write.
	Supply *Supply
	Writes []Write // credentials first, the mode last
	// ByHand is what somebody else is to change, where this run cannot: it waits until the conditions are met.
	ByHand []Write
	// Probe is a write that must be denied for a condition to be met. It is sent as a server-side dry run, on a
	// connection of its own, at each look (see State.Probes), and never stored.
	Probe *Write
	// Conditions must all be met before the step counts as verified.
	Conditions []Condition
	// Timeout is how long that may take.
	Timeout time.Duration
	// OnSuccess removes what only the undo needed, once the step is verified. The step stands without it.
	OnSuccess []Write

	// Undo takes the step back when it is not verified, when that is not its writes inverted.
	Undo []Write
	// RevertsTo is what the member presents again once the step is undone. Undoing is refused while the hub does not
	// accept that. It is empty when the step changes no member.
	RevertsTo guard.Cred
	// NoUndo says that the writes stay when the step is not verified: what they leave is the safest state there is.
	NoUndo bool
	// Irreversible says that nothing takes the step back. It is asked for separately.
	Irreversible bool
	// KeepOnInterrupt says that the member was verified before the step began, so an interruption leaves it as it is.
	KeepOnInterrupt bool
	// Optional says that the run goes on when the step fails: what it would add is missing, and nothing is worse.
	Optional bool

	// Accepts is what the hub accepts after the step, when the step changes that.
	Accepts *guard.Hub
	// Withdraws is the same, when the step takes something away. Then the one rule is asked again on a fresh state,
	// right before the write.
	Withdraws *guard.Hub

	// Effect changes a predicted state to the one after the step. nil changes nothing.
	Effect func(*State)
	// States is what the roster says of the member once the step is verified.
	States Stating
	// KeepsOriginal says that what the step changes is kept as it was before a migration first changed it.
	KeepsOriginal bool
	// RecordOnly says that the step changes what is known of a member, and not the member: it is no outcome of a run.
	RecordOnly bool
}

// Stating is what a verified step states of its member in the roster.
type Stating int8

// What a step states.
const (
	StatesNothing    Stating = iota
	StatesAnew               // what the member presents; what earlier statements said besides no longer counts
	StatesAgain              // what the member presents; the rotation and the fence that were seen before still count
	StatesRotation           // and that its session has outlived its first token
	StatesFence              // and that its fence denies
	StatesRetraction         // nothing any more
)

// Condition is something that must be seen before a step counts as verified. It is never stored.
type Condition struct {
	Kind   string
	Member string // whose it is: a member's name, "hub" or "standby"
	Text   string // "the edge pods mount the token and none mounts xcp-edge-cert"
	// Met says whether the condition is met by what is seen now.
	Met Judge
	// Follow replaces Met where what was seen on the way counts. It returns a new judge, which must be told of every
	// observation since the writes, once and in order.
	Follow func() Judge
	// Moves says which reads of the member's cluster show that the condition comes to be met: a run that waits for it
	// glances at those. nil is all that is read.
	Moves func(Read) bool
	// AtHub says that those are reads of the hub's cluster.
	AtHub bool
	// Wait is what is known of how long it takes; nil where nothing is.
	Wait *Wait
}

// Wait is how long it takes that a condition is met, as far as that is known before: mostly one that time alone meets.
type Wait struct {
	For    time.Duration // once the step's other conditions are met; 0 where Until says it, or nothing does
	Until  time.Time     // the moment, where it is known already
	AtMost time.Duration // 0 when nothing limits it
	First  bool          // it begins with the step, or has begun before it
	Within bool          // the step's timeout runs meanwhile, and limits it
}

// Known says whether it is known how long the wait takes.
func (w Wait) Known() bool { return w.For > 0 || !w.Until.IsZero() }

// Judge says whether a condition is met. before is the state right before the step's writes, now what was seen last.
type Judge func(before, now State) Evaluation

// Begin returns the judge of a step that has begun.
func (c Condition) Begin() Judge {
	switch {
	case c.Follow != nil:
		return c.Follow()
	case c.Met != nil:
		return c.Met
	}
	return func(State, State) Evaluation { return unseen } // a saved plan keeps no more of it than the text
}

// Evaluate says whether the condition is met once all of that was seen, in order, since the step's writes.
func (c Condition) Evaluate(before State, since ...State) Evaluation {
	judge, e := c.Begin(), unseen
	for _, now := range since {
		e = judge(before, now)
	}
	return e
}

// Evaluation is what the observations so far say of a condition.
type Evaluation struct {
	Met      bool
	Evidence string // what was seen, or what is still missing: one clause
	// Hopeless says that waiting will not help.
	Hopeless bool
	// ExpectedAt is when the condition will be met if all goes well, for one that only time can meet. The step's timeout
	// begins then.
	ExpectedAt time.Time
}

// unseen is what is known of a condition before anything was looked at.
var unseen = Evaluation{Evidence: "not looked at yet"}

// OfMember evaluates what is seen of a member, and wants it to be seen at all.
func OfMember(name string, evaluate func(m Member, before, now State) Evaluation) Judge {
	return func(before, now State) Evaluation {
		switch m := now.Member(name); {
		case m == nil:
			return Evaluation{Evidence: "it is not seen any more"}
		case m.Err != "":
			return Evaluation{Evidence: m.Err}
		default:
			return evaluate(*m, before, now)
		}
	}
}

// Changes says whether the step writes something, or gets a member what it lacks.
func (s Step) Changes() bool { return len(s.Writes) > 0 || s.Supply != nil }

// Prediction is the state after some waves, as far as their steps foretell it.
type Prediction struct{ State }

// Predict begins a prediction. The state that it begins with never changes.
func Predict(f State) *Prediction { return &Prediction{f.clone()} }

// Do takes the steps as done and verified. It changes the members in place. It copies the hubs first: a step may share
// with the state what it says that a hub accepts.
func (p *Prediction) Do(steps []Step) {
	p.State = p.withOwnHubs()
	for _, s := range steps {
		if s.Effect != nil {
			s.Effect(&p.State)
		}
	}
}

// FenceName is the name of the policy of a fence, and of its binding.
const FenceName = "xcpauth-fence"

// Probe is what came of a step's Probe.
type Probe struct {
	At     time.Time
	Denied string // the words in which admission denied it; "" when it did not
	Err    string // why it did not come to that
}
