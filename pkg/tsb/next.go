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
//  5. prove the edges that are set to JWT already, and that Central runs with both modes;
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
	v := sortOut(f)
	mpc := f.Member(mpcName)
	closed := jwtOn == guard.Yes && mtlsOn == guard.No
	switch {
	case closed && len(v.movable) == 0 && len(v.onMTLS) == 0:
		return plan.Wave{Blocked: v.blocked}
	case len(contradicted(f)) > 0:
		return plan.Wave{Title: "take back what no longer holds", Steps: each(contradicted(f), func(m plan.Member) plan.Step { return void(f, m) })}
	case needsRegister(f):
		return register(f)
	case jwtOn != guard.Yes || (mtlsOn != guard.Yes && len(v.movable)+len(v.onMTLS) > 0):
		return plan.Wave{Title: "both modes on", Steps: []plan.Step{open(f, v, goal)}, Blocked: v.blocked}
	case len(v.unproved) > 0:
		return plan.Wave{Title: "prove what is set to JWT already", Steps: each(v.unproved, func(m plan.Member) plan.Step { return proveEdge(m, goal) }), Blocked: v.blocked}
	case len(v.movable) > 0 && !vouched(f.Hub):
		return plan.Wave{Title: "prove both modes", Steps: []plan.Step{proveHub(f, goal)}, Blocked: v.blocked}
	case len(v.movable) > 0 && v.proved == 0:
		canary, why := canaryOf(v.movable, goal)
		if why != "" {
			return plan.Wave{Blocked: append(v.blocked, plan.Blocked{Member: goal.Canary, Why: why})}
		}
		return plan.Wave{Title: "canary", Steps: []plan.Step{move(f, canary, goal)}, Blocked: v.blocked}
	case len(v.movable) > 0:
		return plan.Wave{Title: "the rest", Steps: each(v.movable, func(m plan.Member) plan.Step { return move(f, m, goal) }), Blocked: v.blocked}
	case mpc != nil && len(v.blocked) == 0 && !mpc.Proved(JWT, f.At.Add(proofMargin)):
		return plan.Wave{Title: "prove MPC", Steps: []plan.Step{proveMPC(*mpc, goal)}}
	case len(v.blocked) > 0:
		return plan.Wave{Blocked: v.blocked}
	}
	return plan.Wave{Title: "mTLS off", Steps: []plan.Step{closeMTLS(f, goal)}}
}

// sorted is the members by what can be done with them.
type sorted struct {
	movable  []plan.Member  // can be set to JWT now
	unproved []plan.Member  // are set to JWT, and not proved to present one
	onMTLS   []plan.Member  // are known to present a certificate
	blocked  []plan.Blocked // cannot be moved, or are not known to have been
	proved   int
}

func sortOut(f plan.Facts) sorted {
	var v sorted
	closed := f.Hub.Accepts.Accepts[JWT] == guard.Yes && f.Hub.Accepts.Accepts[MTLS] == guard.No
	block := func(name, why string) { v.blocked = append(v.blocked, plan.Blocked{Member: name, Why: why}) }
	for _, m := range f.Members {
		if slices.Contains(m.Edge.Presents, MTLS) && m.Role == plan.RoleEdge && m.Err == "" {
			v.onMTLS = append(v.onMTLS, m)
		}
		switch {
		case m.Role == plan.RoleMPC:
			if closed && slices.Contains(m.Edge.Presents, MTLS) {
				block(m.Name, "a pod of it presents a certificate, which the hub does not accept; look at its pods with: kubectl get pods -n "+m.Object.Namespace+" --context "+m.Context)
			}
		case m.Err != "":
			if !onlyJWT(m, f.At) {
				block(m.Name, m.Err)
			}
		case m.Declared == JWT && len(m.Odd) == 0 && m.Proved(JWT, f.At.Add(proofMargin)):
			v.proved++
		case m.Declared == JWT && len(m.Odd) == 0:
			v.unproved = append(v.unproved, m)
		case len(m.Blocked) > 0:
			block(m.Name, strings.Join(m.Blocked, "; "))
		default:
			v.movable = append(v.movable, m)
		}
	}
	for _, o := range f.Others {
		if o.State == "unreachable" {
			block("context "+o.Context, o.Why+"; it may hold an edge: reach it, or leave it out with --contexts")
		}
	}
	if f.Hub.InventoryErr != "" {
		block("hub", f.Hub.InventoryErr)
	}
	return v
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
func onlyJWT(m plan.Member, at time.Time) bool {
	return at.Before(m.Edge.Until) && slices.Equal(m.Edge.Presents, []cred{JWT})
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
		if m.Err == "" && (!m.Registered || m.Outdated) {
			return true
		}
	}
	return false
}

