package migration

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/state"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// nextWave decides the next wave on the way to tokens:
//
//  1. a namespace for the journal;
//  2. a signing key, where there is none that the goal is about;
//  3. the zones: those that have a token already are proved, then one canary, then the rest in waves;
//  4. authentication on at the global, when every zone there may be presents a token: it withdraws None;
//  5. of a rotation: the older keys are retired, and every zone connects anew;
//  6. clean-up, when it was asked for.
//
// The goal's stage says how far that goes: dual is 2, edges is 3. What cannot be moved is blocked with its remedy, and does not keep the
// others from moving.
func nextWave(f plan.State, goal plan.Goal) plan.Wave {
	if stop := hubObstacles(f, goal); len(stop) > 0 {
		return plan.Wave{Obstacles: stop}
	}
	if goal.Renew != nil {
		return plan.Wave{Obstacles: []plan.Obstacle{{Member: "hub", Why: "the global control plane makes no token anew by itself, so deleting one would be an outage; issue another one for the zone instead"}}}
	}
	if !f.Hub.Roster.Namespace {
		return plan.Wave{Title: "register", Steps: []plan.Step{registerStep(f)}}
	}
	switch {
	case goal.Back && goal.Rotate:
		return undoRotationWave(f, goal)
	case goal.Back:
		return rollbackWave(f, goal)
	case len(goal.Revoke) > 0:
		return revokeWave(f, goal)
	case goal.Prune:
		return pruneWave(f, goal)
	}
	if f.Hub.SessionsUnclear != "" && goal.Reaches(plan.Edges) {
		return plan.Wave{Obstacles: []plan.Obstacle{{Member: "hub", Why: f.Hub.SessionsUnclear}}}
	}
	if kid := state.KidOf(goal.To); !hasKey(f.Hub, kid) {
		return plan.Wave{Title: "signing key", Steps: []plan.Step{addKeyStep(f, goal)}}
	}
	if !goal.Reaches(plan.Edges) {
		return plan.Wave{}
	}
	v := classify(f, goal)
	if w, any := switchWave(f, goal, v); any {
		return w
	}
	if !goal.Reaches(plan.JWTOnly) {
		return plan.Wave{Obstacles: v.obstacles, Notes: v.notes}
	}
	w := finalWave(f, goal, v)
	w.Notes = v.notes
	return w
}

// hubObstacles says why nothing at all can be planned.
func hubObstacles(f plan.State, goal plan.Goal) []plan.Obstacle {
	var why []string
	switch {
	case !f.Hub.Found:
		why = append(why, f.Hub.Err)
	case len(f.Hub.Anomalies) > 0:
		why = append(why, f.Hub.Anomalies...)
	case f.Hub.Owner != "":
		why = append(why, fmt.Sprintf("%s is kept by %s, which would put a change back; set its environment there", f.Hub.Object, f.Hub.Owner))
	case f.Hub.Roster.Err != "":
		why = append(why, f.Hub.Roster.Err)
	}
	if f.Hub.Found {
		for _, k := range f.Hub.Keys {
			if k.Wrong != "" {
				why = append(why, fmt.Sprintf("secret %s/%s: %s; mend or delete it first: a key that cannot be used may stop the sync to every zone, or sign tokens that nobody can verify", k.Object.Namespace, k.Object.Name, k.Wrong))
			}
		}
		if kid := state.KidOf(goal.To); !goal.Back && hasKey(f.Hub, kid) && serial(f.Hub, kid) < highest(f.Hub) {
			why = append(why, fmt.Sprintf("key %s is not the newest: the global signs with key %d, so name that or none", kid, highest(f.Hub)))
		}
		if len(state.VariablesOf(f.Hub.Declared)) == 0 {
			why = append(why, f.Hub.Version+" does not authenticate its zones, or its version is not known: there is no variable to set")
		}
	}
	if len(why) == 0 {
		return nil
	}
	return []plan.Obstacle{{Member: "hub", Why: strings.Join(why, "; ")}}
}

func serial(h plan.Hub, kid string) int {
	for _, k := range h.Keys {
		if k.ID == kid {
			return k.Serial
		}
	}
	return 0
}

