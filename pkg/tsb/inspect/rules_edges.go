package inspect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/check"
	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

func scaledToZero(l *check.Pass) {
	for _, m := range l.Edges() {
		if !m.Workload.Found || m.Workload.Err != "" || m.Workload.Replicas > 0 {
			continue
		}
		x := l.About(m)
		x.Object, x.Found = deployment(m), "it is scaled to 0, so nothing can be verified of it"
		x.Remedy = "scale it up; if it is gone for good, delete it from TSB and forget it"
		x.Command = check.Kubectl(m.Context, m.Object.Namespace, "scale", "deployment/edge", "--replicas=1")
	}
}

func notOnboarded(l *check.Pass) {
	for _, m := range l.Edges() {
		if m.Inspection != nil && m.Inspection.Deleting {
			continue
		}
		unlisted := l.Hub.Found && l.Hub.Inventory != nil && l.Hub.InventoryErr == "" &&
			!slices.Contains(l.Hub.Inventory, m.ClusterName)
		absent := !m.Workload.Found && m.Workload.Err == ""
		if !unlisted && !absent {
			continue
		}
		x := l.About(m)
		switch {
		case unlisted && absent:
			x.Found = fmt.Sprintf("there is no %s, and the hub does not list cluster %q", deployment(m), m.ClusterName)
			x.Remedy = "onboard it, or delete the ControlPlane"
		case unlisted:
			x.Found = fmt.Sprintf("the hub does not list cluster %q", m.ClusterName)
			x.Remedy = "create the Cluster object in TSB; leave the context out with --contexts if the edge is another hub's"
		default:
			x.Found = fmt.Sprintf("the hub lists the cluster, and there is no %s", deployment(m))
			x.Remedy = "see why its operator did not make it: a secret may be missing"
			x.Command = check.Kubectl(m.Context, m.Object.Namespace, "get", "deployments,events")
		}
	}
}

// edgeRules tell apart why an edge does not run, and whether it is connected.
var edgeRules = []check.Rule{
	{Find: scaledToZero, Rule: finding.Rule{ID: "XA060", Severity: finding.Error,
		Title:  "an edge is asleep",
		Remedy: "Scale it up, so that it can be verified; or delete it from TSB and forget it, if it is gone for good."}},
	{Find: notOnboarded, Rule: finding.Rule{ID: "XA061", Severity: finding.Error,
		Title:  "an edge was never onboarded",
		Remedy: "Onboard the cluster, or delete its ControlPlane, or leave its context out."}},
	{Find: decommissioned, Rule: finding.Rule{ID: "XA062", Severity: finding.Error,
		Title:  "a decommissioned edge is still listed",
		Remedy: "Delete the cluster from TSB, see that its `clusters.xcp.tetrate.io` object is gone, and run `kubectl xcpauth edge forget`."}},
	{Find: removing, Rule: finding.Rule{ID: "XA063", Severity: finding.Warning,
		Title:  "an edge is being removed",
		Remedy: "Wait until its ControlPlane is gone, then delete the cluster from TSB and forget it."}},
	{Find: duplicateName, Rule: finding.Rule{ID: "XA064", Severity: finding.Error,
		Title:  "two ControlPlanes claim one cluster name",
		Remedy: "Leave the wrong one out with `--contexts`."}},
	{Find: waiting, Rule: finding.Rule{ID: "XA065", Severity: finding.Error,
		Title:  "a pod does not start",
		Remedy: "Fix the reason that is named; a missing Secret is the usual one."}},
	{Find: staleHeartbeat, Rule: finding.Rule{ID: "XA066", Severity: finding.Warning,
		Title:  "the hub has not heard of an edge lately",
		Remedy: "Look at the edge's log for `stream error getting stream`."}},
	{Find: clientGone, Rule: finding.Rule{ID: "XA067", Severity: finding.Warning,
		Title:  "the hub's own client is not connected",
		Remedy: "Look at MPC: whether it runs, and whether the hub accepts what it presents."}},
	{Find: fenceOutdated, Rule: finding.Rule{ID: "XA068", Severity: finding.Warning,
		Title:  "an edge's fence is not as this release writes it",
		Remedy: "Run `kubectl xcpauth migrate`, which replaces it and verifies that it denies."}},
}

func deployment(m *plan.Member) string { return "Deployment " + m.Object.Namespace + "/edge" }

