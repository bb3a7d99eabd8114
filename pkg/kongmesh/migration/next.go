package migration

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/state"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/rollout"
)

// situation is what a procedure decides on: the state, the goal, and the zones by what can be done with them.
type situation struct {
	plan.State
	goal plan.Goal
	classified
}

type phase = rollout.Phase[*situation]

// always comes before each procedure.
var always = []phase{
	{Does: "stop where the global control plane cannot be changed", Wave: hubChangeable},
	{Does: "refuse to rotate tokens as TSB does: the global makes none again by itself", Wave: refuseRotateToken},
	{Does: "make a namespace for the journal", Wave: registerNamespace},
}

// migration is the way to tokens, and of a rotation to tokens of a newer key. What cannot be changed is an obstacle
// with its remedy, and does not keep the other zones from being changed.
var migration = []phase{
	{Does: "stop where the global's sessions cannot be told", Stage: plan.Edges, Wave: sessionsClear},
	{Does: "make a signing key, where there is none that the goal is about", Wave: addKey},
	{Does: "end here with the stage dual", Wave: endBeforeZones},
	{Does: "verify the zones that have a token; switch one canary, then the rest in waves", Stage: plan.Edges,
		Wave: switchZones},
	{Does: "end here with the stage edges, or where a zone cannot be switched", Wave: endWithZones},
	{Does: "require tokens at the global: that withdraws none", Stage: plan.JWTOnly, Wave: requireTokens},
	{Does: "of a rotation, retire the older keys", Stage: plan.JWTOnly, Wave: retireOlderKeys},
	{Does: "of a rotation, have every zone reconnect", Stage: plan.JWTOnly, Wave: reconnectZones},
	{Does: "clean up, when that was asked for", Stage: plan.JWTOnly, Wave: cleanUp},
}

// nextWave is the wave of the first phase of the goal's procedure that has something to do.
func nextWave(f plan.State, goal plan.Goal) plan.Wave {
	return rollout.HeldByOwner(f, waveOf(f, goal), "set its environment there")
}

func waveOf(f plan.State, goal plan.Goal) plan.Wave {
	s := &situation{State: f, goal: goal}
	if w := rollout.Next(always, goal, s); len(w.Steps)+len(w.Obstacles) > 0 {
		return w
	}
	switch goal.Task() {
	case plan.UndoRotation:
		return undoRotationWave(f, goal)
	case plan.Rollback:
		return rollbackWave(f, goal)
	case plan.Revoke:
		return revokeWave(f, goal)
	case plan.Prune:
		return pruneWave(f, goal)
	case plan.Migrate, plan.RotateKeys, plan.RenewTokens:
	}
	s.classified = classify(f, goal)
	return rollout.Next(migration, goal, s)
}

func hubChangeable(s *situation) (plan.Wave, bool) {
	stop := hubObstacles(s.State, s.goal)
	return plan.Wave{Obstacles: stop}, len(stop) > 0
}

func refuseRotateToken(s *situation) (plan.Wave, bool) {
	return plan.Wave{Obstacles: []plan.Obstacle{{Member: "hub",
		Why: "the global control plane never makes a new token by itself, so deleting one would be an outage; issue another one for the zone instead"}}}, s.goal.Renew != nil
}

func registerNamespace(s *situation) (plan.Wave, bool) {
	return plan.Wave{Title: "register", Steps: []plan.Step{registerStep(s.State)}}, !s.Hub.Roster.Namespace
}

func sessionsClear(s *situation) (plan.Wave, bool) {
	return plan.Wave{Obstacles: []plan.Obstacle{{Member: "hub", Why: s.Hub.SessionsUnclear}}}, s.Hub.SessionsUnclear != ""
}

func addKey(s *situation) (plan.Wave, bool) {
	if hasKey(s.Hub, state.KidOf(s.goal.To)) {
		return plan.Wave{}, false
	}
	return plan.Wave{Title: "signing key", Steps: []plan.Step{addKeyStep(s.State, s.goal)}}, true
}

func endBeforeZones(s *situation) (plan.Wave, bool) { return plan.Wave{}, !s.goal.Reaches(plan.Edges) }

func switchZones(s *situation) (plan.Wave, bool) { return switchWave(s.State, s.goal, s.classified) }

func endWithZones(s *situation) (plan.Wave, bool) {
	return plan.Wave{Obstacles: s.obstacles, Notes: s.notes}, !s.goal.Reaches(plan.JWTOnly) || len(s.obstacles) > 0
}

func requireTokens(s *situation) (plan.Wave, bool) {
	if s.goal.Rotate || s.Hub.Accepts.Accepts[state.None] == guard.No {
		return plan.Wave{}, false
	}
	if w, wait := settleWave(s.Hub, s.goal); wait {
		return w, true
	}
	return s.on("authentication on", requireTokensStep(s.State, s.goal))
}

func retireOlderKeys(s *situation) (plan.Wave, bool) {
	old := slices.DeleteFunc(slices.Clone(s.Hub.Keys), func(k plan.Key) bool { return k.ID == state.KidOf(s.goal.To) })
	switch {
	case !s.goal.Rotate || len(old) == 0:
		return plan.Wave{}, false
	case !s.goal.Others && len(unseen(s.State)) > 0:
		return plan.Wave{Notes: s.notes, Obstacles: []plan.Obstacle{{Member: "hub",
			Why: unseenProxies(s.State) + ", or leave the older keys with --keep-old"}}}, true
	}
	return s.on("retire the older keys", retireStep(s.State, old, s.goal))
}

func reconnectZones(s *situation) (plan.Wave, bool) {
	if !s.goal.Rotate || reconnectedFor(s.Hub, s.goal) {
		return plan.Wave{}, false
	}
	return s.on("every zone connects again", reconnectStep(s.State, s.goal))
}