func highest(h plan.Hub) int {
	n := 0
	for _, k := range h.Keys {
		n = max(n, k.Serial)
	}
	return n
}

// classified is the zones by what can be done with them.
type classified struct {
	switchable []plan.Member // can be given a token of the wanted key
	unverified []plan.Member // have one, and are not seen connected with one
	verified   []plan.Member
	obstacles  []plan.Obstacle
	notes      []plan.Obstacle
}

func classify(f plan.State, goal plan.Goal) classified {
	var v classified
	block := func(name, why string) { v.obstacles = append(v.obstacles, plan.Obstacle{Member: name, Why: why}) }
	for _, m := range f.Members {
		want := wanted(m, goal)
		has := hasToken(f, m, want)
		switch {
		case goal.Skipped(m.Name) != "":
			block(m.Name, "this run leaves it for the next: "+goal.Skipped(m.Name))
		case m.Err != "":
			block(m.Name, m.Err)
		case f.Hub.Inventory != nil && !slices.Contains(f.Hub.Inventory, m.ClusterName):
			block(m.Name, strings.Join(m.Obstacles, "; "))
		case m.Object.Name == "" && !has: // without a context
			block(m.Name, fmt.Sprintf("its token is of key %s, or expires soon; issue one (kubectl xcpauth token issue --help), start it with that, and hand it over with --zone-token %s=FILE", m.Credential.Key, m.ClusterName))
		case m.Object.Name == "":
			v.verified = append(v.verified, m)
		case has && isVerified(f, m, want):
			v.verified = append(v.verified, m)
		case has && len(m.Anomalies) == 0:
			v.unverified = append(v.unverified, m)
		case len(m.Obstacles) > 0:
			block(m.Name, strings.Join(m.Obstacles, "; "))
		case issuedBy(f.Hub, goal) != nil && f.Hub.API.Off != "":
			block(m.Name, f.Hub.API.Off+"; have the key itself sign its token: --tokens-from=key")
		default:
			v.switchable = append(v.switchable, m)
		}
		if m.HelmNote != "" && m.Err == "" {
			v.notes = append(v.notes, plan.Obstacle{Member: m.Name, Why: helmNote(m)})
		}
		if m.Trust.Why != "" && m.Err == "" {
			v.notes = append(v.notes, plan.Obstacle{Member: m.Name, Why: m.Trust.Why})
		}
	}
	for _, o := range f.Others {
		if o.State == "unreachable" {
			block("context "+o.Context, o.Why+"; it may hold a zone: reach it, or leave it out with --contexts")
		}
	}
	if f.Hub.InventoryErr != "" {
		block("hub", f.Hub.InventoryErr)
	}
	return v
}

// wanted is what a zone is to present: of a rotation a token of its key; else one of any key that the global takes will do.
func wanted(m plan.Member, goal plan.Goal) guard.Cred {
	if !goal.Rotate && len(goal.Revoke) == 0 && state.KidOf(m.Declared) != "" {
		return m.Declared
	}
	return goal.To
}

// helmNote says what the release must be told, since its next upgrade writes its own values.
func helmNote(m plan.Member) string {
	secret := m.Credential.Where
	if i := strings.Index(secret, "/"); i >= 0 {
		secret = secret[i+1:]
	}
	_, names := state.ContainerAndNames(m.DeclaredFields)
	if m.Declared == state.None || secret == "" {
		return fmt.Sprintf("Helm release %s writes its own values at its next upgrade; once the zone has a token, add it to controlPlane.secrets there", m.HelmNote)
	}
	return fmt.Sprintf("Helm release %s writes its own values at its next upgrade; set there controlPlane.secrets: [{Env: %s, Secret: %s, Key: %s}]", m.HelmNote, state.InlineName(names), secret, state.TokenKey)
}

// expiring says whether a token is to be renewed on the way: less than a day, or a tenth of the way's own, is left.
func expiring(c plan.Credential, at time.Time) bool {
	return !c.Expires.IsZero() && c.Expires.Before(at.Add(renewBefore))
}

// renewBefore is how long a token must still be valid for its zone to be left alone.
const renewBefore = 24 * time.Hour

