package migration

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/state"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// stepReconnect is the ID of the step with which a rotation ends.
const stepReconnect = "reconnect"

// reconnectStep rolls the global out, unless that was done, so that no session goes on that began with a token of a
// retired key, and verifies every zone after that.
func reconnectStep(f plan.State, goal plan.Goal) plan.Step {
	why := restartedFor(goal)
	s := plan.Step{ID: stepReconnect, Kind: "restart", Member: "hub", Verb: "connect again",
		Title: "hub: have every zone connect again", Why: f.Hub.TokenChecks, Irreversible: true, Timeout: goal.Within,
		Effect: func(f *plan.State) {
			f.Hub.Workload.RestartedFor = why
			word := reconnectGoal(why)
			if outside(f.Hub) {
				word = goal.Word()
			}
			if goal := word; goal != "" {
				f.Hub.History = append(slices.Clone(f.Hub.History),
					plan.WaveRecord{Goal: goal, Steps: []string{stepReconnect}, Result: plan.ResultVerified})
			}
		}}
	if f.Hub.Workload.RestartedFor == why {
		s.Conditions = stayConnected(withoutCutOff(f, goal), goal.To, " is connected, with a token")
		return s
	}
	annotations := map[string]any{kube.RestartedFor: why}
	s.Writes = []plan.Write{{Context: f.Hub.Context, Cluster: f.Hub.ClusterUID, Object: f.Hub.Object, Op: plan.OpRestart,
		After: map[string]any{"spec": map[string]any{"template": map[string]any{
			"metadata": map[string]any{"annotations": annotations}}}}}}
	s.Conditions = reconnects(withoutCutOff(f, goal), goal.To)
	if !outside(f.Hub) { // of which it is not told since when its processes run
		s.Conditions = append([]plan.Condition{globalRestarted()}, s.Conditions...)
	}
	return byHand(f.Hub, s)
}

// withoutCutOff is the state without the zones that a revocation cuts off.
func withoutCutOff(f plan.State, goal plan.Goal) plan.State {
	if len(goal.Revoke) == 0 {
		return f
	}
	f.Members = slices.DeleteFunc(slices.Clone(f.Members), func(m plan.Member) bool { return holds(m, goal) })
	return f
}

// globalRestarted wants no process of the global to be older than the step.
func globalRestarted() plan.Condition {
	return plan.Condition{Kind: "restarted", Member: "hub", Text: "no older pod of the global is left",
		Moves: state.Rollouts,
		Met: ofHub(func(before, now plan.State) plan.Evaluation {
			return now.Hub.Workload.RolledOut(before.Hub.Workload, "the global", "the global")
		})}
}

// reconnectGoal is the word of the rotation that a restart ends, "" when it ends none.
func reconnectGoal(why string) string {
	kid, rotation := strings.CutPrefix(why, rotationPrefix)
	if !rotation {
		return ""
	}
	return plan.Goal{RotationTask: plan.RotationTask{Rotate: true}, To: state.Kid(kid)}.Word()
}

// reconnectedFor says whether every zone was verified to have connected again at the end of a rotation, or since a
// revocation.
func reconnectedFor(h plan.Hub, goal plan.Goal) bool {
	if len(goal.Revoke) > 0 && !outside(h) {
		return h.Workload.RestartedFor == restartedFor(goal)
	}
	return slices.ContainsFunc(h.History, func(p plan.WaveRecord) bool {
		return p.Goal == goal.Word() && p.Result == plan.ResultVerified && slices.Contains(p.Steps, stepReconnect)
	})
}

// rotationPrefix begins what a global is restarted for at the end of a rotation.
const rotationPrefix = "rotation-to-key-"

// restartedFor names what the global is rolled out for: the end of a rotation, or of a revocation.
func restartedFor(goal plan.Goal) string {
	if len(goal.Revoke) == 0 {
		return rotationPrefix + state.KidOf(goal.To)
	}
	ids := slices.Clone(goal.Revoke)
	slices.Sort(ids)
	h := fnv.New32a()
	h.Write([]byte(strings.Join(ids, ",")))
	return fmt.Sprintf("revocation-%08x", h.Sum32())
}
