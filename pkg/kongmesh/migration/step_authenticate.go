package migration

import (
	"fmt"
	"slices"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/state"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// requireTokensStep has the global authenticate its zones: it withdraws None.
func requireTokensStep(f plan.State, goal plan.Goal) plan.Step {
	after := guard.Hub{Accepts: map[guard.Cred]guard.Tri{}}
	for c, t := range f.Hub.Accepts.Accepts {
		if after.Accepts[c] = t; c == state.None {
			after.Accepts[c] = guard.No
		} else if kid := state.KidOf(c); kid != "" && !hasKey(f.Hub, kid) {
			after.Accepts[c] = guard.No // anything is accepted before
		}
	}
	write := authenticateWrite(f)
	return byHand(f.Hub, plan.Step{ID: "close", Kind: "close", Member: "hub", Verb: "authenticate",
		Title: "hub: authenticate zones",
		Why:   "every zone presents a token that the global accepts", Writes: []plan.Write{write}, Timeout: goal.Within,
		KeepsOriginal: true, Withdraws: &after, Accepts: &after,
		Conditions: append([]plan.Condition{globalAuthenticates(true)}, reconnects(f, goal.To)...),
		Effect:     hubAccepts(&after, func(h *plan.Hub) { h.Declared = write.After })})
}

// authenticateNobodyStep has the global take every zone again, as it did before a migration.
func authenticateNobodyStep(f plan.State, original map[string]any, goal plan.Goal) plan.Step {
	accepts := guard.Hub{Accepts: map[guard.Cred]guard.Tri{state.None: guard.Yes}}
	for c := range f.Hub.Accepts.Accepts {
		accepts.Accepts[c] = guard.Yes
	}
	conditions := reconnects(f, state.None)
	if covered(f.Hub.Declared, original) { // by an earlier run, and zones may have connected again since
		conditions = stayConnected(f, state.None, " is connected")
	}
	return byHand(f.Hub, plan.Step{ID: "open", Kind: "open", Member: "hub", Verb: "authenticate nobody",
		Title:   "hub: authenticate nobody again",
		Why:     "it did not before the migration, and zones that go back present nothing",
		WayBack: "none needed: it only accepts more",
		NoUndo:  true, KeepsOriginal: true, Timeout: goal.Within, Accepts: &accepts,
		Writes: []plan.Write{{Context: f.Hub.Context, Cluster: f.Hub.ClusterUID, Object: f.Hub.Object, ListsByName: true,
			Before: f.Hub.Declared, After: original}},
		Conditions: append([]plan.Condition{globalAuthenticates(false)}, conditions...),
		Effect:     hubAccepts(&accepts, func(h *plan.Hub) { h.Declared = original })})
}

// authenticateWrite has the global authenticate its zones, by the newest variable that its version takes.
func authenticateWrite(f plan.State) plan.Write {
	before := f.Hub.Declared
	container, names := state.ContainerAndNames(before)
	var after []any
	for _, name := range names {
		e := map[string]any{"name": name, "value": nil, "valueFrom": nil}
		for _, env := range []zonetoken.Environment{zonetoken.NewNames, zonetoken.OldNames} {
			if env.GlobalType == name && name == newest(names) {
				e["value"] = env.GlobalOn
			}
		}
		after = append(after, e)
	}
	return plan.Write{Context: f.Hub.Context, Cluster: f.Hub.ClusterUID, Object: f.Hub.Object, ListsByName: true,
		Before: before, After: state.Environment(container, after)}
}

// newest is the name to write of those that a global's version takes.
func newest(names []string) string {
	if slices.Contains(names, zonetoken.NewNames.GlobalType) {
		return zonetoken.NewNames.GlobalType
	}
	return zonetoken.OldNames.GlobalType
}

// globalAuthenticates wants every process of the global to authenticate zones, or none to.
func globalAuthenticates(on bool) plan.Condition {
	text := "no pod of the global authenticates zones any more"
	if on {
		text = "every pod of the global authenticates zones, and none is older"
	}
	return plan.Condition{Kind: "global", Member: "hub", Text: text,
		Moves: func(r plan.Read) bool { return state.Rollouts(r) || r.Asked != "" },
		Met: ofHub(func(_, now plan.State) plan.Evaluation {
			h, want := now.Hub, guard.Yes
			if on {
				want = guard.No
			}
			noun := "pod"
			if outside(h) {
				noun = "address"
			}
			pods := count(len(h.Workload.Processes), noun)
			switch {
			case h.Workload.Err != "":
				return plan.Evaluation{Evidence: h.Workload.Err}
			case len(h.Anomalies) > 0:
				return plan.Evaluation{Evidence: h.Anomalies[0]}
			case h.Accepts.Accepts[state.None] != want:
				return plan.Evaluation{Evidence: "not every pod of the global is as its Deployment says"}
			case !h.Workload.Settled:
				return plan.Evaluation{Evidence: "the rollout of the global is not over"}
			case on:
				return plan.Evaluation{Met: true, Evidence: fmt.Sprintf("%s of the global, authenticating zones", pods)}
			}
			return plan.Evaluation{Met: true, Evidence: fmt.Sprintf("%s of the global, authenticating nobody", pods)}
		})}
}