// isVerified says whether a zone is seen to present the wanted token alone, and to be connected with one.
func isVerified(f plan.State, m plan.Member, want guard.Cred) bool {
	return presentsAlone(m, want) && m.Workload.Settled && state.BroughtTokens(state.OpenSessions(f.Hub, m.ClusterName))
}

// presentsAlone says whether all that a zone may present is tokens of the wanted key, or nothing where that is wanted.
func presentsAlone(m plan.Member, want guard.Cred) bool {
	return m.Evidence.Presents != nil && !slices.ContainsFunc(m.Evidence.Presents, func(c guard.Cred) bool { return c != want && !strings.HasPrefix(string(c), "jti:") })
}

// switchWave is the part of the way that zones go: those that have a token already, one canary, the rest in waves.
func switchWave(f plan.State, goal plan.Goal, v classified) (plan.Wave, bool) {
	w := plan.Wave{Obstacles: v.obstacles, Notes: v.notes}
	each := func(members []plan.Member, step func(plan.Member) plan.Step) {
		for _, m := range members {
			w.Steps = append(w.Steps, step(m))
		}
	}
	switch {
	case len(v.unverified) > 0:
		w.Title = "prove what has a token already"
		each(v.unverified, func(m plan.Member) plan.Step { return verifyStep(f, m, goal) })
	case len(v.switchable) == 0:
		return w, false
	case len(v.verified) == 0:
		canary, why := f.Canary(v.switchable, v.obstacles, goal)
		if why != "" {
			w.Obstacles = append(w.Obstacles, plan.Obstacle{Member: goal.Canary, Why: why})
			return w, true
		}
		w.Title = "canary"
		each([]plan.Member{canary}, func(m plan.Member) plan.Step { return switchStep(f, m, goal) })
	default:
		size := len(v.switchable)
		if w.Title = "the rest"; goal.WaveSize > 0 && goal.WaveSize < size {
			w.Title, size = fmt.Sprintf("%d of the remaining %d", goal.WaveSize, size), goal.WaveSize
		}
		each(v.switchable[:size], func(m plan.Member) plan.Step { return switchStep(f, m, goal) })
	}
	return w, true
}

// finalWave is what is done once every zone presents a token: authentication on; or of a rotation the end of the older keys.
func finalWave(f plan.State, goal plan.Goal, v classified) plan.Wave {
	if len(v.obstacles) > 0 {
		return plan.Wave{Obstacles: v.obstacles}
	}
	if !goal.Rotate && f.Hub.Accepts.Accepts[state.None] != guard.No {
		return plan.Wave{Title: "authentication on", Steps: []plan.Step{requireTokensStep(f, goal)}}
	}
	if goal.Rotate {
		var old []plan.Key
		for _, k := range f.Hub.Keys {
			if k.ID != state.KidOf(goal.To) {
				old = append(old, k)
			}
		}
		switch {
		case len(old) > 0 && !goal.Others && len(unseen(f)) > 0:
			return plan.Wave{Obstacles: []plan.Obstacle{{Member: "hub", Why: unseenProxies(f) + ", or leave the older keys with --keep-old"}}}
		case len(old) > 0:
			return plan.Wave{Title: "retire the older keys", Steps: []plan.Step{retireStep(f, old, goal)}}
		case !reconnectedFor(f.Hub, goal):
			return plan.Wave{Title: "every zone connects anew", Steps: []plan.Step{reconnectStep(f, goal)}}
		}
	}
	if goal.Cleanup {
		return cleanUpWave(f, goal)
	}
	return plan.Wave{}
}

// unseen are the zones without a context, whose zone proxies may present tokens of any key: on Kubernetes they have service accounts (the
// product's page on zone proxy authentication).
func unseen(f plan.State) []string {
	var names []string
	for _, m := range f.Members {
		if m.Object.Name == "" {
			names = append(names, m.Name)
		}
	}
	return names
}

// unseenProxies says who else may present a token of any key.
func unseenProxies(f plan.State) string {
	return fmt.Sprintf("zone %s runs outside of Kubernetes, where zone proxies (ingress, egress) have tokens of the same keys, which are not seen; give them new ones, then pass --proxies-renewed", strings.Join(unseen(f), ", "))
}
