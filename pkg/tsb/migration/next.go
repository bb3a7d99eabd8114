package migration

import (
	"cmp"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/rollout"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// situation is what a procedure decides on: the state, the goal, and the members by what can be done with them.
type situation struct {
	plan.State
	goal plan.Goal
	classified
	done bool // the hubs accept JWTs alone, and nobody is known to present anything else
}

type phase = rollout.Phase[*situation]

// migration is the way from mutual TLS to JWTs. What cannot be changed is an obstacle with its remedy, and does not
// keep others from being changed.
var migration = []phase{
	{Does: "stop where a hub cannot be changed", Wave: hubsChangeable},
	{Does: "stop where the given certificate does not fit", Wave: pairFits},
	{Does: "once it is done, replace the fences of other releases", Wave: replaceFencesWhenDone},
	{Does: "once it is done, end here, unless the clean-up was asked for", Wave: endWhenDone},
	{Does: "retract every statement that what is seen contradicts: the webhook believes it", Wave: retractStatements},
	{Does: "once it is done, clean up", Wave: cleanUpWhenDone},
	{Does: "register the members in the roster, so that unknown is deniable", Wave: registerMembers},
	{Does: "supply what edges lack, when the goal says from where", Stage: plan.Edges,
		Wave: func(s *situation) (plan.Wave, bool) { return supplyWave(s.State, s.goal, s.classified) }},
	{Does: "make what edges lack whose mode something else sets", Stage: plan.Edges, Wave: prepareWave},
	{Does: "get Central's certificate every name that an edge dials: trial, re-issue, served by every pod",
		Wave: func(s *situation) (plan.Wave, bool) { return certificateWave(s.State, s.goal, s.classified) }},
	{Does: "accept both modes, explicitly, in one write, and verify that Central runs with them; verify the edges that " +
		"are set to JWT already",
		Wave: func(s *situation) (plan.Wave, bool) { return acceptWave(s.State, s.goal, s.classified) }},
	{Does: "end here with the stage dual", Wave: endBefore(plan.Edges)},
	{Does: "switch the edges: one canary, its token rotation, its connecting again, then the rest in waves",
		Stage: plan.Edges,
		Wave:  func(s *situation) (plan.Wave, bool) { return switchWave(s.State, s.goal, s.classified) }},
	{Does: "end here with the stage edges; replace the fences of other releases", Wave: endWithEdges},
	{Does: "withdraw mTLS: one token rotation of every edge, a fence around every edge, MPC, then the write",
		Stage: plan.JWTOnly,
		Wave:  func(s *situation) (plan.Wave, bool) { return withdrawWave(s.State, s.goal, s.classified), true }},
}

// withoutHub is the way of a team that has no access to the hub: its edges are switched and verified, each until its
// token rotation was seen, and fenced. So the statement that is provided says all that the hub's team needs, and is
// believed for long.
var withoutHub = []phase{
	{Does: "supply what edges lack", Wave: func(s *situation) (plan.Wave,
		bool) {
		return supplyWave(s.State, s.goal, s.classified)
	}},
	{Does: "make what edges lack whose mode something else sets", Wave: prepareWave},
	{Does: "verify the edges that are set to JWT already", Wave: verifyEdges},
	{Does: "switch the edges: one canary, its token rotation, then the rest in waves",
		Wave: func(s *situation) (plan.Wave, bool) { return switchWave(s.State, s.goal, s.classified) }},
	{Does: "await one token rotation of every edge", Wave: awaitRotations},
	{Does: "fence the edges", Wave: fenceEdges},
	{Does: "end here", Wave: func(s *situation) (plan.Wave, bool) { return plan.Wave{Obstacles: s.obstacles}, true }},
}

// nextWave is the wave of the first phase of the goal's procedure that has something to do. It is not done where it
// would write a hub that something else keeps as it is.
func nextWave(f plan.State, goal plan.Goal) plan.Wave {
	return rollout.HeldByOwner(f, waveOf(f, goal), "change spec.components.xcp.centralAuthModes there")
}

func waveOf(f plan.State, goal plan.Goal) plan.Wave {
	switch goal.Task() {
	case plan.RenewTokens:
		return rotateTokenWave(f, goal)
	case plan.Rollback, plan.UndoRotation:
		return rollbackWave(f, goal)
	case plan.Migrate, plan.RotateKeys, plan.Revoke, plan.Prune:
	}
	s := &situation{State: f, goal: goal, classified: classify(f, goal)}
	if goal.NoHub {
		return rollout.Next(withoutHub, goal, s)
	}
	closed := AcceptsJWTOnly(f.Hub) && (f.Standby == nil || AcceptsJWTOnly(*f.Standby))
	if s.done = closed && len(s.switchable) == 0 && len(s.onMTLS) == 0; s.done {
		s.obstacles = append(s.obstacles, notSeenToRun(f, s.obstacles)...)
	}
	return rollout.Next(migration, goal, s)
}

func hubsChangeable(s *situation) (plan.Wave, bool) {
	stop := hubObstacles(s.State)
	return plan.Wave{Obstacles: stop}, len(stop) > 0
}

func pairFits(s *situation) (plan.Wave, bool) {
	stop := pairProblem(s.State, s.goal, s.classified)
	return plan.Wave{Obstacles: append(stop, s.obstacles...)}, len(stop) > 0
}

func replaceFencesWhenDone(s *situation) (plan.Wave, bool) {
	old := oldFences(s.State, s.goal)
	return fenceWave(old, s.goal, s.obstacles), s.done && len(old) > 0
}

func endWhenDone(s *situation) (plan.Wave, bool) {
	return plan.Wave{Obstacles: s.obstacles}, s.done && (len(s.obstacles) > 0 || !s.goal.Cleanup)
}

func retractStatements(s *situation) (plan.Wave, bool) {
	stale := staleStatements(s.State)
	return plan.Wave{Title: "take back what no longer holds",
			Steps: rollout.StepsFor(stale, func(m plan.Member) plan.Step { return retractStatementStep(s.State, m) })},
		len(stale) > 0
}

func cleanUpWhenDone(s *situation) (plan.Wave, bool) {
	if !s.done {
		return plan.Wave{}, false
	}
	return cleanUpWave(s.State, s.goal), true
}

func registerMembers(s *situation) (plan.Wave, bool) {
	return registerWave(s.State), needsRegister(s.State)
}

// endBefore ends a procedure with the stage before one that the goal does not reach.
func endBefore(stage plan.Stage) func(*situation) (plan.Wave, bool) {
	return func(s *situation) (plan.Wave, bool) { return plan.Wave{}, !s.goal.Reaches(stage) }
}

func endWithEdges(s *situation) (plan.Wave, bool) {
	if old := oldFences(s.State, s.goal); len(old) > 0 {
		return fenceWave(old, s.goal, s.obstacles), !s.goal.Reaches(plan.JWTOnly)
	}
	return plan.Wave{Obstacles: s.obstacles}, !s.goal.Reaches(plan.JWTOnly)
}

func verifyEdges(s *situation) (plan.Wave, bool) {
	if len(s.Members) == 0 {
		s.obstacles = append(s.obstacles, plan.Obstacle{Member: "hub",
			Why: "no ControlPlane was found in the selected contexts; select those of your edges with --contexts"})
	}
	return verifyEdgesWave(s.classified, s.goal), len(s.unverified) > 0
}

func awaitRotations(s *situation) (plan.Wave, bool) {
	waiting, stuck := awaitingRotation(s.State, s.classified, s.goal)
	s.obstacles = append(s.obstacles, stuck...)
	return rotationWave(s.State, waiting, s.goal, s.obstacles), len(waiting) > 0
}

func fenceEdges(s *situation) (plan.Wave, bool) {
	open := unfenced(s.classified, s.goal)
	return fenceWave(open, s.goal, s.obstacles), len(open) > 0
}

func AcceptsJWTOnly(h plan.Hub) bool {
	return h.Accepts.Accepts[state.JWT] == guard.Yes && h.Accepts.Accepts[state.MTLS] == guard.No
}

// hubNames are the names of hubs in the order in which they are changed when more is accepted: first who is not
// dialled.
var hubNames = []string{"standby", "hub"}

// hubObstacles says why nothing at all can be planned.
func hubObstacles(f plan.State) []plan.Obstacle {
	var stop []plan.Obstacle
	all := hubs(f)
	for _, who := range []string{"hub", "standby"} {
		h, there := all[who]
		if !there {
			continue
		}
		why := rollout.HubObstacle(h, who == "hub")
		if len(why) > 0 {
			stop = append(stop, plan.Obstacle{Member: who, Why: strings.Join(why, "; ")})
		}
	}
	return stop
}

// hubs lists the hub, and the standby if there is one, by the names under which steps know them.
func hubs(f plan.State) map[string]plan.Hub {
	all := map[string]plan.Hub{"hub": f.Hub}
	if f.Standby != nil {
		all["standby"] = *f.Standby
	}
	return all
}

// podsNewerThanModes says whether all of Central's pods were made after what it accepts was declared.
func podsNewerThanModes(h plan.Hub) bool {
	old := slices.ContainsFunc(h.Workload.Processes, func(p plan.Process) bool { return !p.Created.After(h.Since) })
	return !h.Since.IsZero() && h.Workload.Settled && !old
}

// complete has every member present a JWT, and remembers the tokens that are to be renewed.
func complete(f plan.State, g plan.Goal) plan.Goal {
	g.To = cmp.Or(g.To, state.JWT)
	g.Renew = tokensToRotate(f, g)
	return g
}
