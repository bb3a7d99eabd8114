package plan

import (
	"slices"
	"time"
)

// savedWave is one wave of a saved plan, as it is shown. What its steps write is with the steps of the plan: a run
// holds those against what it is about to do, and nothing else.
type savedWave struct {
	Title string      `json:"title"`
	Steps []shownStep `json:"steps"`
}

// shownStep is what is shown of a step besides its writes.
type shownStep struct {
	ID      string        `json:"id"`
	Member  string        `json:"member"`
	Title   string        `json:"title"`
	Why     string        `json:"why,omitempty"`
	Proof   []string      `json:"proof,omitempty"`
	Within  time.Duration `json:"within,omitempty"`
	WayBack string        `json:"wayBack,omitempty"`
	OneWay  bool          `json:"oneWay,omitempty"`
	Supply  *shownSupply  `json:"supply,omitempty"`
}

// shownSupply is what is shown of the credentials that come from outside.
type shownSupply struct {
	Context   string   `json:"context"`
	Namespace string   `json:"namespace"`
	Wants     []string `json:"wants,omitempty"`
	Adds      []string `json:"adds,omitempty"`
	Secret    string   `json:"secret,omitempty"` // which is to hold the token that is asked for
	Says      string   `json:"says,omitempty"`
}

// showing is the waves of a plan, as they are kept to be shown again.
func showing(p Plan) []savedWave {
	var all []savedWave
	for _, w := range p.Waves {
		wave := savedWave{Title: w.Title, Steps: []shownStep{}}
		for _, s := range w.Steps {
			wave.Steps = append(wave.Steps, shownOf(s))
		}
		all = append(all, wave)
	}
	return all
}

func shownOf(s Step) shownStep {
	shown := shownStep{ID: s.ID, Member: s.Member, Title: s.Title, Why: s.Why, Within: s.Timeout, WayBack: s.WayBack,
		OneWay: s.Irreversible}
	for _, c := range s.Conditions {
		shown.Proof = append(shown.Proof, c.Text)
	}
	if s.Supply != nil {
		shown.Supply = &shownSupply{Context: s.Supply.Context, Namespace: s.Supply.Namespace, Wants: s.Supply.Wants,
			Adds: s.Supply.Adds}
		if t := s.Supply.Token; t != nil {
			shown.Supply.Secret, shown.Supply.Says = t.Secret, t.Says
		}
	}
	return shown
}

// Shown is the plan to print again, without a cluster. A step that writes and is in no wave, as in a file of an
// earlier release, is in one at the end: nothing that a run may write is left out.
func (s Saved) Shown() (State, Plan) {
	f := State{At: s.At}
	if s.Hub != nil {
		f.Hub.HubIdentity = HubIdentity{Found: true, Context: s.Context, ClusterUID: s.HubUID, Object: *s.Hub}
	}
	p := Plan{Goal: s.Goal, Obstacles: s.Blocked, Notes: s.Notes}
	writes, inWave := map[string][]Write{}, map[string]bool{}
	for _, step := range s.Steps {
		writes[step.ID] = append(writes[step.ID], step.Writes...)
	}
	for _, w := range s.Waves {
		wave := Wave{Title: w.Title}
		for _, shown := range w.Steps {
			wave.Steps = append(wave.Steps, shown.step(writes[shown.ID]))
			inWave[shown.ID] = true
		}
		p.Waves = append(p.Waves, wave)
	}
	rest := slices.DeleteFunc(slices.Clone(s.Steps), func(step savedStep) bool { return inWave[step.ID] })
	if len(rest) > 0 {
		wave := Wave{Title: "steps of which the file says no more"}
		for _, step := range rest {
			wave.Steps = append(wave.Steps, shownStep{ID: step.ID, Title: step.ID}.step(step.Writes))
		}
		p.Waves = append(p.Waves, wave)
	}
	return f, p
}

// step is the step to print.
func (s shownStep) step(writes []Write) Step {
	step := Shown(s.ID, s.Member, s.Title, s.Why, s.WayBack)
	step.Writes, step.Timeout, step.Irreversible = writes, s.Within, s.OneWay
	for _, text := range s.Proof {
		step.Conditions = append(step.Conditions, Condition{Text: text})
	}
	if from := s.Supply; from != nil {
		step.Supply = &Supply{Member: s.Member, Context: from.Context, Namespace: from.Namespace, Wants: from.Wants,
			Adds: from.Adds}
		if from.Says != "" {
			step.Supply.Token = &TokenRequest{Secret: from.Secret, Says: from.Says}
		}
	}
	return step
}

// Shown is a step that is shown and that nothing carries out. It has no kind: those are of products.
func Shown(id, member, title, why, wayBack string) (s Step) {
	s.ID, s.Member, s.Title, s.Why, s.WayBack = id, member, title, why, wayBack
	return s
}
