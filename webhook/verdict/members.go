package verdict

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// Inventory is what the hub's cluster shows about its members at one moment.
type Inventory struct {
	// Roster is every EdgeCluster of the roster's namespace.
	Roster []api.EdgeCluster
	// ControlPlanes is every ControlPlane of the webhook's own cluster, as decoded JSON.
	ControlPlanes []map[string]any
	// Clusters names every clusters.xcp.tetrate.io in the ManagementPlane's namespace: who the hub knows.
	Clusters []string
	// EdgeXcps is every EdgeXcp of the webhook's own cluster, CentralXcps every CentralXcp in the ManagementPlane's
	// namespace.
	EdgeXcps, CentralXcps []map[string]any
	// Central names the edges that the metrics of Central's running pods name.
	Central []string
	// CentralErr says why those metrics could not be read although Central runs, "" when they were, or are not asked for.
	CentralErr string
	// Fence is the fence of the webhook's own cluster, as a statement names it; "" without one, and FenceErr says why it
	// could not be read.
	Fence, FenceErr string
	// MPC names a running pod of MPC, the hub's own client, in the ManagementPlane's namespace; "" where none was seen.
	MPC string
	// Live is what was read in the clusters of the roster's entries that are read live, by the entry's name.
	Live map[string]Reading
	// Now is the time by the clock of the hub's API server, zero when it did not say. A statement is believed by the
	// later of two clocks: one that is behind must not make it younger.
	Now time.Time
}

// Empty says that nothing at all is known to be a member: a fresh installation, or a hub that is being restored.
func (inv Inventory) Empty() bool {
	return len(inv.Roster) == 0 && len(inv.ControlPlanes) == 0 && len(inv.Clusters) == 0 && len(inv.Central) == 0 &&
		inv.CentralErr == ""
}