// on is a wave of steps at the global, beside what the reader should know of the zones.
func (s *situation) on(title string, steps ...plan.Step) (plan.Wave, bool) {
	return plan.Wave{Title: title, Steps: steps, Notes: s.notes}, true
}

// cleanUp ends the procedure, whether there is something to clean up or not.
func cleanUp(s *situation) (plan.Wave, bool) {
	w := plan.Wave{}
	if s.goal.Cleanup {
		w = cleanUpWave(s.State, s.goal)
	}
	w.Notes = s.notes
	return w, true
}

// hubObstacles says why nothing at all can be planned.
func hubObstacles(f plan.State, goal plan.Goal) []plan.Obstacle {
	why := slices.Clone(rollout.HubObstacle(f.Hub, true))
	if f.Hub.Found {
		for _, k := range f.Hub.Keys {
			if k.Wrong != "" {
				why = append(why, fmt.Sprintf("%s: %s; fix or delete it first: a key that cannot be used may stop the sync to every zone, or sign tokens that nobody can verify", named(k.Object), k.Wrong))
			}
		}
		if kid := state.KidOf(goal.To); !goal.Back && hasKey(f.Hub, kid) && serial(f.Hub, kid) < highest(f.Hub) {
			why = append(why, fmt.Sprintf("key %s is not the newest: the global signs with key %d, so name that or none", kid,
				highest(f.Hub)))
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

// classified is the zones by what can be done with them. They are those of the state: members are large.
type classified struct {
	switchable []*plan.Member // can be given a token of the wanted key
	unverified []*plan.Member // have one, and are not seen connected with one
	verified   []*plan.Member
	obstacles  []plan.Obstacle
	notes      []plan.Obstacle
}

func classify(f plan.State, goal plan.Goal) classified {
	var v classified
	block := func(name, why string) { v.obstacles = append(v.obstacles, plan.Obstacle{Member: name, Why: why}) }
	listed := f.Hub.Listed()
	for i, m := range f.Members {
		want := wanted(m, goal)
		has := hasToken(f, m, want)
		switch {
		case rollout.HeldBack(m, goal) != "":
			block(m.Name, rollout.HeldBack(m, goal))
		case m.Err != "":
			block(m.Name, m.Err)
		case f.Hub.Inventory != nil && !listed(m.ClusterName):
			block(m.Name, strings.Join(m.Hindrances(), "; "))
		case m.Object.Name == "" && !has: // without a context
			block(m.Name, fmt.Sprintf("its token is of key %s, or expires soon; issue one (kubectl xcpauth token issue --help), start it with that, and pass it with --zone-token %s=FILE", m.Credential.Key, m.ClusterName))
		case m.Object.Name == "":
			v.verified = append(v.verified, &f.Members[i])
		case has && isVerified(f, m, want):
			v.verified = append(v.verified, &f.Members[i])
		case has && len(m.Anomalies) == 0:
			v.unverified = append(v.unverified, &f.Members[i])
		case len(m.Hindrances()) > 0:
			block(m.Name, strings.Join(m.Hindrances(), "; "))
		case issuedBy(f.Hub, goal) != nil && f.Hub.API.Off != "":
			block(m.Name, f.Hub.API.Off+"; have the key itself sign its token: --tokens-from=key")
		default:
			v.switchable = append(v.switchable, &f.Members[i])
		}
		if m.HelmNote != "" && m.Err == "" {
			v.notes = append(v.notes, plan.Obstacle{Member: m.Name, Why: helmNote(m)})
		}
		if m.Trust.Why != "" && m.Err == "" {
			v.notes = append(v.notes, plan.Obstacle{Member: m.Name, Why: m.Trust.Why})
		}
	}
	v.obstacles = append(v.obstacles, rollout.Unseen(f, "a zone")...)
	return v
}

// wanted is what a zone is to present: of a rotation a token of its key; else one of any key that the global takes
// will do.
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
	return m.Evidence.Presents != nil && !slices.ContainsFunc(m.Evidence.Presents,
		func(c guard.Cred) bool { return c != want && !strings.HasPrefix(string(c), "jti:") })
}

// switchWave is the part of the way that zones go: those that have a token already, one canary, the rest in waves.
func switchWave(f plan.State, goal plan.Goal, v classified) (plan.Wave, bool) {
	w := plan.Wave{Obstacles: v.obstacles}
	step := func(m plan.Member) plan.Step { return switchStep(f, m, goal) }
	switch {
	case len(v.unverified) > 0:
		w.Title = "verify what has a token already"
		w.Steps = rollout.StepsFor(v.unverified, func(m plan.Member) plan.Step { return verifyStep(f, m, goal) })
	case len(v.switchable) == 0:
		return w, false
	case len(v.verified) == 0:
		w = rollout.Canary(f, "canary", v.switchable, v.obstacles, goal, step)
	default:
		w = rollout.Rest(v.switchable, goal, step)
		w.Obstacles = v.obstacles
	}
	w.Notes = v.notes
	return w, true
}

// unseenProxies says who else may present a token of any key.
func unseenProxies(f plan.State) string {
	return fmt.Sprintf("zone %s runs outside of Kubernetes, where zone proxies (ingress, egress) have tokens of the same keys, which are not seen; give them new ones, then pass --proxies-renewed", strings.Join(unseen(f), ", "))
}

// unseen are the zones without a context, whose zone proxies may present tokens of any key: on Kubernetes they have
// service accounts (the product's page on zone proxy authentication).
func unseen(f plan.State) []string {
	var names []string
	for _, m := range f.Members {
		if m.Object.Name == "" {
			names = append(names, m.Name)
		}
	}
	return names
}
