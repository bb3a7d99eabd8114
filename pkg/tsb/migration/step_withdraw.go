package migration

import (
	"fmt"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/rollout"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// withdrawWave ends with mTLS off: one token rotation seen of every edge, every edge fenced that can be, MPC verified,
// both hubs alike, then the withdrawing write.
func withdrawWave(f plan.State, goal plan.Goal, v classified) plan.Wave {
	var mpc []*plan.Member
	for _, name := range []string{state.MPCName, state.StandbyMPC} {
		if m := f.Member(name); m != nil && !m.Verified(state.JWT, f.At.Add(proofMargin)) {
			mpc = append(mpc, m)
		}
	}
	waiting, stuck := awaitingRotation(f, v, goal)
	switch v.obstacles = append(append(v.obstacles, stuck...), sessionsWithoutValidToken(f)...); {
	case len(waiting) > 0:
		return rotationWave(f, waiting, goal, v.obstacles)
	case len(v.obstacles) > 0:
		return plan.Wave{Obstacles: v.obstacles}
	}
	if w, any := reconnectWave(f, v, goal); any {
		return w
	}
	switch open := unfenced(v, goal); {
	case len(open) > 0:
		return fenceWave(open, goal, nil)
	case len(mpc) > 0:
		return plan.Wave{Title: "verify MPC",
			Steps: rollout.StepsFor(mpc, func(m plan.Member) plan.Step { return verifyMPCStep(m, goal) })}
	}
	if f.Standby != nil {
		if why := standbyMismatch(f.Hub, *f.Standby, v); why != "" {
			return plan.Wave{Obstacles: []plan.Obstacle{{Member: "standby", Why: why}}}
		}
	}
	w := plan.Wave{Title: "mTLS off"}
	all := hubs(f)
	for _, who := range hubNames {
		if h, there := all[who]; there && !AcceptsJWTOnly(h) {
			w.Steps = append(w.Steps, withdrawMTLSStep(f, who, h, goal))
		}
	}
	return w
}

// standbyMismatch says in what the standby differs from the hub so that edges could not fail over to it: who takes over
// must accept what is presented, under every name that is dialled.
func standbyMismatch(hub, standby plan.Hub, v classified) string {
	for _, c := range []guard.Cred{state.JWT, state.MTLS} {
		a, b := hub.Accepts.Accepts[c], standby.Accepts.Accepts[c]
		if a != b && !(c == state.MTLS && AcceptsJWTOnly(standby)) && !(c == state.MTLS && AcceptsJWTOnly(hub)) {
			return fmt.Sprintf("the hub accepts %s: %s, the standby: %s; they must be alike before mTLS goes off", c, a, b)
		}
	}
	if standby.Server.Err != "" {
		return standby.Server.Err
	}
	if lacks := state.NamesMissingFrom(standby.Server, v.dialled); len(lacks) > 0 {
		return fmt.Sprintf("its certificate (%s) lacks %s, which edges dial", standby.Server.Where, strings.Join(lacks, ", "))
	}
	return ""
}

// withdrawMTLSStep has a hub accept JWTs alone: the one step that can cut somebody off.
func withdrawMTLSStep(f plan.State, who string, h plan.Hub, goal plan.Goal) plan.Step {
	id, accepts := hubStepID("close", who), accepting(guard.Yes, guard.No)
	return plan.Step{ID: id, Kind: "close", Member: who, Verb: "mTLS off",
		Title:  who + ": accept JWT alone",
		Why:    "every edge and MPC are verified to present a JWT and nothing else" + unfencedRisk(f),
		Writes: []plan.Write{modesWrite(h, true, false)}, Conditions: hubConditions(f, who, goal), Timeout: goal.Within,
		KeepsOriginal: true, Withdraws: accepts, Accepts: accepts, Effect: hubAccepts(who, id, *accepts)}
}

// unfencedRisk tells which edges have no fence, and what that leaves.
func unfencedRisk(f plan.State) string {
	var names []string
	for _, m := range f.Members {
		if m.Role == plan.RoleEdge && !m.Fence.Verified {
			names = append(names, m.Name)
		}
	}
	if len(names) == 0 {
		return ", and their own clusters deny every edit that would change that"
	}
	slices.Sort(names)
	rest := ""
	if n := len(names) - 3; n > 0 {
		names, rest = names[:3], fmt.Sprintf(" and %d more", n)
	}
	return fmt.Sprintf("; without a fence (%s%s) somebody who edits the edge in the very moment of this write is not held up",
		strings.Join(names, ", "), rest)
}
