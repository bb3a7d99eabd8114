package state

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
	"github.com/xcpauth/kubectl-xcpauth/pkg/sorting"
)

// LiveFor is how long what was just read of a member may be believed before a decision: a re-read must be that recent.
const LiveFor = 30 * time.Second

// ReadState makes a state of snapshots, in these steps:
//
//  1. find the hub: the one context (or the named one) with one ManagementPlane, and the standby if one was named;
//  2. read what Central accepts, its certificate, its pods, its inventory, the roster and the journal;
//  3. read each ControlPlane, as a member when it dials this hub, else as somebody else's;
//  4. add MPC, the member inside the hub;
//  5. add the members that only the inventory or the roster knows, as unknown or as last stated;
//  6. account for every other context.
func ReadState(snaps []plan.Snapshot, where plan.Selection, at time.Time) plan.State {
	f := plan.State{At: at, Product: Name, UsesRoster: true, Words: Words}
	snaps = kube.Distinct(snaps, where.Hub, &f)
	home, mp := findHub(snaps, where, &f.Hub)
	var entries map[string]api.EdgeCluster
	if home != nil {
		entries = readHub(home, *mp, &f.Hub)
		f.Hub.Server.Public = publicCA(f.Hub.Server, where.Roots, at)
		if w := f.Hub.Workload; w.Found || w.Err != "" {
			f.Hub.Connections = Connections(w)
		}
	}
	second, secondMP := findStandby(snaps, where, &f)
	addControlPlanes(snaps, home, mp, &f)
	if home != nil {
		addMPC(MPCName, home, *mp, &f)
		if second != nil {
			addMPC(StandbyMPC, second, *secondMP, &f)
		}
		addAbsent(entries, &f)
	}
	for i := range f.Members {
		m := &f.Members[i]
		if e, ok := entries[roster.ObjectName(m.Name)]; ok {
			applyEntry(m, e, at)
		}
		if m.Original == nil {
			m.Original = f.Hub.Originals[m.Object.UID]
		}
		if home != nil && m.Role == plan.RoleEdge {
			m.LastEvent = lastEvent(f.Hub.Workload, m.ClusterName)
		}
	}
	if home != nil {
		addLinks(&f, home.Clock(at))
	}
	sorting.Stable(f.Members, func(a, b *plan.Member) int {
		return cmp.Or(strings.Compare(string(a.Role), string(b.Role)), strings.Compare(a.Name, b.Name))
	})
	sorting.Stable(f.Others, func(a, b *plan.OtherContext) int { return strings.Compare(a.Context, b.Context) })
	return f
}

// applyEntry adds to a member what the roster says of it. An entry of an object that was re-created in the same
// cluster is outdated; one of another cluster is somebody else's, and stands in the member's way.
func applyEntry(m *plan.Member, e api.EdgeCluster, at time.Time) {
	m.Registered, m.Statement = true, roster.StatementOf(e, at)
	m.Fence.Verified = fenceMatches(m.Fence, m.Statement)
	m.ReadLive = e.Spec.Evidence == api.EvidenceLive
	if m.Err != "" || m.Role != plan.RoleEdge || e.Spec.ControlPlane == nil || e.Spec.ControlPlane.UID == m.Object.UID {
		return
	}
	m.EntryStale = true
	if m.Statement != nil {
		m.Statement.Invalid = "it is about a ControlPlane that is not there any more"
	}
	if e.Spec.ClusterUID != "" && e.Spec.ClusterUID != m.ClusterUID {
		m.EntryStale = false
		m.Obstacles = append(m.Obstacles,
			fmt.Sprintf("the roster's entry of that name belongs to another cluster (%s); take it out with: kubectl xcpauth edge forget %s --reason ...", e.Spec.ClusterUID, m.Name))
	}
}

// fenceMatches says whether the fence that a statement tells of is the one that is there.
func fenceMatches(fence plan.Fence, st *plan.Statement) bool {
	return st != nil && st.Invalid == "" && st.Fence != "" && st.Fence == fence.ID() && fence.Current
}

