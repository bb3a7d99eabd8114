package tsb

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

// next decides the next wave on the way from mutual TLS to JWTs:
//
//  1. nothing, when Central accepts JWTs alone and every edge presents one;
//  2. take back every statement in the roster that what is seen contradicts: the webhook believes it;
//  3. register the members in the roster, so that unknown is deniable;
//  4. both modes on, explicitly, in one write;
//  5. prove the edges that are set to JWT already;
//  6. move one canary, then all the rest;
//  7. prove MPC, which follows the hub's modes;
//  8. mTLS off, when every member there may be is proved.
//
// What cannot be moved is blocked with its remedy, and does not keep the others from moving.
func next(f plan.Facts, goal plan.Goal) plan.Wave {
	if stop := hubStops(f); len(stop) > 0 {
		return plan.Wave{Blocked: stop}
	}
	jwtOn, mtlsOn := f.Hub.Accepts.Accepts[JWT], f.Hub.Accepts.Accepts[MTLS]
	var unproved, movable []plan.Member
	var blocked []plan.Blocked
	proved, settled := 0, true // settled: every edge is set to JWT
	for _, m := range f.Members {
		switch {
		case m.Role != plan.RoleEdge:
		case m.Err != "":
			if !onlyJWT(m) {
				blocked = append(blocked, plan.Blocked{Member: m.Name, Why: m.Err})
				settled = false
			}
		case m.Declared == JWT && len(m.Odd) == 0:
			if m.Proved(JWT, f.At.Add(proofMargin)) {
				proved++
			} else {
				unproved = append(unproved, m)
			}
		default:
			settled = false
			if len(m.Blocked) > 0 {
				blocked = append(blocked, plan.Blocked{Member: m.Name, Why: strings.Join(m.Blocked, "; ")})
			} else {
				movable = append(movable, m)
			}
		}
	}
	for _, o := range f.Others {
		if o.State == "unreachable" {
			blocked = append(blocked, plan.Blocked{Member: "context " + o.Context, Why: o.Why + "; it may hold an edge: reach it, or leave it out with --contexts"})
			settled = false
		}
	}
	switch {
	case settled && jwtOn == guard.Yes && mtlsOn == guard.No:
		return plan.Wave{Blocked: notPresenting(unproved)}
	case len(contradicted(f)) > 0:
		return plan.Wave{Title: "take back what no longer holds", Steps: each(contradicted(f), func(m plan.Member) plan.Step { return void(f, m) })}
	case needsRegister(f):
		return register(f)
	case jwtOn != guard.Yes || (mtlsOn != guard.Yes && len(movable)+len(blocked) > 0):
		return plan.Wave{Title: "both modes on", Steps: []plan.Step{open(f, goal)}, Blocked: blocked}
	case len(unproved) > 0:
		return plan.Wave{Title: "prove what is set to JWT already", Steps: each(unproved, func(m plan.Member) plan.Step { return proveEdge(m, goal) }), Blocked: blocked}
	case len(movable) > 0 && proved == 0:
		canary, why := canaryOf(movable, goal)
		if why != "" {
			return plan.Wave{Blocked: append(blocked, plan.Blocked{Member: goal.Canary, Why: why})}
		}
		return plan.Wave{Title: "canary", Steps: []plan.Step{move(f, canary, goal)}, Blocked: blocked}
	case len(movable) > 0:
		return plan.Wave{Title: "the rest", Steps: each(movable, func(m plan.Member) plan.Step { return move(f, m, goal) }), Blocked: blocked}
	}
	if mpc := f.Member(mpcName); mpc != nil && len(blocked) == 0 && !mpc.Proved(JWT, f.At.Add(proofMargin)) {
		return plan.Wave{Title: "prove MPC", Steps: []plan.Step{proveMPC(*mpc, goal)}}
	}
	if len(blocked) > 0 {
		return plan.Wave{Blocked: blocked}
	}
	return plan.Wave{Title: "mTLS off", Steps: []plan.Step{closeMTLS(f, goal)}}
}

// proofMargin is how long a proof must still hold for a step to be planned on it: the webhook asks a little later.
const proofMargin = time.Minute

// contradicted lists the members of which the roster still states what their own objects and pods no longer show.
func contradicted(f plan.Facts) []plan.Member {
	var all []plan.Member
	for _, m := range f.Members {
		if st := m.Statement; m.Err == "" && st != nil && st.Void == "" && f.At.Before(st.Until) && !slices.Equal(st.Presents, m.Edge.Presents) {
			all = append(all, m)
		}
	}
	return all
}

