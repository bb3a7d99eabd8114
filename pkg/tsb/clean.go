package tsb

import (
	"fmt"
	"slices"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// cleanUpWave deletes what only certificates of members needed, once the hub accepts JWTs alone and the member is seen to present one: the
// Certificate that would make it again first, then the hub's copy, then the secret itself. The way back ends here.
func cleanUpWave(f plan.State, goal plan.Goal) plan.Wave {
	w := plan.Wave{Title: "clean-up"}
	if !runsAsDeclared(f.Hub) && len(f.Hub.Workload.Processes) > 0 {
		if slices.ContainsFunc(f.Members, func(m plan.Member) bool { return len(leftoversOf(f, m)) > 0 }) {
			return plan.Wave{Title: "prove JWT alone", Steps: []plan.Step{verifyHubStep(f, "hub", goal)}}
		}
	}
	for _, m := range f.Members {
		left := leftoversOf(f, m)
		switch {
		case goal.Skipped(m.Name) != "":
			w.Obstacles = append(w.Obstacles, plan.Obstacle{Member: m.Name, Why: goal.Skipped(m.Name)})
			continue
		case m.Err != "":
			w.Notes = append(w.Notes, plan.Obstacle{Member: m.Name, Why: "not reached, so nothing of it was cleaned up"})
			continue
		case len(left) == 0:
			continue
		case !slices.Equal(m.Evidence.Presents, []guard.Cred{JWT}):
			w.Obstacles = append(w.Obstacles, plan.Obstacle{Member: m.Name, Why: "it may still present its certificate (" + m.Evidence.Why + ")"})
			continue
		}
		s := plan.Step{ID: "clean/" + m.Name, Kind: plan.CleanUp, Member: m.Name, Title: m.Name + ": delete what only its certificate needed",
			Why: "nothing accepts it and nobody presents it; after this there is no way back without new certificates", Irreversible: true, Timeout: goal.Within,
			Conditions: []plan.Condition{{Kind: conditionGone, Member: m.Name, Text: "it is gone and stays gone"}}}
		for _, l := range left {
			s.Writes = append(s.Writes, plan.Write{Context: l.Context, Cluster: l.ClusterUID, Object: l.Object, Delete: true})
		}
		if m.Role == plan.RoleEdge && pushed(m) > 0 {
			s.Conditions = append(s.Conditions, plan.Condition{Kind: conditionPushes, Member: m.Name, Text: m.Name + " goes on pushing to Central"})
		}
		w.Steps = append(w.Steps, s)
	}
	return w
}

// leftoversOf lists what lies in the clusters for a member's certificate alone, each once.
func leftoversOf(f plan.State, m plan.Member) []plan.Leftover {
	var all []plan.Leftover
	add := func(left []plan.Leftover, member string) {
		for _, l := range left {
			if l.Member == member && !slices.ContainsFunc(all, func(a plan.Leftover) bool { return a.Object.UID == l.Object.UID }) {
				all = append(all, l)
			}
		}
	}
	switch {
	case m.Name == standbyMPC && f.Standby != nil:
		add(f.Standby.Leftovers, mpcName)
	default:
		add(f.Hub.Leftovers, m.Name)
		add(m.Leftovers, m.ClusterName)
	}
	return all
}

func evaluateGone(f plan.State, m plan.Member) plan.Evaluation {
	if left := leftoversOf(f, m); len(left) > 0 {
		return plan.Evaluation{Evidence: fmt.Sprintf("%s in %s is still there", left[0].Object, left[0].Context)}
	}
	return plan.Evaluation{Met: true, Evidence: "what only its certificate needed is gone"}
}
