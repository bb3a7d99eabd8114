package execute

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

// prove observes the members of the steps, and the hub, again and again until every step is proved, has run out of its time,
// or the run is interrupted; what is not proved is added to failed. A proved member is published in the roster.
func (e *Executor) prove(ctx context.Context, steps []*running, before plan.Facts, failed map[string]string, recorded map[string]Outcome) {
	contexts := e.contextsOf(steps, before)
	seen := []plan.Facts{before}
	for {
		now := e.look(ctx, contexts...)
		seen = append(seen, now)
		steps = slices.DeleteFunc(steps, func(s *running) bool {
			witnesses, missing := e.judge(s.Step, seen)
			switch {
			case missing == "":
				if err := e.publish(ctx, s.Step, now, witnesses); err != nil {
					failed[s.ID] = err.Error()
					return true
				}
				if s.Member == "hub" && len(s.Proof) > 0 {
					e.vouched = now.Hub.Accepts.Basis
				}
				if s.Kind != plan.Register && s.Kind != plan.Void { // they change what is known of a member, not the member
					recorded[s.Member] = outcomeOf(s.Step, recorded[s.Member], witnesses)
				}
				if len(witnesses) > 0 {
					e.say(s.Member, "proved: %s", strings.Join(witnesses, "; "))
				}
				return true
			case ctx.Err() != nil:
				failed[s.ID] = "interrupted before it was proved (" + missing + ")"
				return true
			case e.Now().After(s.deadline):
				failed[s.ID] = fmt.Sprintf("not proved within %s: %s", s.Within, missing)
				return true
			case missing != s.missing:
				s.missing = missing
				e.say(s.Member, "waiting: %s", missing)
			}
			return false
		})
		if len(steps) == 0 {
			return
		}
		e.Pause(ctx, e.Poll)
	}
}

// contextsOf lists the contexts that must be looked at to judge the steps: the hub's, and those of every member a claim names.
func (e *Executor) contextsOf(steps []*running, f plan.Facts) []string {
	names := []string{f.Hub.Context}
	for _, s := range steps {
		for _, c := range s.Proof {
			if m := f.Member(c.Member); m != nil && m.Context != "" {
				names = append(names, m.Context)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// judge returns a witness for each claim, or what the first claim that does not hold still lacks.
func (e *Executor) judge(s plan.Step, seen []plan.Facts) (witnesses []string, missing string) {
	for _, c := range s.Proof {
		j := e.Dialect.Judge(c, seen)
		if !j.Holds {
			if c.Member != s.Member {
				return nil, c.Member + ": " + j.Witness
			}
			return nil, j.Witness
		}
		if c.Member != s.Member {
			j.Witness = c.Member + ": " + j.Witness
		}
		witnesses = append(witnesses, j.Witness)
	}
	return witnesses, ""
}

func outcomeOf(s plan.Step, earlier Outcome, witnesses []string) Outcome {
	o := Outcome{Member: s.Member, State: OK, Why: strings.Join(witnesses, "; ")}
	if len(s.Writes) > 0 || earlier.State == Changed {
		o.State = Changed
	}
	return o
}

// publish states in the roster what was proved of a member.
func (e *Executor) publish(ctx context.Context, s plan.Step, f plan.Facts, witnesses []string) error {
	if (s.Kind != plan.Move && s.Kind != plan.Prove) || s.Member == "hub" {
		return nil
	}
	m := f.Member(s.Member)
	if m == nil || !slices.Equal(m.Edge.Presents, []guard.Cred{e.Goal.To}) {
		return fmt.Errorf("proved, but by now it may present something else; nothing was stated about it")
	}
	return e.Publish(ctx, e.hub, *m, roster.Statement(*m, e.Goal.To, witnesses, e.Source, f.At))
}
