package plan

import (
	"crypto/x509"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
)

// Wave is the next thing to do: steps that run side by side, and what stands in the way of others. No steps and nothing
// blocked means that the goal is reached.
type Wave struct {
	Title     string
	Steps     []Step
	Obstacles []Obstacle
	// Notes are what whoever reads the result should know, and stands in nobody's way.
	Notes []Obstacle
}

// Obstacle is why a member, or the hub, cannot be moved now.
type Obstacle struct {
	Member string `json:"member"`
	Why    string `json:"why"` // one sentence that ends in what to do
}

// Kind says what a step does.
type Kind string

// The kinds of step, in the order in which a migration meets them.
const (
	RetractStatement  Kind = "void"     // takes a statement back that what is seen contradicts
	Register          Kind = "register" // lists the members in the roster, so that unknown is deniable
	TrialIssue        Kind = "rehearse" // the hub's certificate is issued once beside the real one, to see what would come
	UpdateCertificate Kind = "certify"  // the hub's certificate gets the names that members dial
	Restart           Kind = "restart"  // the hub's server is rolled out, since it serves an older certificate
	SupplyCredential  Kind = "provide"  // a member gets the credentials that it lacks from outside
	Accept            Kind = "open"     // the hub accepts the wanted credential beside the old one
	Switch            Kind = "move"     // a member gets what it needs and presents the wanted credential
	Verify            Kind = "prove"    // a member that presents it already is proved to
	AwaitRotation     Kind = "witness"  // a member's session is seen to outlive the token that it began with
	Reconnect         Kind = "redial"   // a member must connect again, after its first token has expired
	InstallFence      Kind = "fence"    // a member's own cluster denies every edit that would make it present another credential
	Withdraw          Kind = "close"    // the hub stops accepting the old credential
	CleanUp           Kind = "clean"    // what only the old credential needed is deleted; the way back ends
	Revert            Kind = "return"   // a member presents the old credential again
	RotateToken       Kind = "renew"    // the product makes a member's credential anew
	Prune             Kind = "prune"    // the hub's list of revoked credentials loses what has expired
)

// Step is one change with its proof and its way back.
type Step struct {
	ID         string // "move/edge-1"
	Kind       Kind
	Member     string // a member's name, or "hub"
	Title      string // "edge-1: present a JWT"
	Verb       string // the same in two words, for a table; "" where the kind says it
	Why        string
	Writes     []Write     // credentials first, mode last
	Conditions []Condition // all must hold
	Timeout    time.Duration
	// RevertsTo is what the member presents again when the step is put back; putting it back is refused while the hub does not
	// accept that. Empty when the step changes no member.
	RevertsTo guard.Cred
	// NoUndo says that the writes stay when the proof fails, since what they leave is the safest state there is.
	NoUndo bool
	// Irreversible says that nothing takes the step back; it is asked for separately.
	Irreversible bool
	// Undo is the way back of a step that writes nothing itself, or whose way back is more than its writes inverted. It is taken
	// when the proof fails, and not when the run is interrupted before: see Settled.
	Undo []Write
	// OnSuccess is what is written once the step is proved: it removes what only the way back needed. The step stands without it.
	OnSuccess []Write
	// KeepOnInterrupt says that the member was proved before the step began, so that an interruption leaves it as it is.
	KeepOnInterrupt bool
	// Accepts is what the hub accepts after the step, when the step changes that.
	Accepts *guard.Hub
	// Supply asks for credentials from outside before the first write, see Supply.
	Supply *Supply
	// Probe is a write that must be denied for the proof to hold: it is sent as a server-side dry run, on a connection of its own, at each
	// look (see Facts.Probes), and never stored.
	Probe *Write
	// Optional says that the run goes on without the step when it fails: what it would add is missing, and nothing is worse.
	Optional bool
	// Withdraws is what the hub accepts after the step, when the step takes something away: the one rule is asked again
	// on fresh facts right before it is written.
	Withdraws *guard.Hub
}

