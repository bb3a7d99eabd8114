package migration

import (
	"fmt"
	"slices"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// notSeenToRun lists what a fleet declares and nothing shows, once its hub declares JWT alone: Central and each edge
// must be seen to run with what they declare. What is declared is not done: an object that was copied from another
// installation says the same. Who is blocked already is not named twice.
func notSeenToRun(f plan.State, blocked []plan.Obstacle) []plan.Obstacle {
	var all []plan.Obstacle
	add := func(name, why string) {
		if why != "" && !slices.ContainsFunc(blocked, func(b plan.Obstacle) bool { return b.Member == name }) {
			all = append(all, plan.Obstacle{Member: name, Why: why})
		}
	}
	for who, h := range hubs(f) {
		add(who, unverifiedHub(h))
	}
	for _, m := range f.Members {
		if m.Role == plan.RoleEdge && m.Err == "" {
			add(m.Name, unverifiedEdge(m, f))
		}
	}
	return all
}

// unverifiedHub is why it is not seen that Central runs with what is declared.
func unverifiedHub(h plan.Hub) string {
	central := fmt.Sprintf("Deployment %s/central", h.Object.Namespace)
	switch {
	case h.Workload.Err != "":
		return fmt.Sprintf("it declares JWT alone, and whether Central runs with that is not known: %s", h.Workload.Err)
	case !h.Workload.Found:
		return fmt.Sprintf("it declares JWT alone, and %s is not found, so nothing shows that Central runs with that; find out where Central runs", central)
	case h.Workload.Replicas == 0:
		return fmt.Sprintf("it declares JWT alone, and %s is scaled to 0, so every edge is cut off; scale it up", central)
	}
	return ""
}

// unverifiedEdge is why it is not seen that an edge runs with what it declares, and could connect.
func unverifiedEdge(m plan.Member, f plan.State) string {
	edge := fmt.Sprintf("Deployment %s/edge", m.Object.Namespace)
	switch {
	case m.Declared != state.JWT || m.Verified(state.JWT, f.At):
		return ""
	case m.Workload.Err != "":
		return fmt.Sprintf("it declares JWT, and what it presents is not known: %s", m.Workload.Err)
	case !m.Workload.Found:
		return fmt.Sprintf("it declares JWT, and %s is not found, so nothing shows that it presents one; find out where the edge runs, "+
			"or leave its context out with --contexts", edge)
	case m.Workload.Replicas == 0:
		return fmt.Sprintf("it declares JWT, and %s is scaled to 0, so it is not connected; scale it up", edge)
	case len(m.Workload.Processes) == 0 && !m.Workload.Settled:
		return fmt.Sprintf("it declares JWT, and %s has no pods, so it is not connected", edge)
	case !slices.Equal(m.Evidence.Presents, []guard.Cred{state.JWT}):
		return fmt.Sprintf("it declares JWT, and its pods are not known to present one: %s", m.Evidence.Why)
	case m.Credential.State == plan.CredentialMissing, m.Credential.State == plan.CredentialBad,
		m.Credential.State == plan.CredentialUnknown:
		return fmt.Sprintf("it declares JWT, and its token cannot be used, so its next connection may be refused: %s",
			m.Credential.Why)
	}
	return ""
}

// refusedEdges are the edges that present a certificate, or may, while the hub does not surely accept one.
func refusedEdges(f plan.State, goal plan.Goal) []*plan.Member {
	refuses := f.Hub.Accepts.Accepts[state.MTLS] != guard.Yes
	var all []*plan.Member
	for i, m := range f.Members {
		if refuses && m.Role == plan.RoleEdge && m.Err == "" && (goal.Only == "" || goal.Only == m.Name) &&
			(m.Declared == state.MTLS || slices.Contains(m.Evidence.Presents, state.MTLS)) {
			all = append(all, &f.Members[i])
		}
	}
	return all
}
