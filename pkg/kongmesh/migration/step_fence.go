package migration

import (
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// noFenceStep is no step: a zone's own cluster is not fenced.
func noFenceStep(_ plan.State, m plan.Member, _ plan.Goal) plan.Step {
	return plan.Step{ID: "fence/" + m.Name, Kind: "fence", Member: m.Name, NoUndo: true}
}
