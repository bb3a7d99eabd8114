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

// rollback is the way back to mutual TLS. It ends at explicit values, and needs the old material, which the clean-up
// alone removes. The hub goes on accepting JWTs: as long as it does, MPC may present one at any moment, so taking that
// back could cut it off. Names of Central's certificate and CA bundles only add, and stay too.
var rollback = []rollout.Phase[*wayBack]{
	{Does: "stop where a hub cannot be changed", Wave: hubsCanGoBack},
	{Does: "accept both modes again, explicitly, where an edge is to go back or is refused, or may be about to go back " +
		"out of reach; verify that Central runs with them", Wave: acceptBothAgain},
	{Does: "have one canary present its certificate again", Wave: revertCanary},
	{Does: "then every edge that a migration moved, in waves", Wave: revertRest},
	{Does: "end here, and note where that differs from what there was originally", Wave: endRollback},
}

// wayBack is what the way back decides on.
type wayBack struct {
	plan.State
	goal      plan.Goal
	returning []*plan.Member // to go back
	done      int            // are back
	obstacles []plan.Obstacle
}

func rollbackWave(f plan.State, goal plan.Goal) plan.Wave {
	s := &wayBack{State: f, goal: goal}
	s.returning, s.done, s.obstacles = classifyForRollback(f, goal)
	return rollout.Next(rollback, goal, s)
}

func hubsCanGoBack(s *wayBack) (plan.Wave, bool) {
	stop := hubObstacles(s.State)
	return plan.Wave{Obstacles: stop}, len(stop) > 0 && !s.goal.NoHub
}

func acceptBothAgain(s *wayBack) (plan.Wave, bool) {
	refused := refusedEdges(s.State, s.goal)
	needed := len(s.returning)+len(refused) > 0 || s.goal.Only == "" && reopens(s.State)
	if s.goal.NoHub || !needed {
		return plan.Wave{}, false
	}
	w := plan.Wave{Title: "both modes on", Obstacles: s.obstacles}
	for _, who := range hubNames {
		h, there := hubs(s.State)[who]
		switch {
		case !there:
		case h.Accepts.Accepts[state.MTLS] != guard.Yes || h.Accepts.Accepts[state.JWT] != guard.Yes:
			step := withoutConditionsOf(acceptBothStep(s.State, who, h, s.goal), s.returning)
			w.Steps = append(w.Steps, withReconnects(step, who, refused))
		case !runsAsDeclared(h):
			w.Steps = append(w.Steps, withoutConditionsOf(verifyHubStep(s.State, who, s.goal), s.returning))
		}
	}
	return w, len(w.Steps) > 0
}

func revertCanary(s *wayBack) (plan.Wave, bool) {
	if len(s.returning) == 0 || s.done > 0 {
		return plan.Wave{}, false
	}
	w := rollout.Canary(s.State, "canary back", s.returning, s.obstacles, s.goal, s.revert)
	if len(w.Steps) > 0 {
		w.Notes = s.hubUnseen()
	}
	return w, true
}

func revertRest(s *wayBack) (plan.Wave, bool) {
	return plan.Wave{Title: "edges back", Steps: rollout.StepsFor(rollout.Limit(s.returning, s.goal), s.revert),
		Obstacles: s.obstacles, Notes: s.hubUnseen()}, len(s.returning) > 0
}

func endRollback(s *wayBack) (plan.Wave, bool) {
	return plan.Wave{Obstacles: s.obstacles, Notes: rollbackNotes(s.State, s.goal)}, true
}

func (s *wayBack) revert(m plan.Member) plan.Step { return revertStep(s.State, m, s.goal) }

