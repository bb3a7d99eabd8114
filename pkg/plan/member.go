package plan

import (
	"fmt"
	"slices"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
)

// Member is one side that presents a credential: an edge, or the hub's own client (MPC for TSB).
type Member struct {
	Identity
	Declaration
	Effective guard.Cred   // what the layer below was told, "" when unknown
	Evidence  guard.Member // what it may present, from its processes
	Workload  Workload
	Connecting
	Credentials
	Registration
	Past
	Fence     Fence    // what keeps the member from being edited to present another credential
	Obstacles []string // why it cannot be moved to the wanted credential now, one remedy each
	// Inspection is what only check looks at; nil elsewhere.
	Inspection *Inspection
}

// Identity is which member it is, and where.
type Identity struct {
	Name          string // ClusterName, with the context appended when two members claim the same
	ClusterName   string
	Renamed       string // why Name is not ClusterName, "" when it is
	Role          Role
	Context       string
	ClusterUID    string
	Object        Ref
	Err           string // why the member could not be read; most of the rest is then empty
	ForeignReason string // why it is evidently another hub's, "" when nothing says so
}

// Declaration is what a member's object says, and who writes it.
type Declaration struct {
	Declared       guard.Cred     // what its object says, "" unless it says exactly one
	DeclaredFields map[string]any // our paths of the object as they are
	Anomalies      []string       // what is not written as documented
	Owner          string         // who reverts a change made here; empty when nobody
	AtOwner        string         // what to do there, in one clause
	HelmNote       string         // the Helm release whose values should be changed too
}

// Hindrances are the obstacles of a member, and its owner: something else would put its object back.
func (m Member) Hindrances() []string {
	if m.Owner == "" {
		return slices.Clone(m.Obstacles)
	}
	return append([]string{fmt.Sprintf("%s is kept by %s, which would put it back; %s", m.Object, m.Owner, m.AtOwner)},
		m.Obstacles...)
}

// Connecting is how a member reaches the hub.
type Connecting struct {
	Dials      string // the address it dials
	ServerName string // the name that the hub's certificate must carry for it
	Trust      Trust
	// TrustAnchors are the CAs with which the member verifies the hub now, or will: PEM, public.
	TrustAnchors [][]byte `json:"-"`
	// LastEvent is what the hub's own metrics say of the member: the time of the last event from it, in the hub's clock.
	LastEvent time.Time
	// Link says whether the member is connected now.
	Link Link
}

// Credentials are those that lie in a member's cluster.
type Credentials struct {
	Credential Credential // the wanted one
	// Rotation says whether the member's session has outlived the credential that it began with.
	Rotation Rotation
	// OldCredential is what the member presented before, as it still lies in its cluster: what the way back needs.
	OldCredential Certificate
	// Available is what it would present with each credential that is next to it, where those are told apart.
	Available map[string]guard.Cred `json:"-"`
	// AvailableUntil is when each of those expires, where it does.
	AvailableUntil map[string]time.Time `json:"-"`
	// OriginalCredential is what it would present if its object said Original again; "" when that is not known.
	OriginalCredential guard.Cred
}

// Registration is what the roster holds of a member.
type Registration struct {
	Registered bool
	// ReadLive says that the webhook decides from what it reads in the member's own cluster, not from the statement.
	ReadLive bool
	// EntryStale says that the roster's entry is of an object that was re-created since.
	EntryStale bool
	Statement  *Statement // what the roster says, nil when nothing
}

// Past is what runs left of a member.
type Past struct {
	// Original is what its object said before a migration first changed it; nil when none did.
	Original map[string]any
	// History is the waves that runs without a hub carried out in the member's cluster, oldest first.
	History []WaveRecord
	// InFlight is the wave of a run without a hub that holds the member, "" when none does: that run, or the next one
	// there, may put the member back without asking the hub.
	InFlight string
	// Leftovers are the objects in the member's cluster that only the old credential needed.
	Leftovers []Leftover
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
	// RestartedFor is what we wrote into its pods' template when we had them started again.
	RestartedFor string
	// Paused says that its rollout is paused: no pod follows a change of its template.
	Paused bool
}

