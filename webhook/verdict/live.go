package verdict

import (
	"fmt"
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

// evidenceOf is what is known of a roster entry, by the kind of evidence that it asks for. A member that is to be read live is unknown unless
// it was: its statement is not looked at, so that no fault of reading, and nothing that takes the means of reading away, admits anything.
func evidenceOf(inv Inventory, entry *api.EdgeCluster, now time.Time, words bool) guard.Edge {
	if kind := entry.Spec.Evidence; kind == "" || kind == api.EvidenceStatement {
		return statement(entry, now, words)
	} else if kind != api.EvidenceLive {
		return guard.Edge{Name: displayed(entry), Why: fmt.Sprintf("its entry asks for evidence of a kind %q that this webhook does not know", kind)}
	}
	edge := guard.Edge{Name: displayed(entry)}
	r, read := inv.Live[entry.Name]
	switch {
	case !read:
		edge.Why = "to be read in its cluster, and it was not"
	case r.Presents == nil:
		edge.Why = "could not be read in its cluster: " + r.Why
	default:
		edge.Presents, edge.Until = r.Presents, r.Until
		edge.Why = fmt.Sprintf("read in its cluster at %s: %s", r.At.UTC().Format(time.TimeOnly), r.Why)
	}
	return edge
}
