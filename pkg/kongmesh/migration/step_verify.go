package migration

import (
	"fmt"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// verifyStep verifies a zone as it is, and changes nothing.
func verifyStep(_ plan.State, m plan.Member, goal plan.Goal) plan.Step {
	want := wanted(m, goal)
	return plan.Step{ID: "prove/" + m.Name, Kind: "prove", Member: m.Name, Verb: "verify",
		Title: m.Name + ": verify that it is connected with its token", NoUndo: true, Timeout: goal.Within,
		Why: "it has a token already, and the global has not told of a session with one",
		Conditions: []plan.Condition{presentsOnly(m.Name, want, "its pods present the token alone"),
			connected(m.Name, want, "it is connected, with a token")},
		Effect: onZone(m.Name, verified)}
}

// verifyRevertedStep verifies a zone that was set back already.
func verifyRevertedStep(m plan.Member, goal plan.Goal) plan.Step {
	return plan.Step{ID: "prove/" + m.Name, Kind: "prove", Member: m.Name, Verb: "verify",
		Title:  fmt.Sprintf("%s: verify that it presents %s again", m.Name, describe(m.Declared)),
		NoUndo: true, Timeout: goal.Within, Why: "it was set back, and its pods were not seen to be back",
		Conditions: []plan.Condition{presentsOnly(m.Name, m.Declared, "its pods present that alone"),
			connected(m.Name, m.Declared, "it is connected")},
		Effect: onZone(m.Name, verified)}
}

// verified predicts a zone that presents what its object says.
func verified(m *plan.Member, f *plan.State) { predictPresents(m, f, m.Declared) }