// void takes back what the roster states of a member.
func void(f plan.Facts, m plan.Member) plan.Step {
	return plan.Step{ID: "void/" + m.Name, Kind: plan.Void, Member: m.Name, Title: m.Name + ": take its statement in the roster back",
		Why:    "it was proved, and what is seen now contradicts that (" + m.Edge.Why + "); the webhook would go on believing it",
		Writes: []plan.Patch{{Context: f.Hub.Context, Object: roster.Ref(m.Name), Status: true, After: roster.Void()}}, Keep: true}
}

// hubStops says why nothing at all can be planned.
func hubStops(f plan.Facts) []plan.Blocked {
	var why []string
	switch {
	case !f.Hub.Found:
		why = append(why, f.Hub.Err)
	case len(f.Hub.Odd) > 0:
		why = append(why, f.Hub.Odd...)
	case f.Hub.Owner != "":
		why = append(why, fmt.Sprintf("%s is kept by %s, which would put a change back; change spec.components.xcp.centralAuthModes there", f.Hub.Object, f.Hub.Owner))
	case f.Hub.Roster.Err != "":
		why = append(why, f.Hub.Roster.Err)
	}
	if len(why) == 0 {
		return nil
	}
	return []plan.Blocked{{Member: "hub", Why: strings.Join(why, "; ")}}
}

// onlyJWT says whether an edge that nothing reached is known, by its team's statement, to present a JWT and nothing else.
func onlyJWT(m plan.Member) bool { return len(m.Edge.Presents) == 1 && m.Edge.Presents[0] == JWT }

// notPresenting lists the edges that are set to JWT under a hub that takes nothing else, and yet present something else.
func notPresenting(unproved []plan.Member) []plan.Blocked {
	var b []plan.Blocked
	for _, m := range unproved {
		if !onlyJWT(m) {
			b = append(b, plan.Blocked{Member: m.Name, Why: "it is set to JWT but does not present one alone (" + m.Edge.Why + "); look at its pods with: kubectl get pods -n " + m.Object.Namespace + " --context " + m.Context})
		}
	}
	return b
}

func each(members []plan.Member, step func(plan.Member) plan.Step) []plan.Step {
	steps := make([]plan.Step, 0, len(members))
	for _, m := range members {
		steps = append(steps, step(m))
	}
	return steps
}

func canaryOf(movable []plan.Member, goal plan.Goal) (plan.Member, string) {
	if goal.Canary == "" {
		return movable[0], ""
	}
	for _, m := range movable {
		if m.Name == goal.Canary {
			return m, ""
		}
	}
	return plan.Member{}, "named as the canary, but it is no edge that can be moved now; name another with --canary"
}

func needsRegister(f plan.Facts) bool {
	if !f.Hub.Roster.Namespace || !f.Hub.Roster.Kind {
		return true
	}
	for _, m := range f.Members {
		if m.Err == "" && !m.Registered {
			return true
		}
	}
	return false
}

// register makes the roster and an entry for each member that was seen.
func register(f plan.Facts) plan.Wave {
	s := plan.Step{ID: "register", Kind: plan.Register, Member: "hub", Title: "hub: list the members in the roster",
		Why: "what the hub is not told of cannot be denied: the admission webhook decides from this list"}
	if !f.Hub.Roster.Namespace {
		s.Writes = append(s.Writes, plan.Patch{Context: f.Hub.Context, Create: true, Object: roster.NamespaceRef(), After: roster.NamespaceObject()})
	}
	if !f.Hub.Roster.Kind {
		s.Writes = append(s.Writes, plan.Patch{Context: f.Hub.Context, Create: true, Object: roster.CRDRef(), After: roster.CRDObject()})
	}
	for _, m := range f.Members {
		if m.Err == "" && !m.Registered {
			s.Writes = append(s.Writes, plan.Patch{Context: f.Hub.Context, Create: true, Object: roster.Ref(m.Name), After: roster.EntryObject(m)})
		}
	}
	return plan.Wave{Title: "register", Steps: []plan.Step{s}}
}

// modesPatch is a change of the hub's two modes, explicit on both.
func modesPatch(f plan.Facts, jwt, mtls bool) plan.Patch {
	stanza := func(m map[string]any) map[string]any {
		return nest(m, "spec", "components", "xcp", "centralAuthModes")
	}
	return plan.Patch{Context: f.Hub.Context, Object: f.Hub.Object,
		Before: stanza(f.Hub.Declared), After: stanza(map[string]any{"jwt": jwt, "mutualTls": mtls})}
}

func open(f plan.Facts, goal plan.Goal) plan.Step {
	return plan.Step{ID: "open", Kind: plan.Open, Member: "hub", Title: "hub: accept mutual TLS and JWT",
		Why:    "a JWT must be accepted before the first edge presents one, and a certificate until the last edge no longer does",
		Writes: []plan.Patch{modesPatch(f, true, true)}, Proof: hubProof(f), Within: goal.Within, Keep: true}
}

