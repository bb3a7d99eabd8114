package migration

import (
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/rollout"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// prepareWave makes what an edge lacks whose mode somebody else sets, or has set already: its pods would wait for it.
func prepareWave(s *situation) (plan.Wave, bool) {
	return plan.Wave{Title: "what edges lack", Obstacles: s.obstacles, Steps: rollout.StepsFor(s.unprepared,
		func(m plan.Member) plan.Step { return prepareStep(m, s.goal) })}, len(s.unprepared) > 0
}

// prepareStep makes the secret with the CA with which a JWT edge verifies Central.
func prepareStep(m plan.Member, goal plan.Goal) plan.Step {
	why := "something else sets its mode, and its pods would wait for this"
	if m.Declared == state.JWT {
		why = "it is set to JWT already, and its pods wait for this"
	}
	return plan.Step{ID: "prepare/" + m.Name, Kind: "prepare", Member: m.Name, Verb: "prepare",
		Title: m.Name + ": get the CA to verify Central with", Why: why,
		WayBack: "none needed: nothing uses it before the edge moves", Writes: []plan.Write{caSecret(m)}, NoUndo: true,
		Timeout: goal.Within,
		Conditions: []plan.Condition{{Kind: "prepared", Member: m.Name, Text: "its secret " + state.SecretCA + " is there",
			Met: plan.OfMember(m.Name, func(m plan.Member, _, _ plan.State) plan.Evaluation {
				if m.Trust.Absent {
					return plan.Evaluation{Evidence: "secret " + m.Trust.Where + " is not there yet"}
				}
				return plan.Evaluation{Met: true, Evidence: "secret " + m.Trust.Where + " is there"}
			})}},
		Effect: onMember(m.Name, func(m *plan.Member, _ *plan.State) { m.Trust.Absent = false })}
}

// isUnprepared says whether an edge lacks the CA, and it is known which one it needs.
func isUnprepared(m plan.Member) bool {
	t := m.Trust
	return m.Role == plan.RoleEdge && m.Err == "" && len(m.Anomalies) == 0 && t.OK && t.Absent &&
		!t.Public && len(t.CA) > 0
}

// setElsewhere says whether nothing but its owner keeps an edge from being switched.
func setElsewhere(m plan.Member, missing []string) bool {
	return m.Owner != "" && len(m.Obstacles)+len(missing) == 0
}
