package migration

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/rollout"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// rollbackWave decides the next wave on the way back to mutual TLS:
//
//  1. the hub accepts both modes again, explicitly, where an edge is to go back or presents a certificate that is
//     refused, or where a migration ended that, no clean-up followed, and an edge is not reached from here; and Central
//     is proved to run with them;
//  2. every edge that a migration moved (or the one that is named) presents its certificate again: one canary, then waves;
//
// It ends there, at explicit values, and needs the old material, which the clean-up alone removes. The hub goes on
// accepting JWTs: as long as it does, MPC may present one at any moment, so that taking that back could cut it off.
// Where the end differs from what there was originally, a note says so. Names of Central's certificate and CA bundles
// only add, and stay too.
func rollbackWave(f plan.State, goal plan.Goal) plan.Wave {
	if stop := hubObstacles(f); len(stop) > 0 && !goal.NoHub {
		return plan.Wave{Obstacles: stop}
	}
	returning, done, blocked := classifyForRollback(f, goal)
	refused := refusedEdges(f, goal)
	if (len(returning)+len(refused) > 0 || goal.Only == "" && reopens(f)) && !goal.NoHub {
		var steps []plan.Step
		for _, who := range hubNames {
			h, there := hubs(f)[who]
			switch {
			case !there:
			case h.Accepts.Accepts[state.MTLS] != guard.Yes || h.Accepts.Accepts[state.JWT] != guard.Yes:
				steps = append(steps, withReconnects(withoutConditionsOf(acceptBothStep(f, who, h, goal), returning), who, refused))
			case !runsAsDeclared(h):
				steps = append(steps, withoutConditionsOf(verifyHubStep(f, who, goal), returning))
			}
		}
		if len(steps) > 0 {
			return plan.Wave{Title: "both modes on", Steps: steps, Obstacles: blocked}
		}
	}
	var unasked []plan.Obstacle
	if goal.NoHub && len(returning) > 0 {
		unasked = []plan.Obstacle{{Member: "hub", Why: "it is not looked at here, and an edge is cut off once it presents a certificate that the hub refuses: " +
			"let the hub's team say that kubectl xcpauth status shows both modes there, before the fence is removed"}}
	}
	revert := func(m plan.Member) plan.Step { return revertStep(f, m, goal) }
	switch {
	case len(returning) > 0 && done == 0:
		w := rollout.Canary(f, "canary back", returning, blocked, goal, revert)
		if len(w.Steps) > 0 {
			w.Notes = unasked
		}
		return w
	case len(returning) > 0:
		return plan.Wave{Title: "edges back", Steps: rollout.StepsFor(rollout.Limit(returning, goal), revert), Obstacles: blocked, Notes: unasked}
	}
	return plan.Wave{Obstacles: blocked, Notes: rollbackNotes(f, goal)}
}

// reopens says whether a hub that accepts no certificates now did so before a migration first changed it, and has an
// edge that is not reached: its own team may be about to take it back. After a clean-up nobody has a certificate any
// more: MPC, which follows the modes, might wait for the secret that was deleted.
func reopens(f plan.State) bool {
	h := f.Hub
	away := slices.ContainsFunc(f.Members, func(m plan.Member) bool { return m.Role == plan.RoleEdge && m.Err != "" })
	if !away || cleaned(h.History) {
		return false
	}
	original, kept := h.Originals[h.Object.UID]
	stanza, _ := state.Field(original, "spec", "components", "xcp", "centralAuthModes").(map[string]any)
	return kept && h.Accepts.Accepts[state.MTLS] != guard.Yes && (stanza["mutualTls"] == true || stanza["jwt"] != true)
}

// cleaned says whether a clean-up was begun after the hub was last opened, as far as the history goes back.
func cleaned(past []plan.WaveRecord) bool {
	for _, p := range slices.Backward(past) {
		for _, id := range p.Steps {
			switch {
			case strings.HasPrefix(id, cleanUpID):
				return true
			case id == hubStepID("open", "hub"):
				return false
			}
		}
	}
	return false
}

// withReconnects asks of the step that has a hub accept certificates again that each edge which it refused connects.
func withReconnects(s plan.Step, who string, refused []plan.Member) plan.Step {
	for _, m := range refused {
		asked := slices.ContainsFunc(s.Conditions, func(c plan.Condition) bool { return c.Member == m.Name })
		if who == "hub" && m.Workload.Found && m.Workload.Replicas > 0 && !asked {
			s.Conditions = append(s.Conditions, pushes(m.Name, m.Name+" connects, and pushes to Central"))
		}
	}
	return s
}