// Members accounts for everybody in the inventory exactly once at the given time, sorted by name:
//
//  1. Each roster entry is a member that presents what its statement says or what was read in its cluster, or unknown.
//  2. A ControlPlane of this cluster is the member whose entry carries its UID; what it and the EdgeXcp beside it say
//     comes on top of the statement, and naming no mode makes it unknown. One that was re-created under its name voids
//     the statement. Without an entry it is unknown, whatever it declares: the declared mode does not tell what its
//     pods present.
//  3. A cluster that the hub knows and neither of them names is unknown, and so is one that Central's metrics name.
//     Only an entry of the role Edge answers for a cluster or a ControlPlane.
//  4. MPC, where a pod of it runs and no entry is MPC's, is unknown, unless nobody else is known either.
//  5. While those metrics cannot be read, somebody may be connected of whom nothing is known.
func Members(inv Inventory, now time.Time) []guard.Member {
	all := summarizeMembers(inv, now, true)
	slices.SortStableFunc(all, func(a, b guard.Member) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// summarizeMembers makes the Members in no order. Without words, names and reasons may be missing: enough to see
// whether anybody blocks, for a fraction of the cost.
func summarizeMembers(inv Inventory, now time.Time, words bool) []guard.Member {
	members := make([]guard.Member, 0, len(inv.Roster)+len(inv.ControlPlanes))
	mpc := false
	// of ControlPlanes here: few, however many members there are
	here, registered := byUID(inv.ControlPlanes), map[string]bool{}
	named := make([]string, 0, len(inv.Roster)+len(inv.ControlPlanes))
	for i := range inv.Roster {
		entry := &inv.Roster[i]
		edge := readLive(statement(entry, now, inv.Now, words), inv, entry)
		covers := entry.Spec.Role == api.RoleEdge // an entry of MPC answers for MPC alone, whatever else it names
		if ref := entry.Spec.ControlPlane; covers && ref != nil && ref.UID != "" {
			if cp, ok := here[ref.UID]; ok {
				mode, _ := state.ReadEdge(cp)
				edge = alsoSays(behind(edge, entry, inv, now), controlPlaneName(cp), "declares", mode)
				edge = alsoRendered(edge, cp, inv.EdgeXcps)
				registered[ref.UID] = true
			} else if cp := recreated(entry, inv.ControlPlanes); cp != nil {
				edge.Presents, edge.Why = nil, fmt.Sprintf("its %s was re-created (UID %s, the roster says %s), so what was stated of it says nothing any more", controlPlaneName(cp), text(cp, "metadata", "uid"), ref.UID)
				registered[text(cp, "metadata", "uid")] = true
			}
		}
		mpc = mpc || entry.Spec.Role == api.RoleMPC
		if covers && entry.Spec.ClusterName != "" {
			named = append(named, entry.Spec.ClusterName)
		}
		members = append(members, edge)
	}
	for _, cp := range inv.ControlPlanes {
		if registered[text(cp, "metadata", "uid")] {
			continue // already joined to its roster entry
		}
		mode, _ := state.ReadEdge(cp)
		members = append(members, guard.Member{Name: controlPlaneName(cp),
			Why: fmt.Sprintf("a ControlPlane in the hub's own cluster that the roster lacks; it declares %s, and nothing is verified about its pods", modeWord(mode))})
		named = append(named, text(cp, "spec", "managementPlane", "clusterName"))
	}
	slices.Sort(named)
	for _, name := range missingFrom(inv.Clusters, named) {
		members = append(members, guard.Member{Name: name,
			Why: "the hub knows this cluster (clusters.xcp.tetrate.io) and the roster lacks it"})
	}
	if inv.MPC != "" && !mpc && !inv.Empty() {
		members = append(members, guard.Member{Name: "mpc",
			Why: fmt.Sprintf("the hub's own client runs (pod %s), and the roster lacks it; state it with: kubectl xcpauth edge publish", inv.MPC)})
	}
	if mpc {
		named = append(named, mpcNames...) // Central's metrics may name its own client
		slices.Sort(named)
	}
	return append(members, seenByCentral(inv, named)...)
}

// mpcNames are what Central may call MPC, and the standby's, in its metrics.
var mpcNames = []string{"mpc", "mpc-standby"}

// missingFrom are the names that named, which is sorted, lacks, each once. Names that are sorted too, as API servers
// list them, cost one walk.
func missingFrom(names, named []string) []string {
	var lacked []string
	at := 0
	for i, name := range names {
		if i > 0 && name < names[i-1] {
			at = 0
		}
		for at < len(named) && named[at] < name {
			at++
		}
		if (at == len(named) || named[at] != name) && !slices.Contains(lacked, name) {
			lacked = append(lacked, name)
		}
	}
	return lacked
}

// statement reads one roster entry. What it presents is unknown (nil) without a statement, when the statement is
// about a ControlPlane that was re-created since, when it names a credential that TSB does not have, and when it is
// too old by the hub's clock.
func statement(entry *api.EdgeCluster, now, hubs time.Time, words bool) guard.Member {
	edge := guard.Member{Name: entry.Name}
	if words {
		edge.Name = displayed(entry)
	}
	st, says := roster.Says(entry, now)
	switch {
	case !says:
		edge.Why = "in the roster, but nothing is verified about it"
		return edge
	case st.Invalid != "":
		if words {
			edge.Why = fmt.Sprintf("the last statement (%s) says nothing any more: %s", said(&st), st.Invalid)
		}
		return edge
	case now.Before(st.Until) && !hubs.Before(st.Until):
		if words {
			edge.Why = fmt.Sprintf("too old to be believed by the API server's clock (%s), though not by the webhook's (%s): %s",
				stamp(hubs), stamp(now), said(&st))
		}
		return edge
	}
	for _, c := range st.Presents {
		if c != state.MTLS && c != state.JWT {
			edge.Why = fmt.Sprintf("the last statement (%s) names a credential %q that TSB does not have", said(&st), c)
			return edge
		}
	}
	edge.Presents, edge.Until = st.Presents, st.Until
	if words {
		edge.Why = said(&st)
	}
	return edge
}

// displayed is how a roster entry is called in everything that is told of it.
func displayed(entry *api.EdgeCluster) string {
	if entry.Spec.ClusterName == "" || entry.Spec.ClusterName == entry.Name {
		return entry.Name
	}
	return fmt.Sprintf("%s (cluster %s)", entry.Name, entry.Spec.ClusterName)
}

// said tells where a statement comes from, in absolute times, so that the same facts always read the same.
func said(st *plan.Statement) string {
	s := "stated"
	if st.Source != "" {
		s += " by " + st.Source
	}
	if !st.Observed.IsZero() {
		s += ", seen " + stamp(st.Observed)
	}
	if st.Fence != "" {
		s += ", behind a fence"
	}
	return s + ", valid until " + stamp(st.Until)
}

// alsoSays adds what an object of the member's, read live in this cluster, says: the unsafer of the two wins.
func alsoSays(edge guard.Member, object, says string, mode guard.Cred) guard.Member {
	told := fmt.Sprintf("its %s %s %s", object, says, modeWord(mode))
	switch {
	case edge.Presents == nil:
	case mode == "":
		edge.Presents, edge.Why = nil, told
	case !slices.Contains(edge.Presents, mode):
		edge.Presents = append(slices.Clone(edge.Presents), mode)
		edge.Why += "; " + told
	}
	return edge
}

func byUID(objects []map[string]any) map[string]map[string]any {
	by := map[string]map[string]any{}
	for _, o := range objects {
		by[text(o, "metadata", "uid")] = o
	}
	return by
}

func controlPlaneName(cp map[string]any) string {
	return fmt.Sprintf("ControlPlane %s/%s", text(cp, "metadata", "namespace"), text(cp, "metadata", "name"))
}

func modeWord(c guard.Cred) string {
	switch c {
	case state.JWT:
		return "JWT"
	case state.MTLS:
		return "MUTUAL_TLS"
	}
	return "no documented mode"
}

// text is the string at path, or "" where anything on the way is missing or of another type.
func text(obj map[string]any, path ...string) string {
	for _, key := range path[:len(path)-1] {
		obj, _ = obj[key].(map[string]any)
	}
	s, _ := obj[path[len(path)-1]].(string)
	return s
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
