package engine

import (
	"context"
	"slices"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// A run that waits for a rollout, or for a connection, looks often. It glances then: it reads again only what moves
// when that comes (Condition.Moves), a few objects of the cluster in question. A glance decides nothing: a step ends by
// a look at all of it.

// wholeEvery is for how long a run only glances at a step before it looks at all that it lacks.
const wholeEvery = time.Minute

// lookAgain looks at what the steps lack, and says of which contexts it has looked at everything.
func (e *Executor) lookAgain(ctx context.Context, steps []*running, before plan.State) (now plan.State,
	whole []string) {
	glances, whole := e.lookedAt(steps, before)
	if len(glances) == 0 {
		return e.observe(ctx, whole...), whole
	}
	for _, name := range whole {
		glances[name] = nil
	}
	return e.withVerified(e.Glance(ctx, glances)), whole
}

// lookedAt says at which contexts to look next to see what the steps lack: at what of those where a glance is enough,
// and at all of the others and of the hub.
func (e *Executor) lookedAt(steps []*running, f plan.State) (glances map[string]func(plan.Read) bool, whole []string) {
	moves := map[string][]func(plan.Read) bool{}
	var looked []plan.Step
	for _, s := range steps {
		lacking := s.unmet
		if s.ends || lacking == nil {
			lacking = s.Conditions
		}
		if !s.ends && e.Now().Sub(s.wholeAt) < wholeEvery && !e.Now().After(s.deadline) && glanceable(lacking, f) {
			for _, c := range lacking {
				at := glancedAt(c, f)
				moves[at] = append(moves[at], c.Moves)
			}
			continue
		}
		s.wholeAt = e.Now()
		step := s.Step
		step.Conditions = lacking
		looked = append(looked, step)
	}
	if len(looked) > 0 {
		whole = e.contextsOf(looked, f)
	}
	glances = map[string]func(plan.Read) bool{}
	for at, all := range moves {
		if !slices.Contains(whole, at) {
			glances[at] = func(r plan.Read) bool {
				return slices.ContainsFunc(all, func(moves func(plan.Read) bool) bool { return moves(r) })
			}
		}
	}
	return glances, whole
}

// glanceable says whether each of the conditions that are lacking is seen at a glance.
func glanceable(lacking []plan.Condition, f plan.State) bool {
	return len(lacking) > 0 && !slices.ContainsFunc(lacking, func(c plan.Condition) bool {
		return c.Moves == nil || glancedAt(c, f) == ""
	})
}

// glancedAt is the context in which a condition is seen to come to be met; "" when there is none.
func glancedAt(c plan.Condition, f plan.State) string {
	switch m := f.Member(c.Member); {
	case c.Member == "standby" && f.Standby != nil:
		return f.Standby.Context
	case c.Member == "hub" || c.AtHub:
		return f.Hub.Context
	case m != nil:
		return m.Context
	}
	return ""
}

// sees says whether all that a step's conditions name is among the contexts.
func (e *Executor) sees(at []string, s plan.Step, f plan.State) bool {
	return !slices.ContainsFunc(e.contextsOf([]plan.Step{s}, f),
		func(name string) bool { return !slices.Contains(at, name) })
}
