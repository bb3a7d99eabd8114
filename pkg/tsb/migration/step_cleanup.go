package migration

import (
	"fmt"
	"slices"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// cleanUpWave deletes what only certificates of members needed, once the hub accepts JWTs alone and the member is
// seen to present one. The way back ends here.
func cleanUpWave(f plan.State, goal plan.Goal) plan.Wave {
	w := plan.Wave{Title: "clean-up"}
	if !runsAsDeclared(f.Hub) && len(f.Hub.Workload.Processes) > 0 {
		if slices.ContainsFunc(f.Members, func(m plan.Member) bool { return len(leftoversOf(f, m)) > 0 }) {
			return plan.Wave{Title: "verify JWT alone", Steps: []plan.Step{verifyHubStep(f, "hub", goal)}}
		}
	}
	block := func(m plan.Member, why string) {
		w.Obstacles = append(w.Obstacles, plan.Obstacle{Member: m.Name, Why: why})
	}
	for _, m := range f.Members {
		left := leftoversOf(f, m)
		switch {
		case goal.Skipped(m.Name) != "":
			block(m, goal.Skipped(m.Name))
		case m.Err != "":
			w.Notes = append(w.Notes, plan.Obstacle{Member: m.Name, Why: "not reached, so nothing of it was cleaned up"})
		case len(left) == 0:
		case !presentsOnly(m, state.JWT):
			block(m, "it may still present its certificate ("+m.Evidence.Why+")")
		default:
			w.Steps = append(w.Steps, cleanUpStep(m, left, goal))
		}
	}
	return w
}

// cleanUpStep deletes what only a member's certificate needed: the Certificate that would make it again first, then the
// hub's copy, then the secret itself.
func cleanUpStep(m plan.Member, left []plan.Leftover, goal plan.Goal) plan.Step {
	s := plan.Step{ID: cleanUpID + m.Name, Kind: "clean", Member: m.Name, Verb: "clean up",
		Title:        m.Name + ": delete what only its certificate needed",
		Why:          "nothing accepts it and nobody presents it; after this there is no way back without new certificates",
		Irreversible: true, Timeout: goal.Within, Conditions: []plan.Condition{leftoversGone(m.Name)},
		Effect: func(f *plan.State) {
			if m := f.Member(m.Name); m != nil {
				m.Leftovers = nil
			}
			switch m.Name {
			case state.MPCName:
				f.Hub.Leftovers = nil
			case state.StandbyMPC:
				hubOf(f, "standby").Leftovers = nil
			}
		}}
	for _, l := range left {
		s.Writes = append(s.Writes, plan.Write{Context: l.Context, Cluster: l.ClusterUID, Object: l.Object,
			Op: plan.OpDelete})
	}
	if m.Role == plan.RoleEdge && pushed(m) > 0 {
		s.Conditions = append(s.Conditions, pushes(m.Name, m.Name+" goes on pushing to Central"))
	}
	return s
}

// leftoversGone wants nothing to be left that only the member's certificate needed.
func leftoversGone(name string) plan.Condition {
	return plan.Condition{Kind: "gone", Member: name, Text: "it is gone and stays gone",
		Met: plan.OfMember(name, func(m plan.Member, _, now plan.State) plan.Evaluation {
			if left := leftoversOf(now, m); len(left) > 0 {
				return plan.Evaluation{Evidence: fmt.Sprintf("%s in %s is still there", left[0].Object, left[0].Context)}
			}
			return plan.Evaluation{Met: true, Evidence: "what only its certificate needed is gone"}
		})}
}

// cleanUpID begins the IDs of the steps that end a member's way back.
const cleanUpID = "clean/"

// leftoversOf lists what lies in the clusters for a member's certificate alone, each once.
func leftoversOf(f plan.State, m plan.Member) []plan.Leftover {
	var all []plan.Leftover
	add := func(left []plan.Leftover, member string) {
		for _, l := range left {
			if l.Member == member && !slices.ContainsFunc(all,
				func(a plan.Leftover) bool { return a.Object.UID == l.Object.UID }) {
				all = append(all, l)
			}
		}
	}
	switch {
	case m.Name == state.StandbyMPC && f.Standby != nil:
		add(f.Standby.Leftovers, state.MPCName)
	default:
		add(f.Hub.Leftovers, m.Name)
		add(m.Leftovers, m.ClusterName)
	}
	return all
}
