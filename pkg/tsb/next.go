package tsb

import (
	"fmt"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// nextWave decides the next wave on the way from mutual TLS to JWTs:
//
//  1. take back every statement in the roster that what is seen contradicts: the webhook believes it;
//  2. register the members in the roster, so that unknown is deniable;
//  3. what edges lack, from outside, when the goal says where it comes from (see provides);
//  4. Central's certificate: every name that an edge dials, rehearsed, re-issued, served by every pod of Central;
//  5. both modes on, explicitly, in one write, and Central proved to run with them;
//  6. the edges (see moves): those set to JWT already are proved, then one canary, its token rotation, its connecting again after that,
//     then the rest in waves;
//  7. one token rotation of every edge, and MPC, which follows the hub's modes, proved;
//  8. a fence around every edge, where its cluster can have one;
//  9. mTLS off, when every member there may be is proved;
//  10. clean-up, when it was asked for.
//
// The goal's stage says how far that goes. What cannot be moved is blocked with its remedy, and does not keep the
// others from moving. A hub that accepts JWTs alone, with every edge presenting one, is left alone but for the
// clean-up, and for fences of another release, which are replaced.
func nextWave(f plan.State, goal plan.Goal) plan.Wave {
	switch {
	case goal.Renew != nil:
		return rotateTokenWave(f, goal)
	case goal.Back:
		return rollbackWave(f, goal)
	case goal.NoHub:
		return noHubWave(f, goal)
	}
	if stop := hubObstacles(f); len(stop) > 0 {
		return plan.Wave{Obstacles: stop}
	}
	v := classify(f, goal)
	if stop := pairProblem(f, goal, v); len(stop) > 0 {
		return plan.Wave{Obstacles: append(stop, v.obstacles...)}
	}
	closed := acceptsJWTOnly(f.Hub) && (f.Standby == nil || acceptsJWTOnly(*f.Standby))
	old := oldFences(f, goal)
	if closed && len(v.switchable) == 0 && len(v.onMTLS) == 0 {
		v.obstacles = append(v.obstacles, unverified(f, v.obstacles)...)
	}
	switch {
	case closed && len(v.switchable) == 0 && len(v.onMTLS) == 0 && len(old) > 0:
		return fenceWave(old, goal, v.obstacles)
	case closed && len(v.switchable) == 0 && len(v.onMTLS) == 0 && (len(v.obstacles) > 0 || !goal.Cleanup):
		return plan.Wave{Obstacles: v.obstacles}
	case len(staleStatements(f)) > 0:
		return plan.Wave{Title: "take back what no longer holds", Steps: stepsFor(staleStatements(f), func(m plan.Member) plan.Step { return retractStatementStep(f, m) })}
	case closed && len(v.switchable) == 0 && len(v.onMTLS) == 0:
		return cleanUpWave(f, goal)
	case needsRegister(f):
		return registerWave(f)
	}
	if w, any := supplyWave(f, goal, v); any && goal.Reaches(plan.Edges) {
		return w
	}
	if w, any := certificateWave(f, goal, v); any {
		return w
	}
	if w, any := acceptWave(f, goal, v); any {
		return w
	}
	if !goal.Reaches(plan.Edges) {
		return plan.Wave{}
	}
	if w, any := switchWave(f, goal, v); any {
		return w
	}
	switch {
	case goal.Reaches(plan.JWTOnly):
		return withdrawWave(f, goal, v)
	case len(old) > 0:
		return fenceWave(old, goal, v.obstacles)
	}
	return plan.Wave{Obstacles: v.obstacles}
}

func acceptsJWTOnly(h plan.Hub) bool {
	return h.Accepts.Accepts[JWT] == guard.Yes && h.Accepts.Accepts[MTLS] == guard.No
}

// hubs lists the hub, and the standby if there is one, by the names under which steps know them.
func hubs(f plan.State) map[string]plan.Hub {
	all := map[string]plan.Hub{"hub": f.Hub}
	if f.Standby != nil {
		all["standby"] = *f.Standby
	}
	return all
}

// hubNames are the names of hubs in the order in which they are changed when more is accepted: first who is not dialled.
var hubNames = []string{"standby", "hub"}

// acceptWave opens the hubs that do not surely accept both, and proves that Central runs with both modes. mTLS need not be accepted once
// nobody may present a certificate any more.
func acceptWave(f plan.State, goal plan.Goal, v classified) (plan.Wave, bool) {
	var open_, prove []plan.Step
	all := hubs(f)
	for _, who := range hubNames {
		h, there := all[who]
		if !there {
			continue
		}
		jwtOn, mtlsOn := h.Accepts.Accepts[JWT], h.Accepts.Accepts[MTLS]
		switch needed := len(v.switchable)+len(v.onMTLS) > 0 || !goal.Reaches(plan.JWTOnly); {
		case jwtOn != guard.Yes || (mtlsOn != guard.Yes && needed):
			open_ = append(open_, acceptBothStep(f, who, h, goal))
		case !runsAsDeclared(h) && (len(v.switchable) > 0 || !goal.Reaches(plan.Edges)):
			prove = append(prove, verifyHubStep(f, who, goal))
		}
	}
	switch {
	case len(open_) > 0:
		return plan.Wave{Title: "both modes on", Steps: open_, Obstacles: v.obstacles}, true
	case len(v.unverified) > 0 && goal.Reaches(plan.Edges):
		return plan.Wave{Title: "prove what is set to JWT already", Steps: stepsFor(v.unverified, func(m plan.Member) plan.Step { return verifyEdgeStep(m, goal) }), Obstacles: v.obstacles}, true
	case len(prove) > 0:
		return plan.Wave{Title: "prove both modes", Steps: prove, Obstacles: v.obstacles}, true
	}
	return plan.Wave{}, false
}

// withdrawWave ends with mTLS off: one token rotation witnessed of every edge, every edge fenced in that can be, MPC proved, both hubs alike, then
// the withdrawing write.
func withdrawWave(f plan.State, goal plan.Goal, v classified) plan.Wave {
	var mpc []plan.Member
	for _, name := range []string{mpcName, standbyMPC} {
		if m := f.Member(name); m != nil && !m.Verified(JWT, f.At.Add(proofMargin)) {
			mpc = append(mpc, *m)
		}
	}
	waiting, stuck := awaitingRotation(f, v, goal)
	switch v.obstacles = append(append(v.obstacles, stuck...), sessionsWithoutValidToken(f)...); {
	case len(waiting) > 0:
		return plan.Wave{Title: "token rotation", Steps: stepsFor(waiting, func(m plan.Member) plan.Step { return awaitRotationStep(f, m, goal) }), Obstacles: v.obstacles}
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
		return plan.Wave{Title: "prove MPC", Steps: stepsFor(mpc, func(m plan.Member) plan.Step { return verifyMPCStep(m, goal) })}
	}
	w := plan.Wave{Title: "mTLS off"}
	if f.Standby != nil {
		if why := standbyMismatch(f.Hub, *f.Standby, v); why != "" {
			return plan.Wave{Obstacles: []plan.Obstacle{{Member: "standby", Why: why}}}
		}
	}
	all := hubs(f)
	for _, who := range hubNames {
		if h, there := all[who]; there && !acceptsJWTOnly(h) {
			w.Steps = append(w.Steps, withdrawMTLSStep(f, who, h, goal))
		}
	}
	return w
}

// standbyMismatch says in what the standby differs from the hub so that edges could not fail over to it: who takes over must accept what
// is presented, under every name that is dialled.
func standbyMismatch(hub, standby plan.Hub, v classified) string {
	for _, c := range []cred{JWT, MTLS} {
		if a, b := hub.Accepts.Accepts[c], standby.Accepts.Accepts[c]; a != b && !(c == MTLS && acceptsJWTOnly(standby)) && !(c == MTLS && acceptsJWTOnly(hub)) {
			return fmt.Sprintf("the hub accepts %s: %s, the standby: %s; they must be alike before mTLS goes off", c, a, b)
		}
	}
	if standby.Server.Err != "" {
		return standby.Server.Err
	}
	if lacks := namesMissingFrom(standby.Server, v.dialled); len(lacks) > 0 {
		return fmt.Sprintf("its certificate (%s) lacks %s, which edges dial", standby.Server.Where, strings.Join(lacks, ", "))
	}
	return ""
}

// hubObstacles says why nothing at all can be planned.
func hubObstacles(f plan.State) []plan.Obstacle {
	var stop []plan.Obstacle
	all := hubs(f)
	for _, who := range []string{"hub", "standby"} {
		h, there := all[who]
		if !there {
			continue
		}
		var why []string
		switch {
		case !h.Found:
			why = append(why, h.Err)
		case len(h.Anomalies) > 0:
			why = append(why, h.Anomalies...)
		case h.Owner != "":
			why = append(why, fmt.Sprintf("%s is kept by %s, which would put a change back; change spec.components.xcp.centralAuthModes there", h.Object, h.Owner))
		case h.Roster.Err != "" && who == "hub":
			why = append(why, h.Roster.Err)
		}
		if len(why) > 0 {
			stop = append(stop, plan.Obstacle{Member: who, Why: strings.Join(why, "; ")})
		}
	}
	return stop
}

// runsAsDeclared says whether Central is known to run with what is declared: it was proved in this run, or all its pods are newer
// than the declaration.
func runsAsDeclared(h plan.Hub) bool {
	return (h.VerifiedBasis != "" && h.VerifiedBasis == h.Accepts.Basis) || podsNewerThanModes(h)
}

// podsNewerThanModes says whether all of Central's pods were made after what it accepts was declared.
func podsNewerThanModes(h plan.Hub) bool {
	old := slices.ContainsFunc(h.Workload.Processes, func(p plan.Process) bool { return !p.Created.After(h.Since) })
	return !h.Since.IsZero() && h.Workload.Settled && !old
}

// staleStatements lists the members of which the roster still states what their own objects and pods no longer show, or on the strength of a
// fence that is not there any more.
func staleStatements(f plan.State) []plan.Member {
	var all []plan.Member
	for _, m := range f.Members {
		if st := m.Statement; m.Err == "" && st != nil && st.Invalid == "" && f.At.Before(st.Until) && (!slices.Equal(st.Presents, m.Evidence.Presents) || st.Fence != "" && !m.Fence.Verified) {
			all = append(all, m)
		}
	}
	return all
}

func needsRegister(f plan.State) bool {
	if !f.Hub.Roster.Namespace || !f.Hub.Roster.Kind {
		return true
	}
	for _, m := range f.Members {
		if m.Err == "" && (!m.Registered || m.EntryStale) {
			return true
		}
	}
	return false
}
