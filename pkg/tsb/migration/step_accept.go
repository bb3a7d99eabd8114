package migration

import (
	"fmt"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// acceptWave has the hubs accept both modes that do not surely do so, and verifies that Central runs with them. mTLS
// need not be accepted once nobody may present a certificate any more.
func acceptWave(f plan.State, goal plan.Goal, v classified) (plan.Wave, bool) {
	var accept, verify []plan.Step
	all := hubs(f)
	for _, who := range hubNames {
		h, there := all[who]
		if !there {
			continue
		}
		jwtOn, mtlsOn := h.Accepts.Accepts[state.JWT], h.Accepts.Accepts[state.MTLS]
		switch needed := len(v.switchable)+len(v.onMTLS) > 0 || !goal.Reaches(plan.JWTOnly); {
		case jwtOn != guard.Yes || (mtlsOn != guard.Yes && needed):
			accept = append(accept, acceptBothStep(f, who, h, goal))
		case !runsAsDeclared(h) && (len(v.switchable)+len(v.elsewhere) > 0 || !goal.Reaches(plan.Edges)):
			verify = append(verify, verifyHubStep(f, who, goal))
		}
	}
	switch {
	case len(accept) > 0:
		return plan.Wave{Title: "both modes on", Steps: accept, Obstacles: v.obstacles}, true
	case len(v.unverified) > 0 && goal.Reaches(plan.Edges):
		return verifyEdgesWave(v, goal), true
	case len(verify) > 0:
		return plan.Wave{Title: "verify both modes", Steps: verify, Obstacles: v.obstacles}, true
	}
	return plan.Wave{}, false
}

// acceptBothStep has a hub accept both modes, explicitly, in one write.
func acceptBothStep(f plan.State, who string, h plan.Hub, goal plan.Goal) plan.Step {
	why := "a JWT must be accepted before the first edge presents one, and a certificate until the last edge no longer does"
	if h.Accepts.Accepts[state.JWT] == guard.Yes {
		why = "the hub does not surely accept the certificates that some members still present, or will be moved from"
	}
	id, accepts := hubStepID("open", who), accepting(guard.Yes, guard.Yes)
	return plan.Step{ID: id, Kind: "open", Member: who, Verb: "both modes on",
		Title: who + ": accept mutual TLS and JWT", Why: why, WayBack: "none needed: it only accepts more",
		Writes: []plan.Write{modesWrite(h, true, true)}, Conditions: hubConditions(f, who, goal), Timeout: goal.Within,
		NoUndo: true, KeepsOriginal: true, Accepts: accepts, Effect: hubAccepts(who, id, *accepts)}
}

// verifyHubStep verifies that Central runs with the modes that are declared already: a run may have ended before it
// did.
func verifyHubStep(f plan.State, who string, goal plan.Goal) plan.Step {
	return plan.Step{ID: "prove/" + who, Kind: "prove", Member: who, Verb: "verify",
		Title:      who + ": verify that it runs with both modes",
		Why:        "both are declared, and Central's pods are older than that: it may not have taken them over yet",
		Conditions: hubConditions(f, who, goal), Timeout: goal.Within, NoUndo: true, Effect: hubVerified(who)}
}

// runsAsDeclared says whether Central is known to run with what is declared: that was verified in this run, or all its
// pods are newer than the declaration.
func runsAsDeclared(h plan.Hub) bool {
	return (h.VerifiedBasis != "" && h.VerifiedBasis == h.Accepts.Basis) || podsNewerThanModes(h)
}

// modesWrite changes both modes of a hub, explicitly.
func modesWrite(h plan.Hub, jwt, mtls bool) plan.Write {
	stanza := func(m map[string]any) map[string]any {
		return nest(m, "spec", "components", "xcp", "centralAuthModes")
	}
	return plan.Write{Context: h.Context, Cluster: h.ClusterUID, Object: h.Object,
		Before: stanza(h.Declared), After: stanza(map[string]any{"jwt": jwt, "mutualTls": mtls})}
}

// hubStepID is the ID of a hub's step: "open" of the hub, "open/standby" of the standby.
func hubStepID(kind plan.Kind, who string) string {
	if who == "hub" {
		return string(kind)
	}
	return string(kind) + "/" + who
}

func accepting(jwt, mtls guard.Tri) *guard.Hub {
	return &guard.Hub{Accepts: map[guard.Cred]guard.Tri{state.JWT: jwt, state.MTLS: mtls}}
}

// hubConditions verify a hub whose modes changed: Central runs with them, and everybody is still connected.
func hubConditions(f plan.State, who string, goal plan.Goal) []plan.Condition {
	all := []plan.Condition{centralRuns(who, goal)}
	if who != "hub" {
		return all // no edge is connected to it
	}
	return append(all, connectedConditions(f)...)
}

// centralRuns wants Central settled on pods of which none ran before the write; or, where no rollout comes, that
// Central has stayed settled for quietFor since the operator took the change over (CentralXcp moved), or for
// untakenFor. How often it is looked at makes that no shorter.
func centralRuns(who string, goal plan.Goal) plan.Condition {
	return plan.Condition{Kind: "central", Member: who,
		Text:  "Central runs with the new modes and no older pod of it is left",
		Moves: func(r plan.Read) bool { return state.Rollouts(r) || state.Modes(r) },
		Follow: func() plan.Judge {
			var q quiet
			return func(before, now plan.State) plan.Evaluation {
				q.see(hubs(now)[who], now.At)
				return centralRan(hubs(before)[who], hubs(now)[who], now.At.Sub(q.since), goal)
			}
		}}
}

// quiet is since when a settled Central has been seen to stay as it is.
type quiet struct {
	pods       string
	generation int64     // of CentralXcp
	since      time.Time // zero while it is not settled
}

// see adds an observation, made at a time.
func (q *quiet) see(h plan.Hub, at time.Time) {
	now := quiet{podSet(h.Workload), h.OperatorGeneration, q.since}
	switch {
	case !h.Workload.Settled:
		now.since = time.Time{}
	case now != *q || now.since.IsZero():
		now.since = at
	}
	*q = now
}

// centralRan evaluates centralRuns, by what was seen before the write, what is seen now, and for how long a settled
// Central has been so.
func centralRan(before, now plan.Hub, quiet time.Duration, goal plan.Goal) plan.Evaluation {
	switch {
	case now.Workload.Err != "":
		return plan.Evaluation{Evidence: now.Workload.Err}
	case !now.Workload.Settled:
		return plan.Evaluation{Evidence: "the rollout of Deployment central is not over"}
	}
	old := map[string]bool{}
	for _, p := range before.Workload.Processes {
		old[p.UID] = true
	}
	replaced := 0
	for _, p := range now.Workload.Processes {
		if !old[p.UID] {
			replaced++
		}
	}
	if podsNewerThanModes(now) || (replaced == len(now.Workload.Processes) && replaced > 0) {
		return plan.Evaluation{Met: true, Evidence: "Central was rolled out"}
	}
	if replaced > 0 {
		return plan.Evaluation{Evidence: "an older pod of Central is left"}
	}
	need, missing := quietFor(goal), "waiting for the rollout of Central"
	if before.Accepts.Basis != now.Accepts.Basis && now.OperatorGeneration <= before.OperatorGeneration {
		need, missing = untakenFor(goal), "waiting for CentralXcp to take the change over"
	}
	if quiet >= need {
		return plan.Evaluation{Met: true, Evidence: "Central stayed up without a rollout"}
	}
	return plan.Evaluation{Evidence: fmt.Sprintf("%s; if that does not come, Central must stay as it is for %s", missing,
		plan.Short(need))}
}