// findStandby reads the second hub, which takes over from the first; nil when none was named.
func findStandby(snaps []plan.Snapshot, where plan.Selection, f *plan.State) (*plan.Snapshot, *kube.Object) {
	if where.Standby == "" {
		return nil, nil
	}
	f.Standby = &plan.Hub{HubIdentity: plan.HubIdentity{Context: where.Standby}}
	var none plan.Hub
	home, mp := findHub(snaps, plan.Selection{Hub: where.Standby}, &none)
	if home == nil {
		f.Standby.Err = "the standby: " + none.Err
		return nil, nil
	}
	readHub(home, *mp, f.Standby)
	if w := f.Standby.Workload; w.Found || w.Err != "" {
		f.Standby.Connections = Connections(w)
	}
	return home, mp
}

// findHub finds the ManagementPlane that this run is about, or says in hub.Err why there is none.
func findHub(snaps []plan.Snapshot, where plan.Selection, hub *plan.Hub) (*plan.Snapshot, *kube.Object) {
	if where.NoHub {
		hub.Err = "this run is without a hub"
		return nil, nil
	}
	want := where.Hub
	var found []string
	var home *plan.Snapshot
	var mp *kube.Object
	var tried, unreached, reasons []string
	for i, s := range snaps {
		if want != "" && s.Context != want || s.Context == where.Standby {
			continue
		}
		tried = append(tried, s.Context)
		if s.Err != "" {
			hub.Context = want // the hub is known to be there, and not what it is
			unreached, reasons = append(unreached, s.Context), append(reasons, s.Err)
			continue
		}
		planes, why := kube.List(s.Reads[ManagementPlanesRead])
		if why != "" {
			unreached, reasons = append(unreached, s.Context), append(reasons, "ManagementPlanes could not be listed: "+why)
		}
		for _, o := range planes {
			found = append(found, fmt.Sprintf("%s/%s in %s", o.Metadata.Namespace, o.Metadata.Name, s.Context))
			home, mp = &snaps[i], &o
		}
	}
	in := "context " + plan.Few(tried, 10)
	if len(tried) > 1 {
		in = "contexts " + plan.Few(tried, 10)
	}
	switch {
	case len(found) == 1:
		return home, mp
	case len(found) > 1:
		hub.Err = fmt.Sprintf("%d ManagementPlanes found: %s; name one hub with --context, and one that takes over from "+
			"it with --standby", len(found), plan.Few(found, 5))
	case len(tried) == 0 && want != "":
		hub.Err = fmt.Sprintf("context %s is not in the kubeconfig; name the management plane's context with --context", want)
	case len(tried) == 0:
		hub.Err = "no context was selected; pass --contexts, or a kubeconfig that has some"
	case len(unreached) > 0:
		hub.Err = fmt.Sprintf("no ManagementPlane found: %s could not be looked at; name the management plane's context "+
			"with --context", plan.GroupByReason(unreached, reasons))
	default:
		hub.Err = fmt.Sprintf("no ManagementPlane found in %s; name the management plane's context with --context", in)
	}
	return nil, nil
}

// Connections sums what Central's pods count; nil unless the page of every one that runs was read.
func Connections(w plan.Workload) *plan.Connections {
	var c *plan.Connections
	for _, p := range w.Processes {
		if p.Started && p.Counters == nil {
			return nil
		}
		for series, v := range p.Counters {
			if !named(series, MetricConnections) {
				continue
			}
			if c == nil {
				c = &plan.Connections{}
			}
			switch label(series, "connection_type") {
			case "edge_config_distribution":
				c.Config += int(v)
			case "cluster_state":
				c.State += int(v)
			}
		}
	}
	return c
}

// lastEvent is when Central last received something of the edge, in Central's clock.
func lastEvent(w plan.Workload, edge string) time.Time {
	var ms float64
	for _, p := range w.Processes {
		for series, v := range p.Counters {
			if named(series, metricEvent) && label(series, "edge") == edge && label(series, "status") == "received" {
				ms = max(ms, v)
			}
		}
	}
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}
