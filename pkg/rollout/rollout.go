package rollout

import (
	"fmt"
	"maps"
	"slices"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Phase is one part of a procedure. S is the situation that the procedure decides on.
type Phase[S any] struct {
	Does  string     // what it does, for a reader of the list
	Stage plan.Stage // the stage from which on it counts; "" is from the first
	// Wave says what the phase has to do now: a wave with steps, or one that ends the procedure here. Without either, the
	// next phase goes on.
	Wave func(s S) (w plan.Wave, any bool)
}

// Next is the wave of the first phase that has something to do. It is the zero Wave when none has.
func Next[S any](phases []Phase[S], goal plan.Goal, s S) plan.Wave {
	for _, p := range phases {
		if p.Stage != "" && !goal.Reaches(p.Stage) {
			continue
		}
		if w, any := p.Wave(s); any {
			return w
		}
	}
	return plan.Wave{}
}

// Canary is the wave that changes one of the members that are ready, with the step given: the one that the goal
// names, or else the first. It has no step, and an obstacle more, when the one that the goal names is not ready.
func Canary(f plan.State, title string, ready []*plan.Member, obstacles []plan.Obstacle, goal plan.Goal,
	step func(plan.Member) plan.Step) plan.Wave {
	canary, why := f.Canary(ready, obstacles, goal)
	if why != "" {
		return plan.Wave{Obstacles: append(obstacles, plan.Obstacle{Member: goal.Canary, Why: why})}
	}
	return plan.Wave{Title: title, Steps: []plan.Step{step(canary)}, Obstacles: obstacles}
}

// Rest is the wave that changes the members that are ready, as many side by side as the goal allows.
func Rest(ready []*plan.Member, goal plan.Goal, step func(plan.Member) plan.Step) plan.Wave {
	now := Limit(ready, goal)
	w := plan.Wave{Title: "the rest", Steps: StepsFor(now, step)}
	if len(now) < len(ready) {
		w.Title = fmt.Sprintf("%d of the remaining %d", len(now), len(ready))
	}
	return w
}

// Limit is as many of a list as one wave of the goal takes.
func Limit[T any](list []T, goal plan.Goal) []T {
	if goal.WaveSize > 0 && goal.WaveSize < len(list) {
		return list[:goal.WaveSize]
	}
	return list
}

// StepsFor makes one step of each member.
func StepsFor(members []*plan.Member, step func(plan.Member) plan.Step) []plan.Step {
	steps := make([]plan.Step, 0, len(members))
	for _, m := range members {
		steps = append(steps, step(*m))
	}
	return steps
}

// HeldBack says why this run leaves a member for the next. It is "" when it does not.
func HeldBack(m plan.Member, goal plan.Goal) string {
	if why := goal.Skipped(m.Name); why != "" {
		return "this run leaves it for the next: " + why
	}
	return ""
}

// Unseen are the obstacles of members that may exist and were not seen: a context that was not reached, an inventory
// that was not read. member is what one is called: "an edge".
func Unseen(f plan.State, member string) []plan.Obstacle {
	var all []plan.Obstacle
	for _, o := range f.Others {
		if o.State == "unreachable" {
			all = append(all, plan.Obstacle{Member: "context " + o.Context,
				Why: o.Why + "; it may hold " + member + ": reach it, or leave it out with --contexts"})
		}
	}
	if f.Hub.InventoryErr != "" {
		all = append(all, plan.Obstacle{Member: "hub", Why: f.Hub.InventoryErr})
	}
	return all
}

// HeldByOwner is a wave, or why it is not done: something else keeps a hub's object as it is, and a step of the wave
// writes that object: a restart is none that is put back. remedy ends the sentence about it. What comes after waits: it
// rests on the change.
func HeldByOwner(f plan.State, w plan.Wave, remedy string) plan.Wave {
	hubs := map[string]plan.Hub{"hub": f.Hub}
	if f.Standby != nil {
		hubs["standby"] = *f.Standby
	}
	var held []plan.Obstacle
	for _, who := range slices.Sorted(maps.Keys(hubs)) {
		h := hubs[who]
		writes := func(p plan.Write) bool {
			return p.Op != plan.OpRestart && p.Context == h.Context &&
				p.Object.Kind == h.Object.Kind && p.Object.Path() == h.Object.Path()
		}
		if h.Owner != "" && slices.ContainsFunc(w.Steps, func(s plan.Step) bool {
			return slices.ContainsFunc(s.Writes, writes)
		}) {
			held = append(held, plan.Obstacle{Member: who, Why: fmt.Sprintf(
				"%s is kept by %s, which would put a change back; %s", h.Object, h.Owner, remedy)})
		}
	}
	if len(held) == 0 {
		return w
	}
	return plan.Wave{Obstacles: append(held, w.Obstacles...), Notes: w.Notes}
}

// HubObstacle is what keeps a hub from being changed, whatever the goal: it is not found, it is odd, or its roster, if
// that counts, cannot be read. It is empty when nothing does.
func HubObstacle(h plan.Hub, roster bool) []string {
	switch {
	case !h.Found:
		return []string{h.Err}
	case len(h.Anomalies) > 0:
		return h.Anomalies
	case h.Roster.Err != "" && roster:
		return []string{h.Roster.Err}
	}
	return nil
}