// withoutConditionsOf asks of a hub's step no proof of members that are to go back: one that has lost its connection
// is why somebody goes back.
func withoutConditionsOf(s plan.Step, members []plan.Member) plan.Step {
	s.Conditions = slices.DeleteFunc(s.Conditions, func(c plan.Condition) bool {
		return slices.ContainsFunc(members, func(m plan.Member) bool { return m.Name == c.Member })
	})
	return s
}

// classifyForRollback parts the edges into those that are to go back, how many have done so, and those that cannot.
func classifyForRollback(f plan.State, goal plan.Goal) (returning []plan.Member, done int, blocked []plan.Obstacle) {
	block := func(m plan.Member, why string) {
		blocked = append(blocked, plan.Obstacle{Member: m.Name, Why: why})
	}
	if goal.Only != "" && f.Member(goal.Only) == nil {
		return nil, 0, []plan.Obstacle{{Member: goal.Only, Why: "no member has that name; kubectl xcpauth status lists them"}}
	}
	for _, m := range f.Members {
		ours := m.Original != nil && state.Field(m.Original, "spec", "components", "xcp", "centralAuthMode") != "JWT"
		switch {
		case m.Role != plan.RoleEdge || (goal.Only != "" && m.Name != goal.Only):
		case rollout.HeldBack(m, goal) != "":
			block(m, rollout.HeldBack(m, goal))
		case m.Err != "" && (m.Context != "" || m.Registered):
			block(m, m.Err)
		case m.Err != "", goal.Only == "" && !ours:
		case m.Declared == state.MTLS && presentsOnly(m, state.MTLS) && m.Workload.Settled:
			done++
		case len(m.Anomalies) > 0:
			block(m, m.Anomalies[0])
		case m.Workload.Paused:
			block(m, m.Workload.PausedReason(m.Object.Namespace, "edge", m.Context))
		case m.Owner != "":
			block(m, fmt.Sprintf("%s is kept by %s, which would put it back; set spec.components.xcp.centralAuthMode there", m.Object, m.Owner))
		case goal.NoHub && m.Fence.Binding.UID != "" && !goal.HubAgrees:
			block(m, fmt.Sprintf("the hub's team may rely on its fence for %d days after it was provided, and turn mTLS off meanwhile; let them run kubectl xcpauth edge forget %s --alive --reason WHY, then pass --hub-agrees", int(roster.BelievedFenced.Hours()/24), m.Name))
		case m.OldCredential.Err != "":
			block(m, fmt.Sprintf("the way back needs its certificate, and %s; make a new one with: tctl install cluster-certs --cluster %s", m.OldCredential.Err, m.ClusterName))
		case !f.At.Before(m.OldCredential.Expires):
			block(m, fmt.Sprintf("its certificate in secret %s expired at %s; make a new one with: tctl install cluster-certs --cluster %s", m.OldCredential.Where, m.OldCredential.Expires.Format(time.RFC3339), m.ClusterName))
		default:
			returning = append(returning, m)
		}
	}
	return returning, done, blocked
}

// rollbackNotes says where the values at which the way back ends differ from those that there were originally.
func rollbackNotes(f plan.State, goal plan.Goal) []plan.Obstacle {
	var all []plan.Obstacle
	for _, m := range f.Members {
		if was := m.Original; was != nil && m.Role == plan.RoleEdge && (goal.Only == "" || goal.Only == m.Name) && state.Field(was, "spec", "components", "xcp", "centralAuthMode") == nil {
			all = append(all, plan.Obstacle{Member: m.Name, Why: "centralAuthMode was not set originally; it is MUTUAL_TLS now, which is what it meant"})
		}
	}
	original := f.Hub.Originals[f.Hub.Object.UID]
	stanza, _ := state.Field(original, "spec", "components", "xcp", "centralAuthModes").(map[string]any)
	if original != nil && goal.Only == "" && (stanza["jwt"] != f.Hub.Declared["jwt"] || stanza["mutualTls"] != f.Hub.Declared["mutualTls"]) {
		all = append(all, plan.Obstacle{Member: "hub", Why: fmt.Sprintf("centralAuthModes was %s originally; it is %s now", state.Canonical(stanza), state.Canonical(f.Hub.Declared))})
	}
	return all
}
