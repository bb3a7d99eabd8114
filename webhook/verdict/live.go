package verdict

import (
	"fmt"
	"slices"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
)

// Reading is what was read of a member in its own cluster.
type Reading struct {
	Presents []guard.Cred // all that it may present; nil = unknown
	At       time.Time    // when reading ended
	Until    time.Time    // how long it may be believed
	Why      string       // from what Presents is concluded, or why it is unknown
}

// readLive is a member by the kind of evidence that its entry asks for, given what its statement says. A member that
// is to be read live is unknown unless it was: its statement does not count, so that no fault of reading, and nothing
// that takes the means of reading away, admits anything.
func readLive(edge guard.Member, inv Inventory, entry *api.EdgeCluster) guard.Member {
	kind := entry.Spec.Evidence
	if kind == "" || kind == api.EvidenceStatement {
		if r, read := inv.Live[entry.Name]; read {
			return checked(edge, r)
		}
		return edge
	}
	edge.Presents, edge.Until = nil, time.Time{}
	r, read := inv.Live[entry.Name]
	switch {
	case kind != api.EvidenceLive:
		edge.Why = fmt.Sprintf("its entry asks for evidence of a kind %q that this webhook does not know", kind)
	case !read:
		edge.Why = "to be read in its cluster, and it was not"
	case r.Presents == nil:
		edge.Why = "could not be read in its cluster: " + r.Why
	default:
		edge.Presents, edge.Until = r.Presents, r.Until
		edge.Why = fmt.Sprintf("read in its cluster at %s: %s", r.At.UTC().Format(time.RFC3339), r.Why)
	}
	return edge
}

// checked is a member by its statement, held against what was read in its cluster although that was not asked for: the
// unsafer of the two wins.
func checked(edge guard.Member, r Reading) guard.Member {
	switch {
	case edge.Presents == nil:
	case r.Presents == nil:
		edge.Presents, edge.Why = nil, fmt.Sprintf("%s; its cluster, whose kubeconfig is in the hub, could not be read: %s",
			edge.Why, r.Why)
	default:
		for _, c := range r.Presents {
			if !slices.Contains(edge.Presents, c) {
				edge.Presents = append(slices.Clone(edge.Presents), c)
				edge.Why += fmt.Sprintf("; read in its cluster at %s: %s", r.At.UTC().Format(time.RFC3339), r.Why)
			}
		}
	}
	return edge
}
