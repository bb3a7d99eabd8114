package plan

import (
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
)

// Goal says where a migration is to end.
type Goal struct {
	To     guard.Cred `json:"to"`               // the credential that every member is to present
	Canary string     `json:"canary,omitempty"` // the member to move first; the first by name when empty
	// Within is how long a step may take until it is proved; then it is put back.
	Within time.Duration `json:"within"`
}

// Wave is the next thing to do: steps that run side by side, and what stands in the way of others. No steps and nothing
// blocked means that the goal is reached.
type Wave struct {
	Title   string
	Steps   []Step
	Blocked []Blocked
}

// Blocked is why a member, or the hub, cannot be moved now.
type Blocked struct {
	Member string `json:"member"`
	Why    string `json:"why"` // one sentence that ends in what to do
}

// Kind says what a step does.
type Kind string

// The kinds of step, in the order in which a migration meets them.
const (
	Void     Kind = "void"     // takes a statement back that what is seen contradicts
	Register Kind = "register" // lists the members in the roster, so that unknown is deniable
	Open     Kind = "open"     // the hub accepts the wanted credential beside the old one
	Move     Kind = "move"     // a member gets what it needs and presents the wanted credential
	Prove    Kind = "prove"    // a member that presents it already is proved to
	Close    Kind = "close"    // the hub stops accepting the old credential
)

// Step is one change with its proof and its way back.
type Step struct {
	ID     string // "move/edge-1"
	Kind   Kind
	Member string // a member's name, or "hub"
	Title  string // "edge-1: present a JWT"
	Why    string
	Writes []Patch // credentials first, mode last
	Proof  []Claim // all must hold
	Within time.Duration
	// From is what the member presents again when the step is put back; putting it back is refused while the hub does not
	// accept that. Empty when the step changes no member.
	From guard.Cred
	// Keep says that the writes stay when the proof fails, since what they leave is the safest state there is.
	Keep bool
	// Withdraws is what the hub accepts after the step, when the step takes something away: the one rule is asked again
	// on fresh facts right before it is written.
	Withdraws *guard.Hub
}

// Patch is one write. A merge patch carries only our paths.
type Patch struct {
	Context string `json:"context"`
	Cluster string `json:"cluster,omitempty"` // the UID of the cluster, which outlives the name of a context
	Object  Ref    `json:"object"`
	// Status says that the status subresource is written.
	Status bool `json:"status,omitempty"`
	// Create says that the object is to be made as After, and left as it is when it is there already.
	Create bool `json:"create,omitempty"`
	// Before is our paths as they were read; the write is refused when they have changed since. null = absent.
	Before map[string]any `json:"before,omitempty"`
	// After is our paths as they are to be.
	After map[string]any `json:"after"`
	// Back is what undoes it, when that is not Before: explicit values where Before had none.
	Back map[string]any `json:"back,omitempty"`
	// Unless is our paths as they are when there is nothing to do: of the way back, the values before.
	Unless map[string]any `json:"unless,omitempty"`
}

// Undo is the patch that takes p back. A created object is left: it only adds trust or a record.
func (p Patch) Undo() (Patch, bool) {
	if p.Create {
		return Patch{}, false
	}
	back := p.Back
	if back == nil {
		back = p.Before
	}
	return Patch{Context: p.Context, Cluster: p.Cluster, Object: p.Object, Before: p.After, After: back, Unless: p.Before}, true
}

// Claim is something that must be seen before a step counts as done.
type Claim struct {
	Kind   string `json:"kind"` // known to the dialect that judges it
	Member string `json:"member"`
	Text   string `json:"text"` // "the edge pods mount the token and none mounts xcp-edge-cert"
}

// Judgement is what the observations so far say of a claim.
type Judgement struct {
	Holds   bool
	Witness string // what was seen, or what is still missing: one clause
}

// Dialect is one product. All its functions are pure.
type Dialect struct {
	Name string
	// Reads says what to read next of a context, given what was read of it so far; nil means that this is all. Metrics
	// pages are asked for only when metrics is true.
	Reads func(soFar map[Read]Result, metrics bool) []Read
	// Facts makes facts of snapshots. hub names the context of the hub; "" means to find it among them.
	Facts func(snaps []Snapshot, hub string, at time.Time) Facts
	// Next says what to do next.
	Next func(Facts, Goal) Wave
	// Prove is the step that changes nothing and proves a member.
	Prove func(Member, Goal) Step
	// Judge says whether the claim holds, given the facts right before the step's writes (seen[0]) and all since.
	Judge func(c Claim, seen []Facts) Judgement
	// Restores says whether a patch that was read from a journal is one that this dialect writes to take something back.
	Restores func(Patch) bool
	// After predicts the facts when the steps of a wave have been done and proved.
	After func(Facts, []Step) Facts
}
