package migration

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/state"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Provider is Kong Mesh 2.0 and newer, and Kuma 3.0 and newer.
func Provider() plan.Provider {
	return plan.Provider{Name: state.Name, Detects: state.Detects, Reads: state.Reads, Trim: state.Trim,
		ReadState: state.ReadState, Complete: complete,
		Next:   func(f plan.State, g plan.Goal) plan.Wave { return f.HoldWhilePaused(nextWave(f, g), f.Hub.Object.Name) },
		Verify: verifyStep, InstallFence: noFenceStep, AllowsUndo: allowsUndo, CredentialAfter: credentialAfter,
		Converged: converged, RemoveFence: func(plan.State, plan.Member) []plan.Write { return nil }}
}

// validFor is how long a token is valid that is made on the way (the product's page issues for 720 hours).
const validFor = 30 * 24 * time.Hour

// complete has every zone present a token of the newest key; for a rotation of one more key, unless there are two
// already, or a rotation was begun: then that one is gone on with. To take a rotation back, of the key before the
// newest.
func complete(f plan.State, g plan.Goal) plan.Goal {
	g.ValidFor = cmp.Or(g.ValidFor, validFor)
	if g.To != "" || !f.Hub.Found || g.Back && !g.Rotate {
		return g
	}
	usable := slices.DeleteFunc(slices.Clone(f.Hub.Keys), func(k plan.Key) bool { return k.Wrong != "" || k.ID == "" })
	highest := 0
	for _, k := range f.Hub.Keys {
		highest = max(highest, k.Serial)
	}
	if g.Back {
		if n := len(usable); n > 0 {
			g.To = state.Kid(usable[max(0, n-2)].ID)
		}
		return g
	}
	kid := strconv.Itoa(highest + 1)
	if len(usable) > 0 && (!g.Rotate || len(usable) > 1) {
		kid = usable[len(usable)-1].ID
	}
	if to, begun := unfinished(f.Hub); g.Rotate && begun {
		kid = to
	}
	g.To = state.Kid(kid)
	return g
}

// unfinished is the kid of the last rotation in the history, until its end was verified.
func unfinished(h plan.Hub) (kid string, begun bool) {
	for i := len(h.History) - 1; i >= 0; i-- {
		if h.History[i].Goal == plan.RotationBack {
			return "", false
		}
		to, ok := strings.CutPrefix(h.History[i].Goal, plan.RotationTo+"kid:")
		if !ok {
			continue
		}
		if n, err := strconv.Atoi(to); err != nil || strconv.Itoa(n) != to || n < max(highest(h), 1) || n > highest(h)+1 {
			return "", false // somebody has gone on since, or it is no serial that a rotation gives
		}
		return to, !reconnectedFor(h, plan.Goal{RotationTask: plan.RotationTask{Rotate: true}, To: state.Kid(to)})
	}
	return "", false
}

// allowsUndo says whether a patch is a way back that this provider writes down: the variables of one control plane
// that give a zone its token by reference to a secret, after which it presents from; or of a global that
// authenticates nobody, when it was turned on before. A journal is an object that others can write, and what it says
// is done with the rights of the user of the plugin.
func allowsUndo(f plan.State, p plan.Write, from guard.Cred) bool {
	if p.Op == plan.OpCreate || p.Op == plan.OpDelete || p.Op == plan.OpRestart || p.Op == plan.OpUpdateStatus ||
		p.Via != nil || p.BackupAs != "" || p.RestoreFrom != "" || p.SecretField != "" || !p.ListsByName ||
		p.Object.Resource != state.ControlPlanesRead.Resource {
		return false
	}
	m := memberOf(f, p)
	global := p.Object.UID != "" && p.Object.UID == f.Hub.Object.UID && p.Object.Name == f.Hub.Object.Name &&
		p.Object.Namespace == f.Hub.Object.Namespace
	want, _ := state.ContainerAndNames(f.Hub.Declared)
	switch {
	case m != nil:
		want, _ = state.ContainerAndNames(m.DeclaredFields)
	case !global: // a zone's that was made again or is gone, which the write will find
		if want = state.ContainerName; !slices.Contains([]string{"kong-mesh-control-plane", "kuma-control-plane"},
			p.Object.Name) {
			return false
		}
	}
	if !ours(p.After, want, global) {
		return false
	}
	for _, v := range []map[string]any{p.Before, p.SatisfiedBy} {
		if len(state.VariablesOf(v)) > 0 && !ours(v, want, global) {
			return false
		}
		if c, _ := state.ContainerAndNames(v); c != want && c != "" {
			return false
		}
	}
	if global {
		return from == "" && state.TurnedOn(state.VariablesOf(p.Before)) && !state.TurnedOn(state.VariablesOf(p.After))
	}
	return from != ""
}

// ours says whether a patch by name is of the variables of a container that are written, and of nothing else: of a
// global, or of a zone.
func ours(values map[string]any, container string, global bool) bool {
	all := state.VariablesOf(values)
	if c, _ := state.ContainerAndNames(values); c != container || len(all) == 0 {
		return false
	}
	return !slices.ContainsFunc(all, func(e map[string]any) bool {
		return !slices.Contains(state.AllNames(global), state.NameOf(e)) || !state.PlainReference(e, global)
	})
}

// credentialAfter is what a zone would present after a patch: of the token that it would refer to, as the global
// would judge it now.
func credentialAfter(f plan.State, p plan.Write) (cred guard.Cred, known bool) {
	m := memberOf(f, p)
	if m == nil || m.Err != "" {
		return "", false
	}
	cred = state.None
	for _, e := range state.VariablesOf(p.After) {
		from, _ := e["valueFrom"].(map[string]any)
		if ref, ok := from["secretKeyRef"].(map[string]any); ok {
			cred = m.Available[fmt.Sprintf("%v/%v", ref["name"], ref["key"])]
		}
		if path, _ := e["value"].(string); path != "" {
			if cred = ""; covered(p.After, m.Original) {
				cred = m.OriginalCredential
			}
		}
	}
	return cred, true
}

// memberOf is the zone whose Deployment a patch is of, nil when there is none.
func memberOf(f plan.State, p plan.Write) *plan.Member {
	for i, m := range f.Members {
		if o := m.Object; o.UID != "" && o.UID == p.Object.UID && o.Name == p.Object.Name &&
			o.Namespace == p.Object.Namespace {
			return &f.Members[i]
		}
	}
	return nil
}

// count is a number of things, in words.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// describe is a credential in words.
func describe(c guard.Cred) string {
	if kid := state.KidOf(c); kid != "" {
		return "a token of key " + kid
	}
	return "no token"
}
