package migration

import (
	"fmt"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// cleanUpWave deletes the tokens that zones presented before. The way back ends with it.
func cleanUpWave(f plan.State, goal plan.Goal) plan.Wave {
	w := plan.Wave{Title: "clean-up"}
	for _, m := range f.Members {
		if len(m.Leftovers) > 0 {
			w.Steps = append(w.Steps, cleanUpStep(m, goal))
		}
	}
	if len(w.Steps) == 0 {
		return plan.Wave{}
	}
	return w
}

func cleanUpStep(m plan.Member, goal plan.Goal) plan.Step {
	s := plan.Step{ID: "clean/" + m.Name, Kind: "clean", Member: m.Name, Verb: "clean up",
		Title: m.Name + ": delete the tokens that it presented before",
		Why:   "nothing refers to them; the way back ends here", Irreversible: true, Timeout: goal.Within,
		Conditions: []plan.Condition{olderTokensGone(m.Name)},
		Effect:     onZone(m.Name, func(m *plan.Member, _ *plan.State) { m.Leftovers = nil })}
	for _, l := range m.Leftovers {
		s.Writes = append(s.Writes, plan.Write{Context: l.Context, Cluster: l.ClusterUID, Object: l.Object,
			Op: plan.OpDelete})
	}
	return s
}

// olderTokensGone wants nothing to be left of the tokens before.
func olderTokensGone(name string) plan.Condition {
	return plan.Condition{Kind: "gone", Member: name, Text: "none is left",
		Met: ofZone(name, func(m plan.Member, _, _ plan.State) plan.Evaluation {
			if n := len(m.Leftovers); n > 0 {
				return plan.Evaluation{Evidence: fmt.Sprintf("%s left", count(n, "older token"))}
			}
			return plan.Evaluation{Met: true, Evidence: "no older token is left"}
		})}
}
