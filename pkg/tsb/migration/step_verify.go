package migration

import (
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/rollout"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// verifyEdgesWave verifies the edges that are set to JWT, and are not known to present one.
func verifyEdgesWave(v classified, goal plan.Goal) plan.Wave {
	return plan.Wave{Title: "verify what is set to JWT already", Obstacles: v.obstacles,
		Steps: rollout.StepsFor(v.unverified, func(m plan.Member) plan.Step { return verifyEdgeStep(m, goal) })}
}

// verifyStep verifies a member as it is, and changes nothing.
func verifyStep(_ plan.State, m plan.Member, goal plan.Goal) plan.Step {
	if m.Role == plan.RoleMPC {
		return verifyMPCStep(m, goal)
	}
	return verifyEdgeStep(m, goal)
}

func verifyEdgeStep(m plan.Member, goal plan.Goal) plan.Step {
	return plan.Step{ID: "prove/" + m.Name, Kind: "prove", Member: m.Name, Verb: "verify",
		Title:      m.Name + ": verify that it presents a JWT",
		Why:        "it is set to JWT already; the last step needs it verified within the last 15 minutes",
		Conditions: edgeConditions(m, state.JWT, 0), Timeout: goal.Within, NoUndo: true,
		Effect: onMember(m.Name, verifiedAgain), States: plan.StatesAgain}
}

func verifyMPCStep(m plan.Member, goal plan.Goal) plan.Step {
	return plan.Step{ID: "prove/" + m.Name, Kind: "prove", Member: m.Name, Verb: "verify",
		Title:      m.Name + ": verify that it no longer presents a certificate",
		Why:        "MPC uses the hub's modes; while a pod of it mounts " + state.SecretMPCCerts + " it may present it",
		Conditions: []plan.Condition{mpcMountsNoCertificate(m.Name), mpcConnected(m.Name)},
		Timeout:    goal.Within, NoUndo: true, Effect: onMember(m.Name, verifiedAgain), States: plan.StatesAgain}
}

// verifiedAgain predicts a member that was verified as it is: what was seen of its rotation before still counts.
func verifiedAgain(m *plan.Member, f *plan.State) {
	presentsJWT(m, f, m.Statement != nil && m.Statement.Rotated)
}

// mpcMountsNoCertificate wants no pod of MPC to mount its certificate.
func mpcMountsNoCertificate(name string) plan.Condition {
	return plan.Condition{Kind: "mpc-mounts", Member: name, Text: "no MPC pod mounts " + state.SecretMPCCerts,
		Met: plan.OfMember(name, func(m plan.Member, _, _ plan.State) plan.Evaluation {
			if !presentsOnly(m, state.JWT) {
				return plan.Evaluation{Evidence: "a pod of mpc still mounts " + state.SecretMPCCerts}
			}
			return plan.Evaluation{Met: true, Evidence: "no mpc pod mounts " + state.SecretMPCCerts}
		})}
}