func closeMTLS(f plan.Facts, goal plan.Goal) plan.Step {
	return plan.Step{ID: "close", Kind: plan.Close, Member: "hub", Title: "hub: accept JWT alone",
		Why:    "every edge and MPC are proved to present a JWT and nothing else",
		Writes: []plan.Patch{modesPatch(f, true, false)}, Proof: hubProof(f), Within: goal.Within,
		Withdraws: &guard.Hub{Accepts: map[guard.Cred]guard.Tri{JWT: guard.Yes, MTLS: guard.No}}}
}

// hubProof is what must be seen after the hub's modes changed: Central runs with them, and everybody is still connected.
func hubProof(f plan.Facts) []plan.Claim {
	claims := []plan.Claim{{Kind: claimCentral, Member: "hub", Text: "Central runs with the new modes and no older pod of it is left"}}
	for _, m := range f.Members {
		switch {
		case m.Role == plan.RoleMPC:
			claims = append(claims, plan.Claim{Kind: claimMPC, Member: m.Name, Text: "MPC is connected"})
		case m.Err == "" && m.Workload.Found && m.Workload.Replicas > 0 && pushed(m) > 0:
			claims = append(claims, plan.Claim{Kind: claimPushes, Member: m.Name, Text: m.Name + " goes on pushing to Central"})
		}
	}
	return claims
}

// edgeProof is proof by elimination: told to, started so, nothing older left, and those very pods are connected.
func edgeProof(m plan.Member) []plan.Claim {
	return []plan.Claim{
		{Kind: claimTold, Member: m.Name, Text: "EdgeXcp says JWT"},
		{Kind: claimMounts, Member: m.Name, Text: "every edge pod mounts the token, none mounts " + secretEdgeCert + ", no older pod is left"},
		{Kind: claimPushes, Member: m.Name, Text: "those pods connected and pushed to Central twice after that"},
	}
}

func proveEdge(m plan.Member, goal plan.Goal) plan.Step {
	return plan.Step{ID: "prove/" + m.Name, Kind: plan.Prove, Member: m.Name, Title: m.Name + ": prove that it presents a JWT",
		Why: "it is set to JWT already; the last step needs it proved within the last 15 minutes", Proof: edgeProof(m), Within: goal.Within, Keep: true}
}

func proveMPC(m plan.Member, goal plan.Goal) plan.Step {
	return plan.Step{ID: "prove/" + m.Name, Kind: plan.Prove, Member: m.Name, Title: "mpc: prove that it no longer presents a certificate",
		Why: "MPC uses the hub's modes; while a pod of it mounts " + secretMPCCerts + " it may present it",
		Proof: []plan.Claim{
			{Kind: claimMPCMounts, Member: m.Name, Text: "no MPC pod mounts " + secretMPCCerts},
			{Kind: claimMPC, Member: m.Name, Text: "MPC is connected"},
		}, Within: goal.Within, Keep: true}
}

// move gives an edge the CA it lacks and sets its mode: credentials first, mode last.
func move(f plan.Facts, m plan.Member, goal plan.Goal) plan.Step {
	s := plan.Step{ID: "move/" + m.Name, Kind: plan.Move, Member: m.Name, Title: m.Name + ": present a JWT",
		Why: "Central accepts both; this edge alone changes", Proof: edgeProof(m), Within: goal.Within, From: MTLS}
	if m.Trust.Absent {
		ca := plan.Ref{Version: "v1", Resource: "secrets", Kind: "Secret", Namespace: m.Object.Namespace, Name: secretCA}
		s.Writes = append(s.Writes, plan.Patch{Context: m.Context, Object: ca, Create: true, After: map[string]any{
			"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
			"metadata": map[string]any{"name": secretCA, "namespace": m.Object.Namespace},
			"data":     map[string]any{"ca.crt": base64.StdEncoding.EncodeToString(f.Hub.CA)},
		}})
	}
	xcp := func(v any) map[string]any {
		return nest(map[string]any{"centralAuthMode": v}, "spec", "components", "xcp")
	}
	p := plan.Patch{Context: m.Context, Object: m.Object, Before: xcp(m.DeclaredFields["centralAuthMode"]), After: xcp("JWT")}
	if m.Declared == "" && m.Effective == MTLS {
		p.Back = xcp("MUTUAL_TLS") // unset means different things in different versions: the way back is explicit
	}
	s.Writes = append(s.Writes, p)
	return s
}

// nest wraps m in the given keys, outermost first.
func nest(m map[string]any, path ...string) map[string]any {
	for i := len(path) - 1; i >= 0; i-- {
		m = map[string]any{path[i]: m}
	}
	return m
}
