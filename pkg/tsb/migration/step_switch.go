package migration

import (
	"encoding/base64"
	"slices"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/rollout"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// switchWave is the part of the way that edges go: one canary; the canary's token rotation, unless the goal is hasty;
// its connecting again after that; then the rest, in waves.
func switchWave(f plan.State, goal plan.Goal, v classified) (plan.Wave, bool) {
	v.switchable = onePublicTrust(v, goal)
	step := func(m plan.Member) plan.Step { return switchStep(f, m, goal) }
	switch {
	case len(v.switchable) == 0:
		return plan.Wave{}, false
	case len(v.verified) == 0:
		return rollout.Canary(f, "canary", v.switchable, v.obstacles, goal, step), true
	}
	seen := slices.ContainsFunc(v.verified, func(m *plan.Member) bool { return rotationSeen(*m, goal) })
	if !goal.HastyCanary && !seen {
		canary := v.verified[0]
		for _, m := range v.verified {
			if m.Name == goal.Canary {
				canary = m
			}
		}
		if why := rotationProblem(*canary, f.At, goal); why != "" {
			return plan.Wave{Obstacles: append(v.obstacles, plan.Obstacle{Member: canary.Name, Why: why})}, true
		}
		return plan.Wave{Title: "the canary's token rotation", Obstacles: v.obstacles,
			Steps: []plan.Step{awaitRotationStep(f, *canary, goal)}}, true
	}
	if w, any := reconnectWave(f, v, goal); any && !goal.HastyCanary {
		return w, true
	}
	w := rollout.Rest(v.switchable, goal, step)
	w.Obstacles = v.obstacles
	return w, true
}

// switchStep gives an edge what it lacks and sets its mode to JWT: credentials first, the mode last.
func switchStep(_ plan.State, m plan.Member, goal plan.Goal) plan.Step {
	s := plan.Step{ID: "move/" + m.Name, Kind: "move", Member: m.Name, Verb: "move to JWT",
		Title:      m.Name + ": present a JWT",
		Why:        "Central accepts both; this edge alone changes",
		Conditions: edgeConditions(m, state.JWT, goal.Soak), Timeout: goal.Within, RevertsTo: state.MTLS,
		KeepsOriginal: true, States: plan.StatesAnew,
		Effect: onMember(m.Name, func(m *plan.Member, f *plan.State) {
			presentsJWT(m, f, false)
			m.Fence = noFence(m)
			m.Rotation = plan.Rotation{At: f.At, Why: "its pods are yet to be started", Static: m.Rotation.Static}
		})}
	if goal.NoHub {
		s.Why = "this edge alone changes; that Central accepts both is the hub's team's word, and what the proof shows"
	}
	switch {
	case m.Trust.Public:
		s.Why += publicWhy
	case m.Trust.Absent:
		s.Writes = append(s.Writes, caSecret(m))
	}
	w := plan.Write{Context: m.Context, Cluster: m.ClusterUID, Object: m.Object,
		Before: modePatch(m.DeclaredFields["centralAuthMode"]), After: modePatch("JWT")}
	if m.Declared == "" && m.Effective == state.MTLS {
		w.UndoTo = modePatch("MUTUAL_TLS") // unset means different things in different versions: the undo is explicit
	}
	s.Writes = append(s.Writes, w)
	return s
}

// caSecret makes the secret with the CA with which a JWT edge verifies Central.
func caSecret(m plan.Member) plan.Write {
	ca := plan.Ref{Version: "v1", Resource: "secrets", Kind: "Secret", Namespace: m.Object.Namespace, Name: state.SecretCA}
	return plan.Write{Context: m.Context, Object: ca, Op: plan.OpCreate, After: map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
		"metadata": map[string]any{"name": state.SecretCA, "namespace": m.Object.Namespace},
		"data":     map[string]any{"ca.crt": base64.StdEncoding.EncodeToString(m.Trust.CA)},
	}}
}

func modePatch(v any) map[string]any {
	return nest(map[string]any{"centralAuthMode": v}, "spec", "components", "xcp")
}

// nest wraps m in the given keys, outermost first.
func nest(m map[string]any, path ...string) map[string]any {
	for i := len(path) - 1; i >= 0; i-- {
		m = map[string]any{path[i]: m}
	}
	return m
}

// onePublicTrust keeps of the edges that would move without a CA bundle only one, the named canary if it is one,
// until one such edge is verified: whether an edge starts without that secret is not documented.
func onePublicTrust(v classified, goal plan.Goal) []*plan.Member {
	for _, m := range v.verified {
		if m.Trust.Public {
			return v.switchable
		}
	}
	one := ""
	for _, m := range v.switchable {
		if m.Trust.Public && (one == "" || m.Name == goal.Canary) {
			one = m.Name
		}
	}
	if one == "" {
		return v.switchable
	}
	var kept []*plan.Member
	for _, m := range v.switchable {
		if !m.Trust.Public || m.Name == one {
			kept = append(kept, m)
		}
	}
	return kept
}

// publicWhy is the assumption on which an edge moves without a CA bundle.
const publicWhy = "; Central's certificate is signed by a CA that the system trusts on which this runs, so no secret " +
	state.SecretCA + " is made: that the edge trusts that CA too, and starts without the secret, is an assumption, which one edge tries first"