// register makes the roster and an entry for each member that was seen.
func register(f plan.Facts) plan.Wave {
	s := plan.Step{ID: "register", Kind: plan.Register, Member: "hub", Title: "hub: list the members in the roster",
		Why: "what the hub is not told of cannot be denied: the admission webhook decides from this list", Keep: true}
	if !f.Hub.Roster.Namespace {
		s.Writes = append(s.Writes, plan.Patch{Context: f.Hub.Context, Create: true, Object: roster.NamespaceRef(), After: roster.NamespaceObject()})
	}
	if !f.Hub.Roster.Kind {
		s.Writes = append(s.Writes, plan.Patch{Context: f.Hub.Context, Create: true, Object: roster.CRDRef(), After: roster.CRDObject()})
	}
	for _, m := range f.Members {
		switch {
		case m.Err != "":
		case !m.Registered:
			s.Writes = append(s.Writes, plan.Patch{Context: f.Hub.Context, Create: true, Object: roster.Ref(m.Name), After: roster.EntryObject(m)})
		case m.Outdated:
			s.Writes = append(s.Writes, plan.Patch{Context: f.Hub.Context, Object: roster.Ref(m.Name), After: roster.Renewal(m)})
		}
	}
	return plan.Wave{Title: "register", Steps: []plan.Step{s}}
}

// modesPatch is a change of the hub's two modes, explicit on both.
func modesPatch(f plan.Facts, jwt, mtls bool) plan.Patch {
	stanza := func(m map[string]any) map[string]any {
		return nest(m, "spec", "components", "xcp", "centralAuthModes")
	}
	return plan.Patch{Context: f.Hub.Context, Cluster: f.Hub.ClusterUID, Object: f.Hub.Object,
		Before: stanza(f.Hub.Declared), After: stanza(map[string]any{"jwt": jwt, "mutualTls": mtls})}
}

func open(f plan.Facts, v sorted, goal plan.Goal) plan.Step {
	why := "a JWT must be accepted before the first edge presents one, and a certificate until the last edge no longer does"
	if f.Hub.Accepts.Accepts[JWT] == guard.Yes {
		why = "the hub does not surely accept the certificates that some members still present, or will be moved from"
	}
	return plan.Step{ID: "open", Kind: plan.Open, Member: "hub", Title: "hub: accept mutual TLS and JWT", Why: why,
		Writes: []plan.Patch{modesPatch(f, true, true)}, Proof: hubProof(f), Within: goal.Within, Keep: true}
}

// proveHub proves that Central runs with both modes, which are declared already: a run may have ended before it did.
func proveHub(f plan.Facts, goal plan.Goal) plan.Step {
	return plan.Step{ID: "prove/hub", Kind: plan.Prove, Member: "hub", Title: "hub: prove that it runs with both modes",
		Why: "both are declared, and Central's pods are older than that: it may not have taken them over yet", Proof: hubProof(f), Within: goal.Within, Keep: true}
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
	p := plan.Patch{Context: m.Context, Cluster: m.ClusterUID, Object: m.Object, Before: xcp(m.DeclaredFields["centralAuthMode"]), After: xcp("JWT")}
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
