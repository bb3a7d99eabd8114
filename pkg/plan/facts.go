package plan

import (
	"slices"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
)

// Facts is what is known of a hub and its members at one moment. It is made by a dialect from snapshots, and everything
// that decides takes it as it is.
type Facts struct {
	At      time.Time
	Product string // the name of the dialect that made them
	Words   Words
	// Stated says that what is proved of a member is stated in the roster, for the admission webhook of the product.
	Stated  bool
	Hub     Hub
	Standby *Hub     // the second hub, when one was named
	Members []Member // sorted by name; each member once
	Others  []Other  // the selected contexts that hold no member of this hub, sorted by context
	// Probes is what came of the probes of the steps that are being proved, by member.
	Probes map[string]Probe
	// Contexts are all selected contexts, sorted by name; only for check.
	Contexts []Context
}

// Words are what people of a product call things, in lower case unless it is a name.
type Words struct {
	Hub    string // "management plane"
	Member string // "edge"
}

// Hub is the side that accepts credentials.
type Hub struct {
	Found    bool
	Err      string // one sentence when there is no hub to speak of: none found, two found, unreachable
	Context  string
	Object   Ref
	Accepts  guard.Hub
	Declared map[string]any // our paths of the object as they are: what a change replaces
	Odd      []string       // what is not written as documented; nothing is changed while there is any
	Owner    string         // who reverts a change made here: "Argo CD (tsb/mp)"; empty when nobody
	HelmNote string         // the Helm release whose values should be changed too
	// Server is the certificate that the hub presents to members.
	Server Certificate
	// Anchors are further CAs with which the hub's own clients verify Server: PEM, public.
	Anchors [][]byte `json:"-"`
	// Workload is the hub's server itself.
	Workload Workload
	// Connections is what the hub's own metrics count; nil when they were not read.
	Connections *Connections
	// Lower is the generation of the object that the product's operator derives from Object; it moves when the operator
	// has taken a change over. 0 when it cannot be read.
	Lower int64
	// Inventory names the members that the hub itself lists; nil when the hub keeps no such list. InventoryErr says why it
	// could not be read, and then it may hold anybody.
	Inventory    []string
	InventoryErr string
	ClusterUID   string
	Organization string // to which its members belong, "" when it does not say
	// Since is when what the hub accepts was last written, in its API server's clock; zero when that is not known.
	Since time.Time
	// Vouched is the Basis of Accepts with which the hub was proved to run, in this run.
	Vouched string
	// Roster says whether our own roster is installed in the hub.
	Roster RosterState
	// InFlight says which wave an interrupted run left, when it did: the next run restores it first.
	InFlight string
	// Inspection is what only check looks at; nil elsewhere.
	Inspection *Inspection
	// Issuer is who makes the hub's certificate.
	Issuer Issuer
	// Rehearsal is the certificate that Issuer made beside the real one, to see what would come.
	Rehearsal Certificate
	// RehearsalIssuer is the object that asks for Rehearsal.
	RehearsalIssuer Issuer
	// Leftovers are the objects in the hub that only the old credential needed.
	Leftovers []Leftover
	// Originals is what each object said before a migration first changed it, by UID.
	Originals map[string]map[string]any
	// Past is the waves that were carried out, oldest first.
	Past []Past
	// Keys are those with which the hub signs and verifies credentials, lowest serial first; nil where it has none of its own.
	Keys []Key
	// Revocations is the list of credentials that the hub takes back one by one; nil where it has none of its own.
	Revocations *Revocations
	// Sessions are the connections of each member by its name, oldest first, as the hub tells of them; nil where it does not.
	Sessions map[string][]Session
	// Version is which release of the product the hub runs, "" when that could not be told.
	Version string
	// API is where the hub itself issues credentials; nil where it does not, or was not looked at.
	API *TokenAPI
}

