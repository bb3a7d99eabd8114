package plan

import (
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
)

// Hub is the side that accepts credentials.
type Hub struct {
	HubIdentity
	HubDeclaration
	HubRunning
	HubCertificate
	HubMembers
	HubRecords
	HubTokens
	// Inspection is what only check looks at; nil elsewhere.
	Inspection *Inspection
}

// HubIdentity is which hub it is, and where.
type HubIdentity struct {
	Found        bool
	Err          string // one sentence when there is no hub to speak of: none found, two found, unreachable
	Context      string
	ClusterUID   string
	Object       Ref
	Organization string // to which its members belong, "" when it does not say
	Version      string // which release of the product it runs, "" when that could not be told
}

// HubDeclaration is what the hub's object says, and who writes it.
type HubDeclaration struct {
	Accepts   guard.Hub
	Declared  map[string]any // our paths of the object as they are: what a change replaces
	Anomalies []string       // what is not written as documented; nothing is changed while there is any
	Owner     string         // who reverts a change made here: "Argo CD (tsb/mp)"; empty when nobody
	HelmNote  string         // the Helm release whose values should be changed too
	// Since is when what the hub accepts was last written, in its API server's clock; zero when that is not known.
	Since time.Time
	// StoredElsewhere says why it is not known where the hub keeps its keys, members and sessions, "" when it is. Then
	// nothing is known of them, and nothing is written.
	StoredElsewhere string
	// StateAPI is where the hub's keys, members and sessions are read and written; nil when they are objects of its
	// cluster.
	StateAPI *HubAPI `json:",omitempty"`
}

// HubRunning is what the hub's own processes show.
type HubRunning struct {
	Workload Workload
	// Connections is what the hub's own metrics count; nil when they were not read.
	Connections *Connections
	// OperatorGeneration is the generation of the object that the product's operator derives from Object; it moves when
	// the operator has taken a change over. 0 when it cannot be read.
	OperatorGeneration int64
	// VerifiedBasis is the Basis of Accepts with which the hub was verified to run, in this run.
	VerifiedBasis string
}

// HubCertificate is the certificate that the hub presents to members, and who makes it.
type HubCertificate struct {
	Server Certificate
	// TrustAnchors are further CAs with which the hub's own clients verify Server: PEM, public.
	TrustAnchors [][]byte `json:"-"`
	// Issuer is who makes Server.
	Issuer Issuer
	// TrialCertificate is the certificate that Issuer made beside the real one, to see what would come, and TrialIssuer
	// the object that asks for it.
	TrialCertificate Certificate
	TrialIssuer      Issuer
}

// HubMembers is what the hub itself says of who its members are.
type HubMembers struct {
	// Inventory names the members that the hub itself lists; nil when the hub keeps no such list. InventoryErr says why it
	// could not be read, and then it may hold anybody.
	Inventory    []string
	InventoryErr string
}

// HubRecords is what our own runs left in the hub.
type HubRecords struct {
	// Roster says whether our own roster is installed in the hub.
	Roster RosterState
	// InFlight says which wave an interrupted run left, when it did: the next run restores it first.
	InFlight string
	// JournalErr says why it is not known whether a run left a wave, "" when it is known. InFlight is a wave that is not
	// known then.
	JournalErr string
	// Originals is what each object said before a migration first changed it, by UID.
	Originals map[string]map[string]any
	// History is the waves that were carried out, oldest first.
	History []WaveRecord
	// Leftovers are the objects in the hub that only the old credential needed.
	Leftovers []Leftover
}

// HubTokens is what a hub has that signs, lists and checks its members' tokens itself. All of it is empty where others
// do that.
type HubTokens struct {
	// Keys are those with which the hub signs and verifies credentials, lowest serial first; nil where it has none of
	// its own, and where it is not known which it has.
	Keys []Key
	// KeysErr says why it is not known which keys the hub has, one clause; "" when it is.
	KeysErr string
	// Revocations is the list of credentials that the hub takes back one by one; nil where it has none of its own.
	Revocations *Revocations
	// Sessions are the connections of each member by its name, oldest first, as the hub tells of them; nil where it does
	// not.
	Sessions map[string][]Session
	// SessionsUnclear says why Sessions do not tell whether a credential was brought, one sentence; "" when they do.
	SessionsUnclear string
	// TokenChecks says when the hub looks at a credential after a session began, one clause; "" where that is not said.
	TokenChecks string
	// API is where the hub itself issues credentials; nil where it does not, or was not looked at.
	API *HubAPI
}

