package engine

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

// verify observes the members of the steps, and the hub, again and again until every step is verified, has run out of
// its time, or the run is interrupted; what is not verified is added to failed. A verified member is published.
// While something is lacking of a step, that alone is looked at. What ends a step is one look at all that its
// conditions name: a step is verified by it, and is given up by it. It comes at once where nothing is lacking any more.
func (e *Executor) verify(ctx context.Context, steps []*running, before plan.State, failed map[string]string,
	recorded map[string]Outcome) {
	for _, s := range steps {
		s.begin(e.Now())
	}
	for len(steps) > 0 {
		began := e.Now()
		e.judgeAll(ctx, steps, before, failed, recorded)
		ending := slices.DeleteFunc(slices.Clone(steps), func(s *running) bool { return s.over || !s.ends })
		e.judgeAll(ctx, ending, before, failed, recorded)
		took := e.Now().Sub(began)
		if steps = slices.DeleteFunc(steps, func(s *running) bool { return s.over }); len(steps) > 0 {
			e.Pause(ctx, rest(e.Poll, took))
		}
	}
}

// judgeAll looks at what the steps lack, and judges which of them are over.
func (e *Executor) judgeAll(ctx context.Context, steps []*running, before plan.State, failed map[string]string,
	recorded map[string]Outcome) {
	if len(steps) == 0 {
		return
	}
	now, whole := e.lookAgain(ctx, steps, before)
	e.probe(ctx, steps, &now)
	for _, s := range steps {
		s.over = e.judge(ctx, s, before, now, e.sees(whole, s.Step, before), failed, recorded)
	}
}

// rest is how long a run rests after a look that took so long: the rest of the poll, and at least as long as it looked,
// to be no busier looking than resting. After five polls it looks in any case: one slow cluster does not slow the
// others down for longer.
func rest(poll, took time.Duration) time.Duration { return min(max(poll-took, took), 5*poll) }

// judge says whether a step is over by what is seen now, and records how it ended. whole says that all of it was looked
// at.
func (e *Executor) judge(ctx context.Context, s *running, before, now plan.State, whole bool,
	failed map[string]string, recorded map[string]Outcome) bool {
	witnesses, unmet, lack := s.evaluate(before, now)
	missing := lack.Evidence
	if later := lack.ExpectedAt.Add(s.Timeout); !lack.ExpectedAt.IsZero() && later.After(s.deadline) {
		s.deadline = later
	}
	s.unmet, s.ends = unmet, false
	if missing == "" && len(s.Conditions) > 0 && (ctx.Err() != nil || !whole) {
		missing = unconfirmed // a look that was interrupted shows what was seen before
	}
	late := e.Now().After(s.deadline)
	switch {
	case missing == "":
		return e.concluded(ctx, s, now, witnesses, failed, recorded)
	case ctx.Err() != nil:
		failed[s.ID] = interrupted + " before it was verified (" + missing + ")"
		return true
	case missing == unconfirmed, (lack.Hopeless || late) && !whole:
		s.ends = true
	case lack.Hopeless:
		failed[s.ID] = "not verified: " + missing
		return true
	case late:
		failed[s.ID] = fmt.Sprintf("not verified within %s: %s", s.Timeout.Round(time.Second), missing)
		return true
	case missing != s.missing:
		s.missing = missing
		e.waits(s)
	}
	return false
}

// concluded publishes a step of which nothing is lacking, and says whether it is over.
func (e *Executor) concluded(ctx context.Context, s *running, now plan.State, witnesses []string,
	failed map[string]string, recorded map[string]Outcome) bool {
	err := e.publish(ctx, s.Step, now, witnesses)
	var back *RetractedError
	if errors.As(err, &back) && ctx.Err() == nil && e.Now().Before(s.deadline) {
		return false // it is seen again
	}
	if err != nil {
		failed[s.ID] = err.Error()
		return true
	}
	e.markVerified(s.Step, now)
	if !s.RecordOnly {
		recorded[s.Member] = outcomeOf(s.Step, recorded[s.Member], witnesses)
	}
	if len(witnesses) > 0 {
		e.report(StepVerified, s.Member, "verified: %s", strings.Join(witnesses, "; "))
	}
	return true
}

// unconfirmed is what a step lacks of which nothing else is lacking.
const unconfirmed = "one look at all of it"

// probe sends the probes of the steps, side by side, and adds what came of them to the state.
func (e *Executor) probe(ctx context.Context, steps []*running, now *plan.State) {
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

// markVerified remembers what a hub was verified to run with.
func (e *Executor) markVerified(s plan.Step, now plan.State) {
	switch {
	case len(s.Conditions) == 0:
	case s.Member == "hub":
		e.verified["hub"] = now.Hub.Accepts.Basis
	case s.Member == "standby" && now.Standby != nil:
		e.verified["standby"] = now.Standby.Accepts.Basis
	}
}

// begin begins to verify the step. Where it wrote something, all of it is looked at first: a glance would keep what was
// there before. Where it wrote nothing, all of it was looked at before the wave began.
func (s *running) begin(now time.Time) {
	if !s.Changes() {
		s.wholeAt = now
	}
	s.judges = make([]plan.Judge, 0, len(s.Conditions))
	for _, c := range s.Conditions {
		s.judges = append(s.judges, c.Begin())
	}
}

// evaluate tells the judges of the step what is seen now. It returns a witness for each condition, or the conditions
// that are not met, and what the first of them lacks.
func (s *running) evaluate(before, now plan.State) (witnesses []string, unmet []plan.Condition, lack plan.Evaluation) {
	for i, c := range s.Conditions {
		j := s.judges[i](before, now)
		if c.Member != s.Member {
			j.Evidence = c.Member + ": " + j.Evidence
		}
		switch {
		case j.Met:
			witnesses = append(witnesses, j.Evidence)
			continue
		case unmet == nil:
			lack = j
		}
		unmet = append(unmet, c)
	}
	return witnesses, unmet, lack
}

func outcomeOf(s plan.Step, earlier Outcome, witnesses []string) Outcome {
	o := Outcome{Member: s.Member, State: OK, Why: strings.Join(witnesses, "; ")}
	if s.Changes() || earlier.State == Changed {
		o.State = Changed
	}
	return o
}