// hubUnseen notes what a run without a hub cannot know.
func (s *wayBack) hubUnseen() []plan.Obstacle {
	if !s.goal.NoHub {
		return nil
	}
	return []plan.Obstacle{{Member: "hub", Why: "it is not looked at here, and an edge is cut off once it presents a " +
		"certificate that the hub refuses: let the hub's team say that kubectl xcpauth status shows both modes there, " +
		"before the fence is removed"}}
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
func withReconnects(s plan.Step, who string, refused []*plan.Member) plan.Step {
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
func withoutConditionsOf(s plan.Step, members []*plan.Member) plan.Step {
	s.Conditions = slices.DeleteFunc(s.Conditions, func(c plan.Condition) bool {
		return slices.ContainsFunc(members, func(m *plan.Member) bool { return m.Name == c.Member })
	})
	return s
}

// classifyForRollback parts the edges into those that are to go back, how many have done so, and those that cannot.
func classifyForRollback(f plan.State, goal plan.Goal) (returning []*plan.Member, done int, blocked []plan.Obstacle) {
	block := func(m plan.Member, why string) {
		blocked = append(blocked, plan.Obstacle{Member: m.Name, Why: why})
	}
	if goal.Only != "" && f.Member(goal.Only) == nil {
		return nil, 0, []plan.Obstacle{{Member: goal.Only, Why: f.UnknownMember(goal.Only)}}
	}
	for i, m := range f.Members {
		ours := m.Original != nil && state.Field(m.Original, "spec", "components", "xcp", "centralAuthMode") != "JWT"
		switch {
		case m.Role != plan.RoleEdge || (goal.Only != "" && m.Name != goal.Only):
		case rollout.HeldBack(m, goal) != "":
			block(m, rollout.HeldBack(m, goal))
		case m.Err != "" && (m.Context != "" || m.Registered):
			block(m, m.Err)
		case m.Err != "", goal.Only == "" && !ours:
		case m.Declared == state.MTLS && presentsOnly(m, state.MTLS) && m.Workload.Settled &&
			!plan.Unverified(f.Hub.History, m.Name):
			done++
		case len(m.Anomalies) > 0:
			block(m, m.Anomalies[0])
		case m.Workload.Paused:
			block(m, m.Workload.PausedReason(m.Object.Namespace, "edge", m.Context))
		case m.Owner != "":
			block(m, fmt.Sprintf("%s is kept by %s, which would put it back; set spec.components.xcp.centralAuthMode there",
				m.Object, m.Owner))
		case goal.NoHub && m.Fence.Binding.UID != "" && !goal.HubAgrees:
			block(m, fmt.Sprintf("the hub's team may rely on its fence for %d days after it was provided, and turn mTLS off meanwhile; let them run kubectl xcpauth edge forget %s --alive --reason WHY, then pass --hub-agrees", int(roster.BelievedFenced.Hours()/24), m.Name))
		case m.OldCredential.Err != "":
			block(m, fmt.Sprintf("the way back needs its certificate, and %s; make a new one with: tctl install cluster-certs --cluster %s", m.OldCredential.Err, m.ClusterName))
		case !f.At.Before(m.OldCredential.Expires):
			block(m, fmt.Sprintf("its certificate in secret %s expired at %s; make a new one with: tctl install cluster-certs --cluster %s", m.OldCredential.Where, m.OldCredential.Expires.Format(time.RFC3339), m.ClusterName))
		default:
			returning = append(returning, &f.Members[i])
		}
	}
	return returning, done, blocked
}

// rollbackNotes says where the values at which the way back ends differ from those that there were originally.
func rollbackNotes(f plan.State, goal plan.Goal) []plan.Obstacle {
	var all []plan.Obstacle
	for _, m := range f.Members {
		if was := m.Original; was != nil && m.Role == plan.RoleEdge && (goal.Only == "" || goal.Only == m.Name) &&
			state.Field(was, "spec", "components", "xcp", "centralAuthMode") == nil {
			all = append(all, plan.Obstacle{Member: m.Name,
				Why: "centralAuthMode was not set originally; it ends as MUTUAL_TLS, which is what it meant"})
		}
	}
	original := f.Hub.Originals[f.Hub.Object.UID]
	stanza, _ := state.Field(original, "spec", "components", "xcp", "centralAuthModes").(map[string]any)
	if original != nil && goal.Only == "" && (stanza["jwt"] != f.Hub.Declared["jwt"] ||
		stanza["mutualTls"] != f.Hub.Declared["mutualTls"]) {
		all = append(all, plan.Obstacle{Member: "hub", Why: fmt.Sprintf("centralAuthModes was %s originally; it ends as %s",
			state.Canonical(stanza), state.Canonical(f.Hub.Declared))})
	}
	return all
}
