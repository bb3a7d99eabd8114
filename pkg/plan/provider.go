package plan

import (
	"crypto/x509"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
)

// Selection says in which of the contexts the hub is.
type Selection struct {
	Product string // the name of the provider; "" means to find out
	Hub     string // the context of the hub; "" means to find it among them
	Standby string // the context of a second hub that takes over from the first
	NoHub   bool   // there is none to look at: the run is about edges alone
	// Addresses are those of the hub's own API, one for each of its processes, when the hub is outside of clusters. Hub
	// is then the context whose cluster keeps what runs write down.
	Addresses []string
	// For is the release of the product that check is to judge an upgrade to; "" for none.
	For string
	// Tokens are those that zones without a context were given, by zone.
	Tokens map[string]Secret
	// Revoked are credentials that were provided as revoked, for what they say of themselves.
	Revoked []Secret
	// Roots returns the CAs that the system trusts, nil when there are none; it is asked only about a hub's certificate
	// that comes without a CA.
	Roots func() *x509.CertPool
}

// Provider is one product. All its functions are pure. A nil function, where its comment allows that, is a product
// that has nothing to say to it.
type Provider struct {
	Name string
	// Detects says whether a snapshot shows a hub or a member of the product.
	Detects func(Snapshot) bool
	// MemberAlone says whether a snapshot shows a member of the product, and no hub: then nobody asks whether it holds
	// another product; nil where that is always asked.
	MemberAlone func(Snapshot) bool
	// Trim leaves of a body what the provider reads of it.
	Trim func(r Read, body []byte) []byte
	// Reads says what to read next of a context, given what was read of it so far; nil means that this is all. Metrics
	// pages are asked for only when metrics is true.
	Reads func(soFar map[Read]Result, metrics bool) []Read
	// Permissions lists the rights that a run makes use of in a context of which that much was read, to look, and to
	// migrate too when migrate is true; nil where nobody asks.
	Permissions func(soFar map[Read]Result, migrate bool) []Permission
	// ReadState makes a state of snapshots.
	ReadState func(snaps []Snapshot, where Selection, at time.Time) State
	// Complete fills in what a goal leaves to the product, by the state that a run begins with: the credential that
	// members are to present.
	Complete func(State, Goal) Goal
	// Next says what to do next.
	Next func(State, Goal) Wave
	// Verify is the step that changes nothing and verifies a member.
	Verify func(State, Member, Goal) Step
	// InstallFence is the step that verifies a member's fence, having installed it where it is not.
	InstallFence func(State, Member, Goal) Step
	// AllowsUndo says whether a patch that was read from a journal is one that this provider writes to take a step back,
	// after which its member presents from again (see Step.From).
	AllowsUndo func(f State, p Write, from guard.Cred) bool
	// CredentialAfter is what a member would present after a patch that takes a step back, as far as its credentials are
	// good now, and whether that is known; nil where a member presents what its object says.
	CredentialAfter func(f State, p Write) (cred guard.Cred, known bool)
	// CannotPresent says why a member would not connect if it presented a credential again, "" when it would as far as
	// is known; nil where only what the hub accepts decides that.
	CannotPresent func(f State, m Member, c guard.Cred) string
	// Converged says of a member whether nothing is left to do for it on the way to a goal, and what it presents, in
	// words, "" when that is not known; nil where it is whether the member presents what the goal wants (State.Moved).
	Converged func(f State, m Member, g Goal) (there bool, presents string)
	// RemoveFence is what removes the fence of a member's cluster, which would deny the way back; nothing when it has
	// none.
	RemoveFence func(State, Member) []Write
}
