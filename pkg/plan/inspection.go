package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
)

// Inspection is what only check looks at, of the hub or of a member: it decides nothing in a migration.
type Inspection struct {
	// Field is the path in its object that a migration sets, Wanted what it sets it to, as YAML.
	Field, Wanted string
	Anomalies     []Anomaly
	Version       Version
	Operator      *Operator // nil when it has none
	Materials     []Material
	Distrust      []Distrust
	Server        *Server // of the hub: what its certificate must carry
	// Findings are what the product finds by rules of its own.
	Findings finding.Findings
	// Deleting says that its object is being deleted.
	Deleting bool
	// Gone says why a member that the hub lists is evidently decommissioned, "" when nothing says so.
	Gone string
	// Impostor says that the roster's entry of that name is another cluster's, "" when it is not.
	Impostor string
	// Guarded says whether the hub's API server asks our admission webhook about anything; nil when that is not known.
	Guarded *bool
}

// Anomaly is something in an object that is not written the way the product documents it. Whatever it touches is
// unknown.
type Anomaly struct {
	Path        string `json:"path"`        // "spec.components.xcp.centralAuthModes.mutual_tls"
	Value       string `json:"value"`       // as JSON, cut to 80 characters; never a secret
	Consequence string `json:"consequence"` // what it means here, and what to write instead
	Overlay     bool   `json:"-"`           // it is a patch behind the typed field
	Documented  bool   `json:"-"`           // it is such a patch as the product documents itself
}

// String is the anomaly in a sentence.
func (o Anomaly) String() string { return fmt.Sprintf("%s is %s: %s", o.Path, o.Value, o.Consequence) }

// Version is which release of the product an object or an operator is of.
type Version struct {
	Text   string // as written, "" when it could not be told
	Source string // where that stands
	TooOld string // the first release that has the wanted credential, when this one is older
}

// Operator is the process that turns the object into what runs.
type Operator struct {
	Where    string // "istio-system/tsb-operator-control-plane"
	Workload Workload
	Version  Version // of its image
}

// Material is one credential or certificate as it lies in a cluster: what is public of it, and what is wrong with it.
type Material struct {
	What   string // "the edge's token"
	Where  string // "istio-system/xcp-edge-central-auth-token"
	Unread string // why it could not be read
	Absent bool
	// Needed says that something presents it now, or must once it moves.
	Needed      bool
	From, Until time.Time // its lifetime; zero where it does not say
	// Rotated says that the product's operator renews it well before it expires.
	Rotated bool
	Wrong   string // why it cannot be used, one clause
	Foreign string // whose it is, when that is somebody else
	// Renewed says that it shows, by being fresh, that its operator mints; stale, that it does not.
	Renewed bool
	Remedy  string   // what to do, one sentence
	Command []string // the command for it, its words; nil when there is none
}

// Distrust is one certificate that the side which must verify it would refuse.
type Distrust struct {
	Where string // what holds the CA, or should
	Whose string // whose certificate it must verify
	Why   string
	// Now says that connections rest on it today; else only after the member has moved.
	Now    bool
	Remedy string
}

// Server is what the hub's certificate carries, and what it must while the old credential is accepted.
type Server struct {
	URIs   []string
	Usages []string // extended key usages; nil means any
	CA     bool     // its secret holds the CA
	// Identity and Needs are the URI and usages that it must carry; NeedsCA that the secret must hold the CA.
	Identity string
	Needs    []string
	NeedsCA  bool
}

// Context is one selected context of the kubeconfig, as far as it could be looked at.
type Context struct {
	Name       string
	ClusterUID string
	Err        string // why it could not be looked at at all
	Unread     []Unread
	// Skew is how far its API server's clock is ahead of ours at the least; nil when that was not told.
	Skew *time.Duration
	// Missing are the rights that were asked for and denied; AccessErr is why they could not be asked for.
	Missing   []Permission
	AccessErr string
	// Partial says that its planes could not be listed, so that rights to what is next to them were not asked for.
	Partial bool
}

// Unread is one thing that could not be read.
type Unread struct {
	What, Why string
	Denied    bool // for want of a right
}

// UnreadOf lists what could not be read, by name, each with the reason.
func UnreadOf(results map[string]Result) []Unread {
	var all []Unread
	for _, what := range slices.Sorted(maps.Keys(results)) {
		all = append(all, Unread{what, results[what].Err, results[what].Denied})
	}
	return all
}

// Permission is one right in a cluster that a run makes use of.
type Permission struct {
	Verb, Group, Resource string
	Subresource           string
	Namespace             string // "" for all, or for what has none
	Name                  string // "" for any
}

// MissingPermissions are those of some rights that the API server says are missing, in their order, and why it could
// not be asked, if so; what was not asked is in neither.
func (s Snapshot) MissingPermissions(needs []Permission) (missing []Permission, err string) {
	for _, need := range needs {
		switch answer, asked := s.AccessReviews[need]; {
		case !asked:
		case answer.Err != "":
			err = answer.Err
		case !answer.Allowed:
			missing = append(missing, need)
		}
	}
	return missing, err
}

// SortedPermissions are the keys of a map, by namespace, group, resource, name and verb.
func SortedPermissions[T any](m map[Permission]T) []Permission {
	byText := map[string]Permission{}
	for n := range m {
		byText[strings.Join([]string{n.Namespace, n.Group, n.Resource, n.Subresource, n.Name, n.Verb}, "\x00")] = n
	}
	var needs []Permission
	for _, text := range slices.Sorted(maps.Keys(byText)) {
		needs = append(needs, byText[text])
	}
	return needs
}

// AccessReview is what an API server says of a Need.
type AccessReview struct {
	Allowed bool
	Err     string // why it gave no answer
}
