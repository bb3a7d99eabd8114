package execute

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// looksKept is how many observations a proof looks back on, besides the one before the writes: a claim needs the last few dozen, and
// a wait of hours must not fill the memory.
const looksKept = 240

// prove observes the members of the steps, and the hub, again and again until every step is proved, has run out of its time,
// or the run is interrupted; what is not proved is added to failed. A proved member is published.
func (e *Executor) prove(ctx context.Context, steps []*running, before plan.Facts, failed map[string]string, recorded map[string]Outcome) {
	contexts := e.contextsOf(steps, before)
	seen := []plan.Facts{before}
	for {
		began := e.Now()
		now := e.look(ctx, contexts...)
		e.probe(ctx, steps, &now)
		took := e.Now().Sub(began)
		if seen = append(seen, now); len(seen) > looksKept {
			seen = slices.Delete(seen, 1, 2)
		}
		steps = slices.DeleteFunc(steps, func(s *running) bool {
			witnesses, lack := e.judge(s.Step, seen)
			missing := lack.Witness
			if later := lack.Due.Add(s.Within); !lack.Due.IsZero() && later.After(s.deadline) {
				s.deadline = later
			}
			switch {
			case missing == "":
				err := e.publish(ctx, s.Step, now, witnesses)
				var back *takenBackError
				if errors.As(err, &back) && ctx.Err() == nil && e.Now().Before(s.deadline) {
					return false // it is seen again
				}
				if err != nil {
					failed[s.ID] = err.Error()
					return true
				}
				e.vouch(s.Step, now)
				if s.Kind != plan.Register && s.Kind != plan.Void && s.Kind != plan.Enclose { // they change what is known of a member, not the member
					recorded[s.Member] = outcomeOf(s.Step, recorded[s.Member], witnesses)
				}
				if len(witnesses) > 0 {
					e.say(Proved, s.Member, "proved: %s", strings.Join(witnesses, "; "))
				}
				return true
			case ctx.Err() != nil:
				failed[s.ID] = "interrupted before it was proved (" + missing + ")"
				return true
			case lack.Never:
				failed[s.ID] = "not proved: " + missing
				return true
			case e.Now().After(s.deadline):
				failed[s.ID] = fmt.Sprintf("not proved within %s: %s", s.Within.Round(time.Second), missing)
				return true
			case missing != s.missing:
				s.missing = missing
				e.say(Waiting, s.Member, "waiting: %s", missing)
			}
			return false
		})
		if len(steps) == 0 {
			return
		}
		e.Pause(ctx, min(max(e.Poll, took), 5*e.Poll)) // hardly busier looking than resting, and one slow cluster does not slow the rest down
	}
}

// probe sends the probes of the steps, side by side, and adds what came of them to the facts.
func (e *Executor) probe(ctx context.Context, steps []*running, now *plan.Facts) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, s := range steps {
		if s.Probe == nil {
			continue
		}
		send := func() {
			p := plan.Probe{At: e.Now()}
			var err error
			if p.Denied, err = e.Probe(ctx, *s.Probe); err != nil {
				p.Err = err.Error()
			}
			mu.Lock()
			defer mu.Unlock()
			if now.Probes == nil {
				now.Probes = map[string]plan.Probe{}
			}
			now.Probes[s.Member] = p
		}
		if e.oneByOne {
			send()
		} else {
			wg.Go(send)
		}
	}
	wg.Wait()
}

// vouch remembers what a hub was proved to run with.
func (e *Executor) vouch(s plan.Step, now plan.Facts) {
	switch {
	case len(s.Proof) == 0:
	case s.Member == "hub":
		e.vouched["hub"] = now.Hub.Accepts.Basis
	case s.Member == "standby" && now.Standby != nil:
		e.vouched["standby"] = now.Standby.Accepts.Basis
	}
}

// contextsOf lists the contexts that must be looked at to judge the steps: the hub's, and those of every member a claim names.
func (e *Executor) contextsOf(steps []*running, f plan.Facts) []string {
	var names []string
	if f.Hub.Found {
		names = append(names, f.Hub.Context)
	}
	for _, s := range steps {
		for _, c := range s.Proof {
			if m := f.Member(c.Member); m != nil && m.Context != "" {
				names = append(names, m.Context)
			}
			if c.Member == "standby" && f.Standby != nil {
				names = append(names, f.Standby.Context)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// judge returns a witness for each claim, or the judgement of the first that does not hold: what it still lacks.
func (e *Executor) judge(s plan.Step, seen []plan.Facts) (witnesses []string, lack plan.Judgement) {
	for _, c := range s.Proof {
		j := e.Dialect.Judge(c, seen)
		if c.Member != s.Member {
			j.Witness = c.Member + ": " + j.Witness
		}
		if !j.Holds {
			return nil, j
		}
		witnesses = append(witnesses, j.Witness)
	}
	return witnesses, plan.Judgement{}
}

func outcomeOf(s plan.Step, earlier Outcome, witnesses []string) Outcome {
	o := Outcome{Member: s.Member, State: OK, Why: strings.Join(witnesses, "; ")}
	if len(s.Writes) > 0 || s.Supply != nil || earlier.State == Changed {
		o.State = Changed
	}
	return o
}
