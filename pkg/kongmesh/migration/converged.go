package migration

import (
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// converged says whether nothing is left to do for a zone: it is verified with what it is to present, which may be a
// token of an older key; or it presents nothing that is to be revoked. It says what the zone presents.
func converged(f plan.State, m plan.Member, goal plan.Goal) (there bool, presents string) {
	if m.Evidence.Presents != nil && m.Declared != "" && presentsAlone(m, m.Declared) {
		presents = describe(m.Declared)
	}
	want := wanted(m, goal)
	switch {
	case m.Err != "":
	case goal.Task() == plan.Prune:
		there = true
	case goal.Task() == plan.Revoke:
		there = presents != "" && !holds(m, goal)
	case m.Object.Name == "": // without a context, and read from what was provided
		there = hasToken(f, m, want)
	default:
		there = hasToken(f, m, want) && isVerified(f, m, want)
	}
	return there, presents
}

// hasToken says whether a zone's object refers to a good token of the wanted kind, which does not expire soon.
func hasToken(f plan.State, m plan.Member, want guard.Cred) bool {
	return m.Declared == want && m.Credential.State == plan.CredentialReady && !expiring(m.Credential, f.At)
}