// PausedReason says why no pod would follow a change of a Deployment, "" when nothing is known to be in the way.
// context is that of its cluster.
func (w Workload) PausedReason(namespace, name, context string) string {
	if !w.Paused {
		return ""
	}
	return fmt.Sprintf("Deployment %s/%s is paused, so that no pod of it would follow a change; "+
		"resume it with: kubectl rollout resume deployment/%s -n %s --context %s", namespace, name, name, namespace, context)
}

// RolledOut wants a workload settled on processes none of which was there before. who is what people call it,
// deployment what is rolled out.
func (w Workload) RolledOut(before Workload, who, deployment string) Evaluation {
	older := slices.ContainsFunc(w.Processes, func(p Process) bool {
		return slices.ContainsFunc(before.Processes, func(b Process) bool { return b.UID == p.UID })
	})
	switch {
	case w.Err != "":
		return Evaluation{Evidence: w.Err}
	case !w.Settled:
		return Evaluation{Evidence: "the rollout of " + deployment + " is not over"}
	case older:
		return Evaluation{Evidence: "an older pod of " + who + " is left"}
	}
	return Evaluation{Met: true, Evidence: who + " was rolled out"}
}

// RolloutWait is how long it takes until all processes present another credential, as far as their own starts tell: the
// slowest took so long from its creation until it ran. It is nil when they present that already, or none says how long.
func (w Workload) RolloutWait(want guard.Cred) *Wait {
	var slowest time.Duration
	other := false
	for _, p := range w.Processes {
		other = other || p.Presents != want
		if !p.Since.IsZero() && !p.Created.IsZero() {
			slowest = max(slowest, p.Since.Sub(p.Created))
		}
	}
	if !other || slowest <= 0 {
		return nil
	}
	return &Wait{For: slowest, Within: true}
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
	// the secrets that it is made of and that are missing or cannot be used, when State is missing or bad
	MissingSecrets []string
	ExtraSecrets   []string // secrets that help to make it: made where they are missing, never replaced
	Key            string   // what identifies it: the key ID it was signed with; never the credential
	ID             string   // by which it can be revoked: the jti of a JWT
	Digest         string   // changes when the credential does; never the credential
	// why nothing would make it again if it were gone, one sentence that ends in what to do; "" when the product would
	Irreplaceable string
	// when it was last written, in its API server's clock, or issued if that was before; zero when that is not known
	Written time.Time
	Denied  bool `json:"-"` // it is not known since the right to read it is missing
}

// Rotation is what is known of the renewal of a member's credential: a session that lives on although the credential
// with which it began has expired has shown that renewal works.
type Rotation struct {
	Seen   bool
	At     time.Time // when it will have been seen, if all goes well; zero when nothing says so
	Why    string    // one clause
	Static bool      // nothing renews the credential, as far as can be told
}

// Fence is a policy of a member's own cluster by which its API server denies every edit that would make the member
// present another credential than the wanted one.
type Fence struct {
	Policy  Ref // as they are stored; without a UID when they are not
	Binding Ref
	// PolicySpec and BindingSpec are what is stored, nil when nothing is.
	PolicySpec, BindingSpec map[string]any `json:"-"`
	Current                 bool           // both are stored exactly as this version writes them
	OutdatedReason          string         // why they are not, though both are stored: one clause
	Verified                bool           // the roster states that it was seen to deny, by these very objects
	Unavailable             string         // why there is none, and none can be made: one clause
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

// Trust says whether the member can verify the hub's certificate once it moves; where members need not verify it, Why
// says of one that it does not, and the rest is empty.
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
	// Public says that the hub's certificate is signed by a public CA and that the member has no object with a CA, and
	// may need none.
	Public bool
}

// Statement is the roster's word about a member.
type Statement struct {
	Presents  []guard.Cred
	Observed  time.Time
	Until     time.Time
	Source    string
	Evidence  []string
	Rotated   bool   // a session was seen that had outlived the credential with which it began
	Fence     string // the ID of the fence that was seen to deny, "" when none was
	FenceSeen time.Time
	Invalid   string // why it says nothing although it is there: the object was re-created
}

// Verified says whether the roster's word and the member's own processes agree, at the time of the state, that it
// presents cred and nothing else.
func (m Member) Verified(cred guard.Cred, at time.Time) bool {
	only := []guard.Cred{cred}
	return m.Statement != nil && m.Statement.Invalid == "" && at.Before(m.Statement.Until) &&
		slices.Equal(m.Statement.Presents, only) && slices.Equal(m.Evidence.Presents, only)
}