// Write is one write. A merge patch carries only our paths.
type Write struct {
	Context string `json:"context"`
	Cluster string `json:"cluster,omitempty"` // the UID of the cluster, which outlives the name of a context
	Object  Ref    `json:"object"`
	// Status says that the status subresource is written.
	Status bool `json:"status,omitempty"`
	// Create says that the object is to be made as After, and left as it is when it is there already.
	Create bool `json:"create,omitempty"`
	// Delete says that the object is to be removed, when it still is the one of Object.UID; After is empty. With RestoreFrom, Create says
	// that it is made again from its copy.
	Delete bool `json:"delete,omitempty"`
	// Restart says that the pods of the object are started anew, and nothing else is changed: After says what for, which names what is
	// only known when it is written, so that a saved plan is not held to it.
	Restart bool `json:"restart,omitempty"`
	// BackupAs names a secret of the same namespace into which the object is copied before it is written; RestoreFrom names such a
	// copy, from which the object is written back. What is secret is never in a patch.
	BackupAs    string `json:"keepAs,omitempty"`
	RestoreFrom string `json:"restoreFrom,omitempty"`
	// Undoing says that the patch takes back what an earlier one wrote, so that nobody's claim to the object stands in
	// its way. It is said when it is written, and kept nowhere.
	Undoing bool `json:"-"`
	// SecretField names a value that only the executor holds and adds when it writes: a private key from a file.
	SecretField string `json:"fill,omitempty"`
	// ListsByName says that the lists in Before, After, Back and Unless are of entries that are told by their name, of which these are ours: a
	// strategic merge patch of a kind of Kubernetes' own. An entry of which everything but the name is null is absent.
	ListsByName bool `json:"byName,omitempty"`
	// Before is our paths as they were read; the write is refused when they have changed since. null = absent.
	Before map[string]any `json:"before,omitempty"`
	// After is our paths as they are to be.
	After map[string]any `json:"after"`
	// UndoTo is what undoes it, when that is not Before: explicit values where Before had none.
	UndoTo map[string]any `json:"back,omitempty"`
	// SatisfiedBy is our paths as they are when there is nothing to do: of the way back, the values before.
	SatisfiedBy map[string]any `json:"unless,omitempty"`
}

// Supply is a request for the credentials of one member, which come from outside: the product's own CLI, or a manifest that another
// team handed over.
type Supply struct {
	Member, ClusterName string
	Context, Namespace  string
	Wants               []string // the secrets that are missing or cannot be used
	Adds                []string // the secrets that are made when they are missing, and never replaced
	FullName            string   // the member's name at the hub in full, "" when the hub was not looked at
	Hosts               []string // under which members dial the hub, sorted
	Chain               []byte   // the hub's certificate with its intermediates, PEM; nil when it was not looked at
	// Token is the token to ask for, where the hub issues it or its key signs it.
	Token *TokenRequest
}

// TokenRequest asks for a token that one of the hub's keys signs.
type TokenRequest struct {
	API      *TokenAPI // which is asked to sign; nil has it signed with the key itself
	Hub      string    // the context of the hub
	Key      Ref       // the secret of the key, there
	KeyID    string
	Subject  string // who is to present it, as the hub knows it
	ValidFor time.Duration
	Secret   string // the name of the secret that is to hold it, and the key of its data
	DataKey  string
}

// Undo is the patch that takes p back. A created object is left: it only adds trust or a record; and nothing brings a deleted one back of
// which no copy was kept.
func (p Write) Undo() (Write, bool) {
	if p.Create || p.Delete && p.BackupAs == "" {
		return Write{}, false
	}
	if p.Delete {
		o := p.Object
		o.UID, o.ResourceVersion = "", "" // another object by the same name
		return Write{Context: p.Context, Cluster: p.Cluster, Object: o, Create: true, RestoreFrom: p.BackupAs}, true
	}
	if p.BackupAs != "" {
		return Write{Context: p.Context, Cluster: p.Cluster, Object: p.Object, RestoreFrom: p.BackupAs}, true
	}
	back := p.UndoTo
	if back == nil {
		back = p.Before
	}
	return Write{Context: p.Context, Cluster: p.Cluster, Object: p.Object, ListsByName: p.ListsByName, Before: p.After, After: back, SatisfiedBy: p.Before}, true
}