func decommissioned(l *check.Pass) {
	for _, m := range l.Everyone() {
		if m.Err == "" || m.Inspection == nil || m.Inspection.Gone == "" {
			continue
		}
		x := l.Say(m.Name, m.Context, "cluster "+m.ClusterName)
		x.Found = m.Inspection.Gone
		if slices.Contains(l.Hub.Inventory, m.ClusterName) {
			x.Found += ", and the hub lists it still"
			x.Remedy = fmt.Sprintf("delete the cluster from TSB, see that clusters.xcp.tetrate.io/%s in namespace %s is gone, then forget it", m.ClusterName, l.Hub.Object.Namespace)
			x.Command = check.Command("tctl", "delete", "cluster", m.ClusterName)
		} else {
			x.Found += ", and the roster lists it still"
			x.Remedy = "forget it"
			x.Command = l.Xcpauth("edge", "forget", m.Name, "--reason", "decommissioned")
		}
	}
}

func removing(l *check.Pass) {
	for _, m := range l.Edges() {
		if m.Inspection == nil || !m.Inspection.Deleting {
			continue
		}
		x := l.About(m)
		x.Found, x.Remedy = "it is being deleted", "wait until it is gone, then delete the cluster from TSB and forget it"
		x.Command = l.Xcpauth("edge", "forget", m.Name, "--reason", "decommissioned")
	}
}

func duplicateName(l *check.Pass) {
	claims := map[string][]string{}
	for _, m := range l.Edges() {
		claims[m.ClusterName] = append(claims[m.ClusterName], m.Context+" ("+m.Object.String()+")")
	}
	for _, m := range l.Edges() {
		if all := claims[m.ClusterName]; len(all) > 1 && m.ClusterName != "" {
			x := l.About(m)
			x.Found, x.Remedy = fmt.Sprintf("cluster name %q is claimed in %s", m.ClusterName, strings.Join(all, ", ")),
				"leave the wrong one out with --contexts"
		}
	}
}

func waiting(l *check.Pass) {
	for _, m := range l.Everyone() {
		for _, p := range m.Workload.Processes {
			if p.Waiting == "" || p.Ending || m.Err != "" {
				continue
			}
			x := l.About(m)
			x.Object, x.Found = "Pod "+m.Object.Namespace+"/"+p.Name, "it waits: "+p.Waiting
			x.Remedy, x.Command = "fix that; its events say more", check.Kubectl(m.Context, m.Object.Namespace,
				"describe", "pod", p.Name)
		}
	}
}

// staleHeartbeat compares times of the hub's cluster alone: the clock of its API server with that of its Central.
func staleHeartbeat(l *check.Pass) {
	now := l.At
	for _, c := range l.Contexts {
		if c.Name == l.Hub.Context && c.Skew != nil {
			now = now.Add(*c.Skew)
		}
	}
	for _, m := range l.Everyone() {
		if m.LastEvent.IsZero() || now.Sub(m.LastEvent) <= state.Quiet || m.Role != plan.RoleEdge {
			continue
		}
		x := l.About(m)
		if m.Object.Name == "" {
			x.Object = "cluster " + m.ClusterName
		}
		x.Found = fmt.Sprintf("Central last received something of it %s ago", plan.Short(now.Sub(m.LastEvent)))
		x.Remedy = "look whether it is connected"
		if m.Context != "" && m.Err == "" {
			x.Command = check.Kubectl(m.Context, m.Object.Namespace, "logs", "deployment/edge", "--tail=200")
		}
	}
}

// clientGone counts the hub's streams as its metrics do: of cluster state one more than there are edges, which is
// MPC's.
func clientGone(l *check.Pass) {
	c := l.Hub.Connections
	if c == nil || c.State > c.Config {
		return
	}
	for _, m := range l.Everyone() {
		if m.Role == plan.RoleMPC {
			x := l.About(m)
			x.Found = fmt.Sprintf("Central counts %s of cluster state for %s: one more would be MPC's",
				check.Count(c.State, "stream"), check.Count(c.Config, "edge"))
			x.Remedy = "look whether it runs, and what its log says"
			x.Command = check.Kubectl(m.Context, m.Object.Namespace, "logs", "deployment/"+m.Object.Name, "--tail=200")
		}
	}
}

func fenceOutdated(l *check.Pass) {
	for _, m := range l.Edges() {
		if m.Fence.OutdatedReason == "" {
			continue
		}
		x := l.About(m)
		x.Object, x.Found = "ValidatingAdmissionPolicy "+m.Fence.Policy.Name, m.Fence.OutdatedReason
		x.Remedy, x.Command = "run a migration, which replaces it and verifies that it denies", l.Xcpauth("migrate")
	}
}
