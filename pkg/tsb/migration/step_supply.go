package migration

import (
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/rollout"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// supplyWave gets every edge what it lacks, before anything else is changed: nothing uses it until the edge switches.
func supplyWave(f plan.State, goal plan.Goal, v classified) (plan.Wave, bool) {
	if len(v.needCredentials) == 0 {
		return plan.Wave{}, false
	}
	return plan.Wave{Title: "credentials from " + goal.Supplied, Obstacles: v.obstacles,
		Steps: rollout.StepsFor(v.needCredentials, func(m plan.Member) plan.Step { return supplyStep(f, m, goal) })}, true
}

// supplyStep gets an edge the credentials that it lacks from outside.
func supplyStep(f plan.State, m plan.Member, goal plan.Goal) plan.Step {
	s := state.SupplyOf(f, m)
	why := m.Credential.Why
	if len(m.Credential.MissingSecrets) == 0 {
		why = m.Trust.Why
	}
	return plan.Step{ID: "provide/" + m.Name, Kind: "provide", Member: m.Name, Verb: "provide",
		Title: m.Name + ": get its credentials", Why: why,
		WayBack: "none needed: nothing uses them before the edge moves", Supply: &s, NoUndo: true, Timeout: goal.Within,
		Conditions: []plan.Condition{supplied(m.Name)},
		Effect: onMember(m.Name, func(m *plan.Member, _ *plan.State) {
			m.Credential = plan.Credential{State: plan.CredentialReady, Where: m.Credential.Where}
			if m.Trust.Suppliable {
				m.Trust = plan.Trust{OK: true, Where: m.Trust.Where}
			}
		})}
}

// supplied wants the edge to have what it needs to present a JWT.
func supplied(name string) plan.Condition {
	return plan.Condition{Kind: "provided", Member: name,
		Text: "its token is there and valid, or its operator mints others from the same service account; and it could verify Central",
		Met: plan.OfMember(name, func(m plan.Member, _, _ plan.State) plan.Evaluation {
			c := m.Credential
			switch {
			case m.Trust.Suppliable:
				return plan.Evaluation{Evidence: m.Trust.Why}
			case c.State == plan.CredentialReady && c.Expires.IsZero():
				return plan.Evaluation{Met: true, Evidence: "its token is there and has no expiry"}
			case c.State == plan.CredentialReady:
				return plan.Evaluation{Met: true, Evidence: "its token is there, valid until " + c.Expires.Format(time.RFC3339)}
			case c.State == plan.CredentialMintable:
				return plan.Evaluation{Met: true, Evidence: "its token is " + c.Why}
			}
			return plan.Evaluation{Evidence: c.Why}
		})}
}
