package verdict

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// alsoRendered adds what the operator rendered beside a ControlPlane of this cluster.
func alsoRendered(edge guard.Member, cp map[string]any, edgeXcps []map[string]any) guard.Member {
	for _, x := range edgeXcps {
		if text(x, "metadata", "namespace") == text(cp, "metadata", "namespace") {
			name := fmt.Sprintf("EdgeXcp %s/%s", text(x, "metadata", "namespace"), text(x, "metadata", "name"))
			edge = alsoSays(edge, name, "says", state.ReadEdgeXcp(x))
		}
	}
	return edge
}

// behind is an edge of this cluster by its statement, whose fence must be the one that is here: without it the
// statement is believed no longer than any other.
func behind(edge guard.Member, entry *api.EdgeCluster, inv Inventory, now time.Time) guard.Member {
	st, says := roster.Says(entry, now)
	if !says || st.Fence == "" || edge.Presents == nil || entry.Spec.Evidence == api.EvidenceLive ||
		inv.FenceErr == "" && inv.Fence == st.Fence {
		return edge
	}
	what := "its fence is not there any more"
	switch {
	case inv.FenceErr != "":
		what = "its fence could not be read: " + clean(inv.FenceErr, 100)
	case inv.Fence != "":
		what = "its fence is another than the one that was stated"
	}
	if last := st.Observed.Add(roster.Believed); edge.Until.After(last) {
		edge.Until = last
	}
	edge.Why = what + "; " + edge.Why
	return edge
}

// recreated finds the ControlPlane of this cluster that took the place of the one that an entry names: the same
// place, and the same name in TSB, since the place alone is the same in most clusters.
func recreated(entry *api.EdgeCluster, controlPlanes []map[string]any) map[string]any {
	ref := entry.Spec.ControlPlane
	for _, cp := range controlPlanes {
		if text(cp, "metadata", "namespace") == ref.Namespace && text(cp, "metadata", "name") == ref.Name &&
			text(cp, "metadata", "uid") != ref.UID && text(cp, "spec", "managementPlane",
			"clusterName") == entry.Spec.ClusterName {
			return cp
		}
	}
	return nil
}

// unseen stands for the edges that would be known if Central's metrics could be read.
const unseen = "any edge that Central's metrics would name"

// seenByCentral are the members that only Central's metrics show; named are those that the roster and this cluster
// name, sorted.
func seenByCentral(inv Inventory, named []string) []guard.Member {
	var members []guard.Member
	for _, name := range missingFrom(inv.Central, named) {
		if !slices.Contains(inv.Clusters, name) {
			members = append(members, guard.Member{Name: name,
				Why: "Central's metrics name this edge and the roster lacks it; one that is gone for good is named until Central's pods are replaced"})
		}
	}
	if inv.CentralErr != "" {
		members = append(members, guard.Member{Name: unseen, Why: clean(inv.CentralErr, 130) +
			"; let the webhook reach the metrics of Central's pods, then try again"})
	}
	return members
}

// disagreements tells where a CentralXcp, which the operator rendered, says otherwise than the ManagementPlane as it
// was before the edit. Nothing is decided by it, since what a CentralXcp says is not documented.
func (q Question) disagreements(inv Inventory) []string {
	var told []string
	for _, x := range inv.CentralXcps {
		said := state.ReadCentralXcp(x)
		for _, c := range []guard.Cred{state.JWT, state.MTLS} {
			typed := q.old.Accepts[c]
			if said[c] == guard.Unknown || typed == guard.Unknown || said[c] == typed {
				continue
			}
			told = append(told, fmt.Sprintf("CentralXcp %s/%s says %s for %s where the ManagementPlane says %s (a field that the vendor does not document): look whether the operator runs", text(x, "metadata", "namespace"), text(x, "metadata", "name"), strings.ToLower(said[c].String()), c, typed))
		}
	}
	return told
}
