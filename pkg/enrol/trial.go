package enrol

import (
	"context"
	"fmt"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Trial is what a verb of the roster would do: a plan with its writes, of which none is stored.
type Trial struct {
	State plan.State
	Plan  plan.Plan

	tries map[string][]try // by step ID, in order
}

// try is one thing that a step would do, and how that is tried.
type try struct {
	send   func(context.Context) (said string, accepted bool)
	unsent string // why it is not sent
}

// Try sends every write of the trial with dryRun=All, and returns what the servers said, by step ID, and whether all
// were accepted. What has no dry run is not sent, and said not to be.
func (t Trial) Try(ctx context.Context) (map[string][]string, bool) {
	said, all := map[string][]string{}, true
	for id, tries := range t.tries {
		for _, one := range tries {
			line, ok := one.unsent, true
			if one.unsent == "" {
				line, ok = one.send(ctx)
			}
			said[id], all = append(said[id], line), all && ok
		}
	}
	return said, all
}

// newTrial is a trial of what a verb would do, with one wave of a title.
func newTrial(f plan.State, title string) *Trial {
	return &Trial{State: f, Plan: plan.Plan{Waves: []plan.Wave{{Title: title}}}, tries: map[string][]try{}}
}

// refuse says why nothing is done about a member.
func (t *Trial) refuse(member, why string) {
	t.Plan.Obstacles = append(t.Plan.Obstacles, plan.Obstacle{Member: member, Why: why})
}

// add adds a step; the writes that it makes follow.
func (t *Trial) add(s plan.Step) *plan.Step {
	w := &t.Plan.Waves[0]
	w.Steps = append(w.Steps, s)
	return &w.Steps[len(w.Steps)-1]
}

// write adds a write to a step. It is tried as the write that it is, unless how says otherwise.
func (t *Trial) write(l Enroller, s *plan.Step, w plan.Write, how try) {
	s.Writes = append(s.Writes, w)
	if how.send == nil && how.unsent == "" {
		how.send = func(ctx context.Context) (string, bool) { return l.Try(ctx, w) }
	}
	if how.unsent != "" {
		how.unsent = fmt.Sprintf("%s: not sent: %s", w.Object, how.unsent)
	}
	t.tries[s.ID] = append(t.tries[s.ID], how)
}

// done is the trial, without a wave where there is nothing to do.
func (t *Trial) done() *Trial {
	if len(t.Plan.Waves[0].Steps) == 0 {
		t.Plan.Waves = nil
	}
	return t
}

// madeBefore is why a write is not tried that needs what is made right before it.
const madeBefore = "what it needs is made in the same step"

// noRoster is why an entry cannot be tried, "" when it can.
func noRoster(f plan.State) string {
	if f.Hub.Roster.Namespace && f.Hub.Roster.Kind {
		return ""
	}
	return "the roster is not installed; kubectl xcpauth migrate installs it"
}