// TokenAPI is where a hub issues credentials to who has the right to them.
type TokenAPI struct {
	Object Ref // the workload whose pods answer
	Port   int
	TLS    bool
	Path   string
	Login  Ref    // the secret with the bearer token of who asks; empty when whoever runs the plugin has one of their own
	Off    string // why it issues none, one clause; "" when it does, as far as that can be seen
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

// Past is one wave that was carried out, for the history.
type Past struct {
	Wave  string    `json:"wave"`
	Began time.Time `json:"began"`
	Ended time.Time `json:"ended"`
	By    string    `json:"by"`
	Steps []string  `json:"steps"`            // IDs
	Said  string    `json:"said"`             // "proved", or what failed
	Goal  string    `json:"goal,omitempty"`   // "jwt-only", "rollback"
	Lost  []string  `json:"failed,omitempty"` // the members whose step failed
	// Deletes are the objects that the wave was to delete: what an interrupted one left is found by them.
	Deletes []Deletion `json:"deletes,omitempty"`
}

// Deletion is one object that a wave was to delete for a member.
type Deletion struct {
	Member  string `json:"member"`
	Cluster string `json:"cluster"` // its UID
	Object  Ref    `json:"object"`
}

// Connections is how many streams the hub holds: one for each edge, and of cluster state one for each edge and one for MPC.
type Connections struct{ Config, State int }

// RosterState says how far the roster is installed.
type RosterState struct {
	Namespace bool // its namespace is there
	Kind      bool // the EdgeCluster kind is served
	Err       string
}

// Member is one side that presents a credential: an edge, or the hub's own client (MPC for TSB).
type Member struct {
	Name        string // ClusterName, with the context appended when two members claim the same
	ClusterName string
	Role        Role
	Context     string
	ClusterUID  string
	Object      Ref
	Err         string // why the member could not be read; most of the rest is then empty

	Declared       guard.Cred     // what its object says, "" unless it says exactly one
	DeclaredFields map[string]any // our paths of the object as they are
	Effective      guard.Cred     // what the layer below was told, "" when unknown
	Edge           guard.Edge     // what it may present, from its processes
	Odd            []string       // what is not written as documented
	Owner          string
	HelmNote       string

	Workload   Workload
	Credential Credential
	Trust      Trust
	Dials      string   // the address it dials
	ServerName string   // the name that the hub's certificate must carry for it
	Elsewhere  string   // why it is evidently another hub's, "" when nothing says so
	Blocked    []string // why it cannot be moved to the wanted credential now, one remedy each

	// Seen is what the hub's own metrics say of the member: the time of the last event from it, in the hub's clock.
	Seen time.Time

	// Rotation says whether the member's session has outlived the credential that it began with.
	Rotation Rotation
	// Anchors are the CAs with which the member verifies the hub now, or will: PEM, public.
	Anchors [][]byte `json:"-"`
	// OldCredential is what the member presented before, as it still lies in its cluster: what the way back needs.
	OldCredential Certificate
	// Leftovers are the objects in the member's cluster that only the old credential needed.
	Leftovers []Leftover
	// Original is what its object said before a migration first changed it; nil when none did.
	Original map[string]any
	// Yields is what it would present with each credential that lies beside it, where those are told apart.
	Yields map[string]guard.Cred `json:"-"`
	// Returns is what it would present if its object said that again; "" when that is not known.
	Returns guard.Cred
	// Past is the waves that runs without a hub carried out in the member's cluster, oldest first.
	Past []Past
	// InFlight is the wave of a run without a hub that holds the member, "" when none does: that run, or the next one there, may put the
	// member back without asking the hub.
	InFlight string

	// Fence is what keeps the member from being edited to present another credential.
	Fence Fence

	Registered bool
	// ReadLive says that the webhook decides from what it reads in the member's own cluster, not from the statement.
	ReadLive bool
	// Outdated says that the roster's entry is of an object that was re-created since.
	Outdated  bool
	Statement *Statement // what the roster says, nil when nothing
	// Inspection is what only check looks at; nil elsewhere.
	Inspection *Inspection
}

// Role is what a member is to the hub.
type Role string

// The roles.
const (
	RoleEdge Role = "edge"
	RoleMPC  Role = "mpc"
)

// Workload is a Deployment and its processes.
type Workload struct {
	Found     bool
	Err       string
	Replicas  int64
	Settled   bool // every wanted replica is of the newest template and available, and no older or ending pod exists
	Processes []Process
	// RestartedFor is what we wrote into its pods' template when we had them started anew.
	RestartedFor string
}

// RolledOut wants a workload settled on processes none of which was there before. who is what people call it, deployment what is rolled out.
func (w Workload) RolledOut(before Workload, who, deployment string) Judgement {
	older := slices.ContainsFunc(w.Processes, func(p Process) bool {
		return slices.ContainsFunc(before.Processes, func(b Process) bool { return b.UID == p.UID })
	})
	switch {
	case w.Err != "":
		return Judgement{Witness: w.Err}
	case !w.Settled:
		return Judgement{Witness: "the rollout of " + deployment + " is not over"}
	case older:
		return Judgement{Witness: "an older pod of " + who + " is left"}
	}
	return Judgement{Holds: true, Witness: who + " was rolled out"}
}

// Process is one pod.
type Process struct {
	Name, UID string
	Created   time.Time // in its API server's clock
	Ready     bool
	Started   bool       // running: it has a metrics page
	Since     time.Time  // when its container was started; zero when that is not known
	Ending    bool       // being deleted
	Presents  guard.Cred // the credential it was started with, "" when unknown
	Waiting   string     // why it does not start, as the cluster's events say
	// Counters are the process's own monotonic figures: how often it connected, when it last pushed. nil = not read.
	Counters map[string]float64
	NoMetric string // why Counters could not be read
	// Serves is the certificate that the process presents to who dials it; nil when that was not read.
	Serves *Certificate
}

// Credential is the wanted credential of a member, as it lies in its cluster.
type Credential struct {
	State   CredentialState
	Where   string    // "istio-system/xcp-edge-central-auth-token"
	Expires time.Time // zero when it does not say
	Why     string    // one sentence: what is wrong, or what makes us believe that it will be minted
	Lacks   []string  // the secrets that it is made of and that are missing or cannot be used, when State is missing or bad
	Adds    []string  // secrets that help to make it: made where they are missing, never replaced
	Key     string    // what identifies it: the key ID it was signed with; never the credential
	ID      string    // by which it can be revoked: the jti of a JWT
	Digest  string    // changes when the credential does; never the credential
	Lost    string    // why nothing would make it again if it were gone, one sentence that ends in what to do; "" when the product would
	Written time.Time // when it was last written, in its API server's clock, or issued if that was before; zero when that is not known
}

// Rotation is what is known of the renewal of a member's credential: a session that lives on although the credential with which it
// began has expired has shown that renewal works.
type Rotation struct {
	Seen   bool
	At     time.Time // when it will have been seen, if all goes well; zero when nothing says so
	Why    string    // one clause
	Static bool      // nothing renews the credential, as far as can be told
}

// Fence is a policy of a member's own cluster by which its API server denies every edit that would make the member present another
// credential than the wanted one.
type Fence struct {
	Policy  Ref // as they are stored; without a UID when they are not
	Binding Ref
	// PolicySpec and BindingSpec are what is stored, nil when nothing is.
	PolicySpec, BindingSpec map[string]any `json:"-"`
	Ours                    bool           // both are stored exactly as this version writes them
	Proved                  bool           // the roster states that it was seen to deny, by these very objects
	Without                 string         // why there is none, and none can be made: one clause
}

// ID tells a fence from one that was made again: the UIDs of its binding and its policy; "" unless both are stored.
func (f Fence) ID() string {
	if f.Binding.UID == "" || f.Policy.UID == "" {
		return ""
	}
	return f.Binding.UID + "/" + f.Policy.UID
}

// CredentialState says whether the wanted credential can be used.
type CredentialState string

// The states of a credential.
const (
	CredentialUnknown  CredentialState = ""         // could not be read
	CredentialReady    CredentialState = "ready"    // there, well-formed, unexpired
	CredentialMintable CredentialState = "mintable" // not there, but the product's operator has what it needs to make it
	CredentialBad      CredentialState = "bad"      // there, and expired or malformed
	CredentialMissing  CredentialState = "missing"  // not there, and nobody will make it
)

// Trust says whether the member can verify the hub's certificate once it moves; where members need not verify it, Why says of one that
// it does not, and the rest is empty.
type Trust struct {
	OK     bool
	Where  string // the object that holds, or will hold, the CA
	Absent bool   // the object is not there and can be made from CA
	// Unnamed says that the certificate is trusted, and lacks the name under which the member dials.
	Unnamed bool
	Why     string
	// CA is what the object is made of when it is absent: PEM, public.
	CA []byte `json:"-"`
	// Suppliable says that the object is absent, or would not do, and that one from outside would help.
	Suppliable bool
	// Public says that the hub's certificate is signed by a public CA and that the member has no object with a CA, and may need none.
	Public bool
}

// Certificate is the public part of a server certificate.
type Certificate struct {
	Where   string
	Err     string
	Names   []string // DNS names and IP addresses
	URIs    []string
	Usages  []string // of the extended key usages: "server auth", "client auth"
	Began   time.Time
	Expires time.Time
	Digest  string
	Chain   []byte `json:"chain,omitempty"` // with its intermediates: PEM, public
	CA      []byte `json:"ca,omitempty"`    // what lies beside it as its CA: PEM, public
	Public  bool   `json:"-"`               // no CA lies beside it, and one that every system trusts has signed it
}

// Statement is the roster's word about a member.
type Statement struct {
	Presents  []guard.Cred
	Observed  time.Time
	Until     time.Time
	Source    string
	Witnesses []string
	Rotated   bool   // a session was seen that had outlived the credential with which it began
	Fence     string // the ID of the fence that was seen to deny, "" when none was
	FenceSeen time.Time
	Void      string // why it says nothing although it is there: the object was re-created
}

// Other is a selected context that holds no member of this hub.
type Other struct {
	Context    string
	ClusterUID string // of kube-system, "" when it was not reached
	State      string // "unreachable", "no-member", "other-management-plane", "duplicate"
	Why        string
	Claims     string // the cluster name that its object claims, when it has one
}

// Ref names one object in one cluster.
type Ref struct {
	Group           string `json:"group"`
	Version         string `json:"version"`
	Resource        string `json:"resource"`
	Kind            string `json:"kind"`
	Namespace       string `json:"namespace,omitempty"`
	Name            string `json:"name"`
	UID             string `json:"uid,omitempty"`
	ResourceVersion string `json:"-"` // moves by itself; never part of a plan's basis
}

// String is kind namespace/name.
func (r Ref) String() string {
	if r.Namespace == "" {
		return r.Kind + " " + r.Name
	}
	return r.Kind + " " + r.Namespace + "/" + r.Name
}

// Member returns the named member, or nil.
func (f Facts) Member(name string) *Member {
	for i := range f.Members {
		if f.Members[i].Name == name {
			return &f.Members[i]
		}
	}
	return nil
}

// Moved says whether a member is where a goal wants it: proved, as the roster states; where there is no roster, as its object says and its
// processes do.
func (f Facts) Moved(m Member, to guard.Cred) bool {
	if f.Stated {
		return m.Proved(to, f.At)
	}
	return m.Err == "" && m.Declared == to && m.Effective == to && m.Workload.Settled
}

// Edges returns every member in the form that the one rule takes; and as members of which nothing is known: every context
// that could not be looked at, and those whom an inventory or a roster may list that could not be read.
func (f Facts) Edges() []guard.Edge {
	edges := make([]guard.Edge, 0, len(f.Members))
	for _, m := range f.Members {
		e := m.Edge
		e.Name = m.Name
		edges = append(edges, e)
	}
	for _, o := range f.Others {
		if o.State == "unreachable" {
			edges = append(edges, guard.Edge{Name: "context " + o.Context, Why: o.Why})
		}
	}
	for _, why := range []string{f.Hub.InventoryErr, f.Hub.Roster.Err, f.Hub.Err} {
		if why != "" {
			edges = append(edges, guard.Edge{Name: "whoever else the hub knows", Why: why})
		}
	}
	return edges
}

// Proved says whether the roster's word and the member's own processes agree, at the time of the facts, that it presents
// cred and nothing else.
func (m Member) Proved(cred guard.Cred, at time.Time) bool {
	only := []guard.Cred{cred}
	return m.Statement != nil && m.Statement.Void == "" && at.Before(m.Statement.Until) &&
		slices.Equal(m.Statement.Presents, only) && slices.Equal(m.Edge.Presents, only)
}
