package engine

import (
	"context"
	"slices"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// look is what a run has seen. Looking at every cluster between two waves would cost the more the more waves there are,
// so a run looks at those that the next wave is about; and at all of them before it changes anything in a hub's
// cluster, and before it ends: what a hub does concerns every member.
type look struct {
	plan.State
	whole bool     // every cluster was looked at since the last wave ended
	at    []string // else these were
}

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
		case len(wave.Steps) == 0 || changesHub(wave, l.State):
			e.lookAtAll(ctx, l)
		case len(unseen) == 0:
			return wave
		default:
			l.State, l.at = e.observe(ctx, unseen...), append(l.at, unseen...)
		}
	}
}

// changesHub says whether a wave writes anything in a cluster that holds a hub, or withdraws anything.
func changesHub(wave plan.Wave, f plan.State) bool {
	return slices.ContainsFunc(wave.Steps, func(s plan.Step) bool {
		return s.Withdraws != nil || slices.ContainsFunc(s.Writes, func(w plan.Write) bool {
			return f.Hub.Found && w.Context == f.Hub.Context || f.Standby != nil && w.Context == f.Standby.Context
		})
	})
}

// lookAfter looks at the clusters of a wave that has ended. An interrupted look says less than the one before.
func (e *Executor) lookAfter(ctx context.Context, l *look, wave plan.Wave) {
	at := e.contextsOf(wave.Steps, l.State)
	if l.whole, l.at = false, at; ctx.Err() == nil {
		l.State = e.observe(ctx, at...)
	}
}

// lookAtAll looks at every cluster that was not looked at since the last wave ended.
func (e *Executor) lookAtAll(ctx context.Context, l *look) {
	if !l.whole && ctx.Err() == nil {
		l.State, l.whole = e.observe(ctx), true
	}
}

// contextsOf lists the contexts that must be looked at to judge the steps: the hub's, and those of every member that a
// step changes or a condition names.
func (e *Executor) contextsOf(steps []plan.Step, f plan.State) []string {
	var names []string
	add := func(member string) {
		if m := f.Member(member); m != nil && m.Context != "" {
			names = append(names, m.Context)
		}
		if member == "standby" && f.Standby != nil {
			names = append(names, f.Standby.Context)
		}
	}
	if f.Hub.Found {
		names = append(names, f.Hub.Context)
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
