package engine

import (
	"context"
	"slices"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// look is what a run has seen. Looking at every cluster between two waves would cost more with each wave, so a run
// looks at the clusters of the next wave. It looks at all of them before a wave that concerns members which it does
// not name (see concernsAll), when it last did so too long ago, and before it ends.
type look struct {
	plan.State
	whole   bool      // every cluster was looked at since the last wave ended
	at      []string  // else these were
	wholeAt time.Time // when every cluster was looked at last
}

// seenAgain is after how long a run looks again at the clusters that its waves are not about. Somebody may have changed
// one of them: then another wave comes next, or a statement about it must be taken back.
const seenAgain = 10 * time.Minute

// next is the wave that comes next, judged by what its clusters were seen to be after the wave before it had ended.
// That nothing comes next is judged by a look at everything.
func (e *Executor) next(ctx context.Context, l *look) plan.Wave {
	for {
		wave := e.Provider.Next(l.State, e.Goal)
		unseen := slices.DeleteFunc(e.contextsOf(wave.Steps, l.State),
			func(name string) bool { return slices.Contains(l.at, name) })
		switch {
		case l.whole || ctx.Err() != nil:
			return wave
		case len(wave.Steps) == 0 || concernsAll(wave, l.State) || e.Now().Sub(l.wholeAt) >= seenAgain:
			e.lookAtAll(ctx, l)
		case len(unseen) == 0:
			return wave
		default: // and at the hub again, beside them
			l.State = e.observe(ctx, append(e.contextsOf(nil, l.State), unseen...)...)
			l.at = append(l.at, unseen...)
		}
	}
}

// concernsAll says whether a wave concerns members that it does not name: it changes what a hub accepts, it writes
// something in a cluster that holds a hub, or nothing takes it back.
func concernsAll(wave plan.Wave, f plan.State) bool {
	return slices.ContainsFunc(wave.Steps, func(s plan.Step) bool {
		return s.Withdraws != nil || s.Accepts != nil || s.Irreversible || len(s.ByHand) > 0 ||
			slices.ContainsFunc(s.Writes, func(w plan.Write) bool {
				return w.Via != nil || f.Hub.Found && w.Context == f.Hub.Context ||
					f.Standby != nil && w.Context == f.Standby.Context
			})
	})
}

// lookAfter looks at the hub after a wave has ended: its roster says what was verified. The members of the wave are as
// they were seen when their steps ended, and are looked at again when another wave is about them. Without a hub, they
// are looked at. An interrupted look says less than the one before.
func (e *Executor) lookAfter(ctx context.Context, l *look, wave plan.Wave) {
	at := e.contextsOf(nil, l.State)
	if len(at) == 0 {
		at = e.contextsOf(wave.Steps, l.State)
	}
	if l.whole, l.at = false, at; ctx.Err() == nil {
		l.State = e.observe(ctx, at...)
	}
}

// lookAtAll looks at every cluster that was not looked at since the last wave ended.
func (e *Executor) lookAtAll(ctx context.Context, l *look) {
	if l.whole || ctx.Err() != nil {
		return
	}
	if l.State = e.observe(ctx); ctx.Err() == nil {
		l.whole, l.wholeAt = true, l.At
	}
}

// contextsOf lists the contexts that must be looked at to judge the steps: those of the hubs, and of every member that
// a step changes or a condition names.
func (e *Executor) contextsOf(steps []plan.Step, f plan.State) []string {
	var names []string
	add := func(member string) {
		if m := f.Member(member); m != nil && m.Context != "" {
			names = append(names, m.Context)
		}
	}
	if f.Hub.Found {
		names = append(names, f.Hub.Context)
	}
	if f.Standby != nil {
		names = append(names, f.Standby.Context)
	}
	for _, s := range steps {
		add(s.Member)
		for _, c := range s.Conditions {
			add(c.Member)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
