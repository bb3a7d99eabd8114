package migration

import "github.com/xcpauth/kubectl-xcpauth/pkg/plan"

// settleWave waits for the global where it is being rolled out.
func settleWave(h plan.Hub, goal plan.Goal) (plan.Wave, bool) {
	return plan.Wave{Title: "the global settles", Steps: []plan.Step{settleStep(goal)}}, settling(h)
}

// settleStep waits until the global is rolled out, and changes nothing.
func settleStep(goal plan.Goal) plan.Step {
	return plan.Step{ID: "settle/hub", Kind: "settle", Member: "hub", Verb: "wait", NoUndo: true, Timeout: goal.Within,
		Title: "hub: wait until its rollout is over",
		Why:   "pods that still are as before would not be replaced by the next change",
		Conditions: []plan.Condition{{Kind: "settled", Member: "hub", Text: "its rollout is over",
			Met: ofHub(func(_, now plan.State) plan.Evaluation {
				if h := now.Hub; settling(h) || h.Workload.Err != "" {
					return plan.Evaluation{Evidence: "the rollout of the global is not over"}
				}
				return plan.Evaluation{Met: true, Evidence: "the rollout of the global is over"}
			})}},
		Effect: func(f *plan.State) { f.Hub.Workload.Settled = true }}
}

// settling says whether the global is being rolled out, as one is that an interrupted run has just restored. A change
// that went back to what its older pods still run would replace none of them, and no zone would connect again.
func settling(h plan.Hub) bool {
	return h.Workload.Found && h.Workload.Err == "" && !h.Workload.Settled && !h.Workload.Paused
}
