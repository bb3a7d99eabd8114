package migration

import (
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// revertStep sets an edge to mutual TLS, having first taken back what the roster states of it, and of whoever else
// relies on its fence, and removed that.
func revertStep(f plan.State, m plan.Member, goal plan.Goal) plan.Step {
	s := plan.Step{ID: "return/" + m.Name, Kind: "return", Member: m.Name, Verb: "back to mTLS",
		Title: m.Name + ": present its certificate again", Why: "Central accepts both; this edge alone changes",
		Conditions: edgeConditions(m, state.MTLS, goal.Soak), Timeout: goal.Within, RevertsTo: state.JWT, KeepsOriginal: true,
		States: plan.StatesRetraction,
		Effect: onMember(m.Name, func(m *plan.Member, f *plan.State) {
			m.Declared, m.Effective, m.Statement = state.MTLS, state.MTLS, nil
			m.Fence = noFence(m)
			m.DeclaredFields = map[string]any{"centralAuthMode": "MUTUAL_TLS"}
			m.Evidence.Presents, m.Evidence.Until, m.Evidence.Why = []guard.Cred{state.MTLS},
				f.At.Add(state.LiveFor), "predicted"
			m.Workload.Settled = true
		})}
	w := plan.Write{Context: m.Context, Cluster: m.ClusterUID, Object: m.Object,
		Before: modePatch(m.DeclaredFields["centralAuthMode"]), After: modePatch("MUTUAL_TLS")}
	s.Writes = append(removeFence(f, m), w)
	if m.Declared == state.JWT {
		undo, _ := w.Undo()
		s.Undo = []plan.Write{undo}
	} else {
		s.NoUndo = true // it said mutual TLS already, or nothing that one could go back to
		s.WayBack = "none needed: the step is the way back, and it stays when it is not verified"
	}
	return s
}
