package tsb

import (
	"fmt"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// next decides the next wave on the way from mutual TLS to JWTs:
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
func next(f plan.Facts, goal plan.Goal) plan.Wave {
	switch {
	case goal.Renew != nil:
		return renewals(f, goal)
	case goal.Back:
		return back(f, goal)
	case goal.NoHub:
		return alone(f, goal)
	}
	if stop := hubStops(f); len(stop) > 0 {
		return plan.Wave{Blocked: stop}
	}
	v := sortOut(f, goal)
	if stop := misfit(f, goal, v); len(stop) > 0 {
		return plan.Wave{Blocked: append(stop, v.blocked...)}
	}
	closed := closedHub(f.Hub) && (f.Standby == nil || closedHub(*f.Standby))
	old := oldFences(f, goal)
	if closed && len(v.movable) == 0 && len(v.onMTLS) == 0 {
		v.blocked = append(v.blocked, unverified(f, v.blocked)...)
	}
	switch {
	case closed && len(v.movable) == 0 && len(v.onMTLS) == 0 && len(old) > 0:
		return fencing(old, goal, v.blocked)
	case closed && len(v.movable) == 0 && len(v.onMTLS) == 0 && (len(v.blocked) > 0 || !goal.Cleanup):
		return plan.Wave{Blocked: v.blocked}
	case len(contradicted(f)) > 0:
		return plan.Wave{Title: "take back what no longer holds", Steps: each(contradicted(f), func(m plan.Member) plan.Step { return void(f, m) })}
	case closed && len(v.movable) == 0 && len(v.onMTLS) == 0:
		return clean(f, goal)
	case needsRegister(f):
		return register(f)
	}
	if w, any := provides(f, goal, v); any && goal.Reaches(plan.Edges) {
		return w
	}
	if w, any := certify(f, goal, v); any {
		return w
	}
	if w, any := opened(f, goal, v); any {
		return w
	}
	if !goal.Reaches(plan.Edges) {
		return plan.Wave{}
	}
	if w, any := moves(f, goal, v); any {
		return w
	}
	switch {
	case goal.Reaches(plan.JWTOnly):
		return closing(f, goal, v)
	case len(old) > 0:
		return fencing(old, goal, v.blocked)
	}
	return plan.Wave{Blocked: v.blocked}
}

func closedHub(h plan.Hub) bool {
	return h.Accepts.Accepts[JWT] == guard.Yes && h.Accepts.Accepts[MTLS] == guard.No
}

// hubs lists the hub, and the standby if there is one, by the names under which steps know them.
func hubs(f plan.Facts) map[string]plan.Hub {
	all := map[string]plan.Hub{"hub": f.Hub}
	if f.Standby != nil {
		all["standby"] = *f.Standby
	}
	return all
}

// hubNames are the names of hubs in the order in which they are changed when more is accepted: first who is not dialled.
var hubNames = []string{"standby", "hub"}

// opened opens the hubs that do not surely accept both, and proves that Central runs with both modes. mTLS need not be accepted once
// nobody may present a certificate any more.
func opened(f plan.Facts, goal plan.Goal, v sorted) (plan.Wave, bool) {
	var open_, prove []plan.Step
	all := hubs(f)
	for _, who := range hubNames {
		h, there := all[who]
		if !there {
			continue
		}
		jwtOn, mtlsOn := h.Accepts.Accepts[JWT], h.Accepts.Accepts[MTLS]
		switch needed := len(v.movable)+len(v.onMTLS) > 0 || !goal.Reaches(plan.JWTOnly); {
		case jwtOn != guard.Yes || (mtlsOn != guard.Yes && needed):
			open_ = append(open_, open(f, who, h, goal))
		case !vouched(h) && (len(v.movable) > 0 || !goal.Reaches(plan.Edges)):
			prove = append(prove, proveHub(f, who, goal))
		}
	}
	switch {
	case len(open_) > 0:
		return plan.Wave{Title: "both modes on", Steps: open_, Blocked: v.blocked}, true
	case len(v.unproved) > 0 && goal.Reaches(plan.Edges):
		return plan.Wave{Title: "prove what is set to JWT already", Steps: each(v.unproved, func(m plan.Member) plan.Step { return proveEdge(m, goal) }), Blocked: v.blocked}, true
	case len(prove) > 0:
		return plan.Wave{Title: "prove both modes", Steps: prove, Blocked: v.blocked}, true
	}
	return plan.Wave{}, false
}

// closing ends with mTLS off: one token rotation witnessed of every edge, every edge fenced in that can be, MPC proved, both hubs alike, then
// the withdrawing write.
func closing(f plan.Facts, goal plan.Goal, v sorted) plan.Wave {
	var mpc []plan.Member
	for _, name := range []string{mpcName, standbyMPC} {
		if m := f.Member(name); m != nil && !m.Proved(JWT, f.At.Add(proofMargin)) {
			mpc = append(mpc, *m)
		}
	}
	waiting, stuck := unwitnessed(f, v, goal)
	switch v.blocked = append(append(v.blocked, stuck...), dangling(f)...); {
	case len(waiting) > 0:
		return plan.Wave{Title: "token rotation", Steps: each(waiting, func(m plan.Member) plan.Step { return witness(f, m, goal) }), Blocked: v.blocked}
	case len(v.blocked) > 0:
		return plan.Wave{Blocked: v.blocked}
	}
	if w, any := redials(f, v, goal); any {
		return w
	}
	switch open := unfenced(v, goal); {
	case len(open) > 0:
		return fencing(open, goal, nil)
	case len(mpc) > 0:
		return plan.Wave{Title: "prove MPC", Steps: each(mpc, func(m plan.Member) plan.Step { return proveMPC(m, goal) })}
	}
	w := plan.Wave{Title: "mTLS off"}
	if f.Standby != nil {
		if why := unlike(f.Hub, *f.Standby, v); why != "" {
			return plan.Wave{Blocked: []plan.Blocked{{Member: "standby", Why: why}}}
		}
	}
	all := hubs(f)
	for _, who := range hubNames {
		if h, there := all[who]; there && !closedHub(h) {
			w.Steps = append(w.Steps, closeMTLS(f, who, h, goal))
		}
	}
	return w
}

// unlike says in what the standby differs from the hub so that edges could not fail over to it: who takes over must accept what
// is presented, under every name that is dialled.
func unlike(hub, standby plan.Hub, v sorted) string {
	for _, c := range []cred{JWT, MTLS} {
		if a, b := hub.Accepts.Accepts[c], standby.Accepts.Accepts[c]; a != b && !(c == MTLS && closedHub(standby)) && !(c == MTLS && closedHub(hub)) {
			return fmt.Sprintf("the hub accepts %s: %s, the standby: %s; they must be alike before mTLS goes off", c, a, b)
		}
	}
	if standby.Server.Err != "" {
		return standby.Server.Err
	}
	if lacks := lacking(standby.Server, v.dialled); len(lacks) > 0 {
		return fmt.Sprintf("its certificate (%s) lacks %s, which edges dial", standby.Server.Where, strings.Join(lacks, ", "))
	}
	return ""
}

// hubStops says why nothing at all can be planned.
func hubStops(f plan.Facts) []plan.Blocked {
	var stop []plan.Blocked
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
		case len(h.Odd) > 0:
			why = append(why, h.Odd...)
		case h.Owner != "":
			why = append(why, fmt.Sprintf("%s is kept by %s, which would put a change back; change spec.components.xcp.centralAuthModes there", h.Object, h.Owner))
		case h.Roster.Err != "" && who == "hub":
			why = append(why, h.Roster.Err)
		}
		if len(why) > 0 {
			stop = append(stop, plan.Blocked{Member: who, Why: strings.Join(why, "; ")})
		}
	}
	return stop
}

