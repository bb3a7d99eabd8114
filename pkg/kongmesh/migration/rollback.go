package migration

import (
	"cmp"
	"fmt"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/state"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/rollout"
)

func rollbackWave(f plan.State, goal plan.Goal) plan.Wave {
	s := &wayBack{State: f, goal: goal, original: f.Hub.Originals[f.Hub.Object.UID]}
	if container, _ := state.ContainerAndNames(f.Hub.Declared); s.original != nil && !ours(s.original, container, true) {
		s.block("hub", journalProblem(f.Hub, f.Hub.Object))
		s.original = nil
	}
	named := goal.Only == ""
	for _, m := range f.Members {
		if goal.Only == "" || m.Name == goal.Only {
			named = true
			s.classify(m)
		}
	}
	if !named {
		s.block(goal.Only, f.UnknownMember(goal.Only))
	}
	return rollout.Next(rollback, goal, s)
}

// classify says of a zone whether it goes back, went back already, or cannot.
func (s *wayBack) classify(m plan.Member) {
	container, _ := state.ContainerAndNames(m.DeclaredFields)
	kept := m.Original == nil || ours(m.Original, container, false)
	done := m.Original == nil || kept && covered(m.DeclaredFields, m.Original)
	switch {
	case rollout.HeldBack(m, s.goal) != "":
		s.block(m.Name, rollout.HeldBack(m, s.goal))
	case m.Err != "" && m.Context != "":
		s.block(m.Name, m.Err)
	case m.Err != "":
	case done && m.Original != nil && m.Workload.Err != "":
		s.block(m.Name, m.Workload.Err)
	case done && m.Original != nil && (rolling(m) || notSeenBack(s.Hub, m)):
		s.reverted = append(s.reverted, verifyRevertedStep(m, s.goal))
	case done:
	case !kept:
		s.block(m.Name, journalProblem(s.Hub, m.Object))
	case m.Workload.Paused:
		s.block(m.Name, m.Workload.PausedReason(m.Object.Namespace, m.Object.Name, m.Context))
	case m.Owner != "":
		s.block(m.Name, fmt.Sprintf("%s is kept by %s; put its environment back there", m.Object, m.Owner))
	case m.OriginalCredential == "" || s.Hub.Accepts.Accepts[m.OriginalCredential] != guard.Yes:
		s.block(m.Name, fmt.Sprintf("the global would refuse what it presented before (%s); kubectl xcpauth rollback "+
			"without --edge has it authenticate nobody first, if it did so before", before(m.OriginalCredential)))
	default:
		s.returning = append(s.returning, revertStep(m, s.goal, m.OriginalCredential))
	}
}

// rollback is the way back to what there was before a migration.
var rollback = []rollout.Phase[*wayBack]{
	{Does: "have the global authenticate nobody again, if it was so before", Wave: authenticateNobody},
	{Does: "have every zone that a migration changed present again what it did, if the global accepts that",
		Wave: revertZones},
	{Does: "verify the zones that an earlier run set back and did not see back", Wave: verifyReverted},
	{Does: "end here", Wave: func(s *wayBack) (plan.Wave, bool) { return plan.Wave{Obstacles: s.obstacles}, true }},
}

// wayBack is what a way back decides on.
type wayBack struct {
	plan.State
	goal      plan.Goal
	original  map[string]any // what the global's object said before, nil when that is not known or does not count
	newest    plan.Key       // of a rotation: the key that is retired
	returning []plan.Step    // zones that go back
	reverted  []plan.Step    // zones that went back already, and are to be verified
	obstacles []plan.Obstacle
}

func (s *wayBack) block(name, why string) {
	s.obstacles = append(s.obstacles, plan.Obstacle{Member: name, Why: why})
}

func authenticateNobody(s *wayBack) (plan.Wave, bool) {
	if s.goal.Only != "" || s.original == nil || state.TurnedOn(state.VariablesOf(s.original)) ||
		s.Hub.Accepts.Accepts[state.None] == guard.Yes {
		return plan.Wave{}, false
	}
	// a rollout that is stuck is no reason to wait: this may be what ends it
	return plan.Wave{Title: "authentication off",
		Steps: []plan.Step{authenticateNobodyStep(s.State, s.original, s.goal)}}, true
}

func revertZones(s *wayBack) (plan.Wave, bool) {
	return plan.Wave{Title: "zones go back", Steps: rollout.Limit(s.returning, s.goal), Obstacles: s.obstacles},
		len(s.returning) > 0
}

func verifyReverted(s *wayBack) (plan.Wave, bool) {
	return plan.Wave{Title: "verify what went back already", Steps: s.reverted, Obstacles: s.obstacles},
		len(s.reverted) > 0
}

// journalProblem says that what is kept of an object is not what a migration keeps of it: the journal is an object
// that others can write.
func journalProblem(h plan.Hub, o plan.Ref) string {
	return fmt.Sprintf("what the journal keeps of %s is not what this tool changes; look at the ConfigMap %s/%s", o,
		cmp.Or(h.Roster.In, api.Namespace), api.JournalName)
}

// rolling says whether a zone's pods are not yet, or not all, as its Deployment says, as far as that can be told.
func rolling(m plan.Member) bool {
	return m.Declared != "" && (!m.Workload.Settled || !presentsAlone(m, m.Declared))
}

// notSeenBack says whether a zone was set back last by a run that has not seen it connected.
func notSeenBack(h plan.Hub, m plan.Member) bool {
	return m.Declared != "" && plan.Unverified(h.History, m.Name)
}

// before is what a zone presented before, in words.
func before(c guard.Cred) string {
	if c == "" {
		return "it cannot be told any more"
	}
	return describe(c)
}

// covered says whether variables are as others want them.
func covered(now, want map[string]any) bool {
	have := map[string]map[string]any{}
	for _, e := range state.VariablesOf(now) {
		have[state.NameOf(e)] = e
	}
	for _, e := range state.VariablesOf(want) {
		if fmt.Sprint(have[state.NameOf(e)]) != fmt.Sprint(e) {
			return false
		}
	}
	return true
}
