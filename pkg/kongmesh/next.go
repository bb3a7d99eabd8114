package kongmesh

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// next decides the next wave on the way to tokens:
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
func next(f plan.Facts, goal plan.Goal) plan.Wave {
	if stop := stops(f, goal); len(stop) > 0 {
		return plan.Wave{Blocked: stop}
	}
	if goal.Renew != nil {
		return plan.Wave{Blocked: []plan.Blocked{{Member: "hub", Why: "the global control plane makes no token anew by itself, so deleting one would be an outage; issue another one for the zone instead"}}}
	}
	if !f.Hub.Roster.Namespace {
		return plan.Wave{Title: "register", Steps: []plan.Step{register(f)}}
	}
	switch {
	case goal.Back && goal.Rotate:
		return unrotates(f, goal)
	case goal.Back:
		return back(f, goal)
	case len(goal.Revoke) > 0:
		return revokes(f, goal)
	case goal.Prune:
		return prunes(f, goal)
	}
	if f.Hub.Untold != "" && goal.Reaches(plan.Edges) {
		return plan.Wave{Blocked: []plan.Blocked{{Member: "hub", Why: f.Hub.Untold}}}
	}
	if kid := kidOf(goal.To); !hasKey(f.Hub, kid) {
		return plan.Wave{Title: "signing key", Steps: []plan.Step{addKey(f, goal)}}
	}
	if !goal.Reaches(plan.Edges) {
		return plan.Wave{}
	}
	v := sortOut(f, goal)
	if w, any := moves(f, goal, v); any {
		return w
	}
	if !goal.Reaches(plan.JWTOnly) {
		return plan.Wave{Blocked: v.blocked, Notes: v.notes}
	}
	w := ends(f, goal, v)
	w.Notes = v.notes
	return w
}

