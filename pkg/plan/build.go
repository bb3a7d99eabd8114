package plan

import "slices"

// Plan is everything that is left to do, as far as it can be predicted.
type Plan struct {
	Goal      Goal
	Waves     []Wave     // in order
	Obstacles []Obstacle // what blocks at the end; the goal is not reached while there is any
	Notes     []Obstacle // what whoever reads it should know, and stands in nobody's way; each once
}

// Changes counts the steps that write something.
func (p Plan) Changes() int {
	n := 0
	for _, w := range p.Waves {
		for _, s := range w.Steps {
			if s.Changes() {
				n++
			}
		}
	}
	return n
}

// Build aims the goal, then asks the provider what comes next, predicts it done, and asks again, until nothing is
// left to do. A provider whose predictions never arrive is cut off after as many waves as a fleet could need.
func Build(d Provider, f State, goal Goal) Plan {
	goal = d.Complete(f, goal)
	p := Plan{Goal: goal}
	predicted := Predict(f)
	for range 3*len(f.Members) + 8 {
		wave := d.Next(predicted.State, goal)
		for _, n := range wave.Notes {
			if !slices.Contains(p.Notes, n) {
				p.Notes = append(p.Notes, n)
			}
		}
		wave = withoutUnsafe(wave, predicted.State)
		if len(wave.Steps) == 0 {
			p.Obstacles = wave.Obstacles
			return p
		}
		p.Waves = append(p.Waves, wave)
		predicted.Do(wave.Steps)
	}
	p.Obstacles = append(p.Obstacles,
		Obstacle{Member: "hub", Why: "the plan does not come to an end on predicted facts; please report this with the output of kubectl xcpauth status -o yaml"})
	return p
}

// HoldWhilePaused is a wave, or what stands in its way: the rollout of a hub's Deployment is paused, and the wave
// needs its pods to follow a change.
func (f State) HoldWhilePaused(w Wave, deployment string) Wave {
	type named struct {
		who string
		Hub
	}
	all := []named{{"hub", f.Hub}}
	if f.Standby != nil {
		all = append(all, named{"standby", *f.Standby})
	}
	for _, h := range all {
		why := h.Workload.PausedReason(h.Object.Namespace, deployment, h.Context)
		rolls := func(p Write) bool {
			return p.Context == h.Context && p.Object.Namespace == h.Object.Namespace &&
				(p.Object.Kind == h.Object.Kind && p.Object.Name == h.Object.Name ||
					p.Object.Kind == "Deployment" && p.Object.Name == deployment)
		}
		if why != "" && slices.ContainsFunc(w.Steps, func(s Step) bool { return slices.ContainsFunc(s.Writes, rolls) }) {
			return Wave{Obstacles: append([]Obstacle{{Member: h.who, Why: why}}, w.Obstacles...), Notes: w.Notes}
		}
	}
	return w
}

// withoutUnsafe is a wave without the steps that the one rule does not allow, each of which is blocked by those who
// may still present what would be withdrawn. A provider plans none; that it is asked here too keeps a plan from
// promising what its run would refuse.
func withoutUnsafe(w Wave, f State) Wave {
	kept := w
	kept.Steps = make([]Step, 0, len(w.Steps))
	for _, s := range w.Steps {
		blockers := f.Blockers(s, f.At)
		if len(blockers) == 0 {
			kept.Steps = append(kept.Steps, s)
			continue
		}
		kept.Obstacles = append(slices.Clone(kept.Obstacles), Obstacle{Member: s.Member,
			Why: "it would withdraw what may still be presented: " + blockers[0].String()})
	}
	return kept
}
