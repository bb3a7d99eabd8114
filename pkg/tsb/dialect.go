package tsb

import "github.com/xcpauth/kubectl-xcpauth/pkg/plan"

// Dialect is Tetrate Service Bridge 1.4 and newer.
func Dialect() plan.Dialect {
	return plan.Dialect{Name: "Tetrate Service Bridge", Reads: reads, Facts: facts, Next: next, Prove: prove, Judge: judge, After: after}
}

// prove is the step that proves a member as it is.
func prove(m plan.Member, goal plan.Goal) plan.Step {
	if m.Role == plan.RoleMPC {
		return proveMPC(m, goal)
	}
	return proveEdge(m, goal)
}