// Key is one of the hub's signing keys.
type Key struct {
	ID     string // by which a credential names it: the kid of a JWT
	Serial int    // the hub signs with the highest
	Object Ref
	Signs  bool      // the one with which the hub signs now
	Made   time.Time // in its API server's clock; zero when that is not known
	Wrong  string    // why the hub cannot use it, one clause
}

// Revocations is a list of revoked credentials as it is stored.
type Revocations struct {
	Object Ref    // without a UID while it is not there
	Value  []byte // as it lies there
	IDs    []string
	Keeper string // who would put a change of it back: "ExternalSecret tokens"; "" when nobody does
	// Expired are those of IDs whose credential is known to have expired, so that nothing rests on their being revoked.
	Expired []string
}

// Session is one connection of a member to the hub.
type Session struct {
	ID       string
	Began    time.Time // in the hub's clock, as Ended; zero while it lasts, as far as the hub knows
	Ended    time.Time
	Provided bool // it brought a credential, which need not have been verified
}

// Issuer is the object from which a certificate is made again when its names change.
type Issuer struct {
	Object Ref            // empty when nothing makes it, or we do not know what
	Kind   string         // what makes it, in a word or two: "cert-manager", "Helm"; "" when that is not known
	Spec   map[string]any `json:"-"`
	Names  map[string]any // our paths of the object as they are
	Ready  bool           // what it asks for is what was issued
	Why    string         // why we cannot change the names: who can, and how
}

// Leftover is an object that only the old credential needed.
type Leftover struct {
	Context, ClusterUID string
	Object              Ref
	Why                 string // what tells that it is one
	Member              string // whose it is; "hub" for the hub's own
}

// WaveRecord is one wave that was carried out, for the history.
type WaveRecord struct {
	Wave   string    `json:"wave"`
	Began  time.Time `json:"began"`
	Ended  time.Time `json:"ended"`
	By     string    `json:"by"`
	Steps  []string  `json:"steps"`            // IDs
	Result string    `json:"said"`             // ResultVerified, or what failed
	Goal   string    `json:"goal,omitempty"`   // "jwt-only", "rollback"
	Failed []string  `json:"failed,omitempty"` // the members whose step failed
	// Deletes are the objects that the wave was to delete: what an interrupted one left is found by them.
	Deletes []Deletion `json:"deletes,omitempty"`
}

// ResultVerified is the result of a wave of which every step was verified. Journals keep it.
const ResultVerified = "proved"

// Deletion is one object that a wave was to delete for a member.
type Deletion struct {
	Member  string `json:"member"`
	Cluster string `json:"cluster"` // its UID
	Object  Ref    `json:"object"`
}

// Connections is how many streams the hub holds: one for each edge, and of cluster state one for each edge and one
// for MPC.
type Connections struct{ Config, State int }

// RosterState says how far the roster is installed.
type RosterState struct {
	In        string // the namespace of the roster, the journal and the lock
	Namespace bool   // it is there
	Kind      bool   // the EdgeCluster kind is served
	Err       string
}

// Certificate is the public part of a server certificate.
type Certificate struct {
	Where   string
	Err     string
	Missing bool     `json:"-"` // of Err: its secret is not there
	Denied  bool     `json:"-"` // of Err: the right to read it is missing
	Names   []string // DNS names and IP addresses
	URIs    []string
	Usages  []string // of the extended key usages: "server auth", "client auth"
	Began   time.Time
	Expires time.Time
	Digest  string
	Chain   []byte `json:"chain,omitempty"` // with its intermediates: PEM, public
	CA      []byte `json:"ca,omitempty"`    // what is next to it as its CA: PEM, public
	// who would put another one back: "ExternalSecret central"; "" when nobody does
	Keeper string `json:"-"`
	Public bool   `json:"-"` // no CA is next to it, and one that every system trusts has signed it
}