// Condition is something that must be seen before a step counts as done.
type Condition struct {
	Kind   string `json:"kind"` // known to the dialect that judges it
	Member string `json:"member"`
	Text   string `json:"text"` // "the edge pods mount the token and none mounts xcp-edge-cert"
	// Credential is the credential that the claim is about, when that is not the wanted one.
	Credential guard.Cred `json:"credential,omitempty"`
	// Names are the names that a certificate must have.
	Names []string `json:"names,omitempty"`
	// For is how long it must hold.
	For time.Duration `json:"for,omitempty"`
}

// FenceName is the name of the policy of a fence, and of its binding.
const FenceName = "xcpauth-fence"

// Probe is what came of a step's Probe.
type Probe struct {
	At     time.Time
	Denied string // the words in which admission denied it; "" when it did not
	Err    string // why it did not come to that
}

// Evaluation is what the observations so far say of a claim.
type Evaluation struct {
	Met      bool
	Evidence string // what was seen, or what is still missing: one clause
	// Hopeless says that waiting will not help.
	Hopeless bool
	// ExpectedAt is when the claim will hold if all goes well, for one that only time can fulfil; the step's time runs from then.
	ExpectedAt time.Time
}

// Selection says in which of the contexts the hub is.
type Selection struct {
	Product string // the name of the dialect; "" means to find out
	Hub     string // the context of the hub; "" means to find it among them
	Standby string // the context of a second hub that takes over from the first
	NoHub   bool   // there is none to look at: the run is about edges alone
	// Tokens are those that zones without a context were given, by zone.
	Tokens map[string]Secret
	// Revoked are credentials that were handed over as revoked, for what they say of themselves.
	Revoked []Secret
	// Roots returns the CAs that the system trusts, nil when there are none; it is asked only about a hub's certificate that comes
	// without a CA.
	Roots func() *x509.CertPool
}

// Provider is one product. All its functions are pure.
type Provider struct {
	Name string
	// Detects says whether a snapshot shows a hub or a member of the product.
	Detects func(Snapshot) bool
	// Trim leaves of a body what the dialect reads of it.
	Trim func(r Read, body []byte) []byte
	// Reads says what to read next of a context, given what was read of it so far; nil means that this is all. Metrics
	// pages are asked for only when metrics is true.
	Reads func(soFar map[Read]Result, metrics bool) []Read
	// Permissions lists the rights that a run makes use of in a context of which that much was read, to look, and to migrate too when migrate is
	// true; nil where nobody asks.
	Permissions func(soFar map[Read]Result, migrate bool) []Permission
	// ReadState makes facts of snapshots.
	ReadState func(snaps []Snapshot, where Selection, at time.Time) State
	// Complete fills in what a goal leaves to the product, by the facts that a run begins with: the credential that members are to present.
	Complete func(State, Goal) Goal
	// Next says what to do next.
	Next func(State, Goal) Wave
	// Verify is the step that changes nothing and proves a member.
	Verify func(State, Member, Goal) Step
	// InstallFence is the step that proves a member's fence, having installed it where it is not.
	InstallFence func(State, Member, Goal) Step
	// Evaluate says whether the claim holds, given the facts right before the step's writes (seen[0]) and all since.
	Evaluate func(c Condition, seen []State) Evaluation
	// AllowsUndo says whether a patch that was read from a journal is one that this dialect writes to take a step back, after which its
	// member presents from again (see Step.From).
	AllowsUndo func(f State, p Write, from guard.Cred) bool
	// CredentialAfter is what a member would present after a patch that takes a step back, as far as its credentials are good now, and whether that is
	// known; nil where a member presents what its object says.
	CredentialAfter func(f State, p Write) (cred guard.Cred, known bool)
	// CannotPresent says why a member would not connect if it presented a credential again, "" when it would as far as is known; nil where only what the
	// hub accepts decides that.
	CannotPresent func(f State, m Member, c guard.Cred) string
	// Converged says of a member whether nothing is left to do for it on the way to a goal, and what it presents, in words, "" when that is not
	// known; nil where it is whether the member presents what the goal wants (Facts.Moved).
	Converged func(f State, m Member, g Goal) (there bool, presents string)
	// RemoveFence is what removes the fence of a member's cluster, which would deny the way back; nothing when it has none.
	RemoveFence func(State, Member) []Write
	// Predict predicts the facts when the steps of a wave have been done and proved.
	Predict func(State, []Step) State
}