// vouched says whether Central is known to run with what is declared: it was proved in this run, or all its pods are newer
// than the declaration.
func vouched(h plan.Hub) bool {
	return (h.Vouched != "" && h.Vouched == h.Accepts.Basis) || newer(h)
}

// newer says whether all of Central's pods were made after what it accepts was declared.
func newer(h plan.Hub) bool {
	old := slices.ContainsFunc(h.Workload.Processes, func(p plan.Process) bool { return !p.Created.After(h.Since) })
	return !h.Since.IsZero() && h.Workload.Settled && !old
}

// contradicted lists the members of which the roster still states what their own objects and pods no longer show, or on the strength of a
// fence that is not there any more.
func contradicted(f plan.Facts) []plan.Member {
	var all []plan.Member
	for _, m := range f.Members {
		if st := m.Statement; m.Err == "" && st != nil && st.Void == "" && f.At.Before(st.Until) && (!slices.Equal(st.Presents, m.Edge.Presents) || st.Fence != "" && !m.Fence.Proved) {
			all = append(all, m)
		}
	}
	return all
}

func needsRegister(f plan.Facts) bool {
	if !f.Hub.Roster.Namespace || !f.Hub.Roster.Kind {
		return true
	}
	for _, m := range f.Members {
		if m.Err == "" && (!m.Registered || m.Outdated) {
			return true
		}
	}
	return false
}
