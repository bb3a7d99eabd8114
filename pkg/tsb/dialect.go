package tsb

import "github.com/xcpauth/kubectl-xcpauth/pkg/plan"

// Dialect is Tetrate Service Bridge 1.4 and newer.
func Dialect() plan.Dialect {
	return plan.Dialect{Name: "Tetrate Service Bridge", Reads: reads, Facts: facts, Next: next, Judge: judge, After: after}
}
