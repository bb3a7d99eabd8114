package estimate

import (
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Limits are how a run looks while it verifies.
type Limits struct {
	Look time.Duration // how long one look may take
	Poll time.Duration // how often it looks
}

// longestPause is how many polls a run waits at most between two looks (see pkg/engine, verify.go).
const longestPause = 5

// Time is how long something takes.
type Time struct {
	Known    time.Duration // as far as it is known
	Complete bool          // that is all of it: nothing that is not known comes on top
	AtMost   time.Duration // the sum of the limits, writes left out
	Limited  bool          // there is such a limit
}

// Plan is how long each wave of a plan takes, and all of them, from the state that the plan was made of.
func Plan(f plan.State, p plan.Plan, l Limits) (waves []Time, all Time) {
	all = Time{Complete: true, Limited: true}
	began := f.At
	past := history(f)
	predicted := plan.Predict(f)
	for _, w := range p.Waves {
		t := wave(predicted.State, w, l, began.Add(all.Known), past)
		waves = append(waves, t)
		all.Known += t.Known
		all.AtMost += t.AtMost
		all.Complete = all.Complete && t.Complete
		all.Limited = all.Limited && t.Limited
		predicted.Do(w.Steps)
	}
	return waves, all
}

// Wave is how long a wave takes that begins now.
func Wave(f plan.State, w plan.Wave, l Limits) Time { return wave(f, w, l, f.At, history(f)) }

// wave is how long a wave takes that begins at a time: its steps run side by side.
func wave(f plan.State, w plan.Wave, l Limits, began time.Time, past []plan.WaveRecord) Time {
	all := Time{Complete: true, Limited: true}
	// before the wave; when a step runs out of its time; to confirm that one is verified; after the wave
	looks := 4 * l.Look
	for _, s := range w.Steps {
		t := step(f, s, began)
		all.Known, all.AtMost = max(all.Known, t.Known), max(all.AtMost, t.AtMost)
		all.Complete, all.Limited = all.Complete && t.Complete, all.Limited && t.Limited
		if s.Withdraws != nil {
			looks += l.Look
		}
	}
	if took := lastTook(past, w); took > 0 && !all.Complete && !announced(w) {
		all.Known, all.Complete = max(all.Known, took), true
	}
	if all.AtMost += looks + 2*longestPause*l.Poll; !all.Limited { // before the last look, and before it is confirmed
		all.AtMost = 0
	}
	return all
}

// step is how long a step takes. Its timeout runs from its writes on, and again from the end of a wait that only time
// ends. A process that starts again meanwhile begins its wait again: nothing limits that.
func step(f plan.State, s plan.Step, began time.Time) Time {
	t := Time{Complete: true, Limited: true}
	if len(s.Conditions) == 0 {
		t.Complete = s.Supply == nil // who makes it takes as long as it does
		return t
	}
	t.AtMost = s.Timeout
	changes := s.Changes() && !s.RecordOnly
	for _, c := range s.Conditions {
		w := c.Wait
		if w == nil { // it takes no time where it is met already, and nothing is changed
			t.Complete = t.Complete && !changes && c.Evaluate(f, f).Met
			continue
		}
		t.Complete = t.Complete && w.Known()
		t.Known += remaining(*w, began)
		switch {
		case w.Within:
		case w.AtMost == 0:
			t.Limited = false
		case w.First:
			t.AtMost = max(t.AtMost, w.AtMost+s.Timeout)
		default:
			t.AtMost += w.AtMost + s.Timeout
		}
	}
	return t
}

// remaining is how much of a wait is known to be left at a time.
func remaining(w plan.Wait, at time.Time) time.Duration {
	if w.Until.IsZero() {
		return w.For
	}
	return max(w.Until.Sub(at), 0)
}

// announced says whether a wave waits for a moment that is its own: how long such a wave took before says nothing.
func announced(w plan.Wave) bool {
	return slices.ContainsFunc(w.Steps, func(s plan.Step) bool {
		return slices.ContainsFunc(s.Conditions, func(c plan.Condition) bool { return c.Wait != nil && c.Wait.First })
	})
}

// lastTook is how long the last verified wave took that had steps of the same kinds, 0 when there is none.
func lastTook(past []plan.WaveRecord, w plan.Wave) time.Duration {
	var ids []string
	for _, s := range w.Steps {
		ids = append(ids, s.ID)
	}
	kinds := kindsOf(ids)
	for _, r := range slices.Backward(past) {
		if r.Result == plan.ResultVerified && slices.Equal(kindsOf(r.Steps), kinds) {
			return r.Ended.Sub(r.Began)
		}
	}
	return 0
}

// kindsOf are the kinds of steps, which their IDs begin with, each once.
func kindsOf(ids []string) []string {
	var kinds []string
	for _, id := range ids {
		kind, _, _ := strings.Cut(id, "/")
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

// history is the waves that were carried out in the hub and by runs without it, oldest first.
func history(f plan.State) []plan.WaveRecord {
	past := slices.Clone(f.Hub.History)
	for _, m := range f.Members {
		past = append(past, m.History...)
	}
	slices.SortStableFunc(past, func(a, b plan.WaveRecord) int { return a.Ended.Compare(b.Ended) })
	return past
}