// stops says why nothing at all can be planned.
func stops(f plan.Facts, goal plan.Goal) []plan.Blocked {
	var why []string
	switch {
	case !f.Hub.Found:
		why = append(why, f.Hub.Err)
	case len(f.Hub.Odd) > 0:
		why = append(why, f.Hub.Odd...)
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
		if kid := kidOf(goal.To); !goal.Back && hasKey(f.Hub, kid) && serial(f.Hub, kid) < highest(f.Hub) {
			why = append(why, fmt.Sprintf("key %s is not the newest: the global signs with key %d, so name that or none", kid, highest(f.Hub)))
		}
		if len(variablesOf(f.Hub.Declared)) == 0 {
			why = append(why, f.Hub.Version+" does not authenticate its zones, or its version is not known: there is no variable to set")
		}
	}
	if len(why) == 0 {
		return nil
	}
	return []plan.Blocked{{Member: "hub", Why: strings.Join(why, "; ")}}
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

// sorted is the zones by what can be done with them.
type sorted struct {
	movable  []plan.Member // can be given a token of the wanted key
	unproved []plan.Member // have one, and are not seen connected with one
	proved   []plan.Member
	blocked  []plan.Blocked
	notes    []plan.Blocked
}

func sortOut(f plan.Facts, goal plan.Goal) sorted {
	var v sorted
	block := func(name, why string) { v.blocked = append(v.blocked, plan.Blocked{Member: name, Why: why}) }
	for _, m := range f.Members {
		want := wanted(m, goal)
		has := hasToken(f, m, want)
		switch {
		case goal.Skipped(m.Name) != "":
			block(m.Name, "this run leaves it for the next: "+goal.Skipped(m.Name))
		case m.Err != "":
			block(m.Name, m.Err)
		case f.Hub.Inventory != nil && !slices.Contains(f.Hub.Inventory, m.ClusterName):
			block(m.Name, strings.Join(m.Blocked, "; "))
		case m.Object.Name == "" && !has: // without a context
			block(m.Name, fmt.Sprintf("its token is of key %s, or expires soon; issue one (kubectl xcpauth token issue --help), start it with that, and hand it over with --zone-token %s=FILE", m.Credential.Key, m.ClusterName))
		case m.Object.Name == "":
			v.proved = append(v.proved, m)
		case has && proved(f, m, want):
			v.proved = append(v.proved, m)
		case has && len(m.Odd) == 0:
			v.unproved = append(v.unproved, m)
		case len(m.Blocked) > 0:
			block(m.Name, strings.Join(m.Blocked, "; "))
		case issuedBy(f.Hub, goal) != nil && f.Hub.API.Off != "":
			block(m.Name, f.Hub.API.Off+"; have the key itself sign its token: --tokens-from=key")
		default:
			v.movable = append(v.movable, m)
		}
		if m.HelmNote != "" && m.Err == "" {
			v.notes = append(v.notes, plan.Blocked{Member: m.Name, Why: helmNote(m)})
		}
		if m.Trust.Why != "" && m.Err == "" {
			v.notes = append(v.notes, plan.Blocked{Member: m.Name, Why: m.Trust.Why})
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
	if !goal.Rotate && len(goal.Revoke) == 0 && kidOf(m.Declared) != "" {
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
	_, names := containerAndNames(m.DeclaredFields)
	if m.Declared == None || secret == "" {
		return fmt.Sprintf("Helm release %s writes its own values at its next upgrade; once the zone has a token, add it to controlPlane.secrets there", m.HelmNote)
	}
	return fmt.Sprintf("Helm release %s writes its own values at its next upgrade; set there controlPlane.secrets: [{Env: %s, Secret: %s, Key: %s}]", m.HelmNote, inlineName(names), secret, TokenKey)
}

// expiring says whether a token is to be renewed on the way: less than a day, or a tenth of the way's own, is left.
func expiring(c plan.Credential, at time.Time) bool {
	return !c.Expires.IsZero() && c.Expires.Before(at.Add(renewBefore))
}

// renewBefore is how long a token must still be valid for its zone to be left alone.
const renewBefore = 24 * time.Hour

// proved says whether a zone is seen to present the wanted token alone, and to be connected with one.
func proved(f plan.Facts, m plan.Member, want guard.Cred) bool {
	return presentsAlone(m, want) && m.Workload.Settled && broughtTokens(openSessions(f.Hub, m.ClusterName))
}

// presentsAlone says whether all that a zone may present is tokens of the wanted key, or nothing where that is wanted.
func presentsAlone(m plan.Member, want guard.Cred) bool {
	return m.Edge.Presents != nil && !slices.ContainsFunc(m.Edge.Presents, func(c guard.Cred) bool { return c != want && !strings.HasPrefix(string(c), "jti:") })
}

// moves is the part of the way that zones go: those that have a token already, one canary, the rest in waves.
func moves(f plan.Facts, goal plan.Goal, v sorted) (plan.Wave, bool) {
	w := plan.Wave{Blocked: v.blocked, Notes: v.notes}
	each := func(members []plan.Member, step func(plan.Member) plan.Step) {
		for _, m := range members {
			w.Steps = append(w.Steps, step(m))
		}
	}
	switch {
	case len(v.unproved) > 0:
		w.Title = "prove what has a token already"
		each(v.unproved, func(m plan.Member) plan.Step { return prove(f, m, goal) })
	case len(v.movable) == 0:
		return w, false
	case len(v.proved) == 0:
		canary, why := f.Canary(v.movable, v.blocked, goal)
		if why != "" {
			w.Blocked = append(w.Blocked, plan.Blocked{Member: goal.Canary, Why: why})
			return w, true
		}
		w.Title = "canary"
		each([]plan.Member{canary}, func(m plan.Member) plan.Step { return move(f, m, goal) })
	default:
		size := len(v.movable)
		if w.Title = "the rest"; goal.WaveSize > 0 && goal.WaveSize < size {
			w.Title, size = fmt.Sprintf("%d of the remaining %d", goal.WaveSize, size), goal.WaveSize
		}
		each(v.movable[:size], func(m plan.Member) plan.Step { return move(f, m, goal) })
	}
	return w, true
}

// ends is what is done once every zone presents a token: authentication on; or of a rotation the end of the older keys.
func ends(f plan.Facts, goal plan.Goal, v sorted) plan.Wave {
	if len(v.blocked) > 0 {
		return plan.Wave{Blocked: v.blocked}
	}
	if !goal.Rotate && f.Hub.Accepts.Accepts[None] != guard.No {
		return plan.Wave{Title: "authentication on", Steps: []plan.Step{closeNone(f, goal)}}
	}
	if goal.Rotate {
		var old []plan.Key
		for _, k := range f.Hub.Keys {
			if k.ID != kidOf(goal.To) {
				old = append(old, k)
			}
		}
		switch {
		case len(old) > 0 && !goal.Others && len(unseen(f)) > 0:
			return plan.Wave{Blocked: []plan.Blocked{{Member: "hub", Why: unseenProxies(f) + ", or leave the older keys with --keep-old"}}}
		case len(old) > 0:
			return plan.Wave{Title: "retire the older keys", Steps: []plan.Step{retire(f, old, goal)}}
		case !reconnectedFor(f.Hub, goal):
			return plan.Wave{Title: "every zone connects anew", Steps: []plan.Step{reconnect(f, goal)}}
		}
	}
	if goal.Cleanup {
		return clean(f, goal)
	}
	return plan.Wave{}
}

// unseen are the zones without a context, whose zone proxies may present tokens of any key: on Kubernetes they have service accounts (the
// product's page on zone proxy authentication).
func unseen(f plan.Facts) []string {
	var names []string
	for _, m := range f.Members {
		if m.Object.Name == "" {
			names = append(names, m.Name)
		}
	}
	return names
}

// unseenProxies says who else may present a token of any key.
func unseenProxies(f plan.Facts) string {
	return fmt.Sprintf("zone %s runs outside of Kubernetes, where zone proxies (ingress, egress) have tokens of the same keys, which are not seen; give them new ones, then pass --proxies-renewed", strings.Join(unseen(f), ", "))
}

// clean deletes the tokens that zones presented before; the way back ends with it.
func clean(f plan.Facts, goal plan.Goal) plan.Wave {
	w := plan.Wave{Title: "clean-up"}
	for _, m := range f.Members {
		if len(m.Leftovers) == 0 {
			continue
		}
		s := plan.Step{ID: "clean/" + m.Name, Kind: plan.Clean, Member: m.Name, Title: m.Name + ": delete the tokens that it presented before", Why: "nothing refers to them; the way back ends here", OneWay: true, Within: goal.Within,
			Proof: []plan.Claim{{Kind: claimGone, Member: m.Name, Text: "none is left"}}}
		for _, l := range m.Leftovers {
			s.Writes = append(s.Writes, plan.Patch{Context: l.Context, Cluster: l.ClusterUID, Object: l.Object, Delete: true})
		}
		w.Steps = append(w.Steps, s)
	}
	if len(w.Steps) == 0 {
		return plan.Wave{}
	}
	return w
}
