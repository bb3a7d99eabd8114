package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

// VerifyMembers lists, verifies and publishes members without changing them, with their fences where they have one: all
// that present the wanted credential when none are named. Without a hub, what was verified is left in Stated, to be
// provided.
func (e *Executor) VerifyMembers(ctx context.Context, names []string) (Result, error) {
	e.verified, e.statements, e.fenceWaived = map[string]string{}, map[string]*plan.Statement{}, map[string]string{}
	f := e.observe(ctx)
	recorded := map[string]Outcome{}
	if !f.Hub.Found && !e.Goal.NoHub {
		return Result{Outcomes: summarize(e.Provider, f, e.Goal, recorded, e.Provider.Next(f, e.Goal), false), Facts: f}, nil
	}
	e.at(f.Hub)
	if e.hub != "" && f.Hub.JournalErr != "" { // then it may not be known either where the roster is
		return Result{Facts: f}, &NotBegunError{Err: fmt.Errorf("nothing was stated: %s; run the command again",
			f.Hub.JournalErr)}
	}
	for _, n := range names {
		if f.Member(n) == nil {
			return Result{Facts: f}, errors.New(f.UnknownMember(n))
		}
	}
	var steps []*running
	failed := map[string]string{}
	var lacking map[string]string
	if f.UsesRoster {
		lacking = MayPublish(ctx, e, f.Hub, slices.DeleteFunc(slices.Clone(f.Members), func(m plan.Member) bool {
			return len(names) > 0 && !slices.Contains(names, m.Name) || m.Err != "" || m.InFlight != ""
		}))
	}
	for _, m := range f.Members {
		if len(names) > 0 && !slices.Contains(names, m.Name) {
			continue
		}
		if m.Err != "" {
			if len(names) > 0 {
				recorded[m.Name] = Outcome{Member: m.Name, State: Unreachable, Why: m.Err}
			}
			continue
		}
		if m.InFlight != "" {
			recorded[m.Name] = Outcome{Member: m.Name, State: Refused,
				Why: "it is in flight, so what is verified of it may be taken back: " + m.InFlight}
			failed[m.Name] = recorded[m.Name].Why
			continue
		}
		s := e.Provider.Verify(f, m, e.Goal)
		if m.Role == plan.RoleEdge && m.Rotation.Seen {
			s.States = plan.StatesRotation // its session is past its first token: that it pushes now shows that it goes on
		}
		if why := lacking[m.Name]; why != "" {
			failed[s.ID] = why
			recorded[m.Name] = Outcome{Member: m.Name, State: Refused, Why: failed[s.ID]}
			continue
		}
		if err := e.enlist(ctx, m); err != nil {
			failed[s.ID] = err.Error()
			recorded[m.Name] = Outcome{Member: m.Name, State: Refused, Why: failed[s.ID]}
			continue
		}
		steps = append(steps, &running{Step: s, deadline: e.Now().Add(s.Timeout)})
	}
	byID := map[string]string{}
	for _, s := range steps {
		byID[s.ID] = s.Member
	}
	e.verify(ctx, slices.Clone(steps), f, failed, recorded)
	e.verifyFences(ctx, steps, failed)
	for id, why := range failed {
		if name := byID[id]; name != "" {
			recorded[name] = Outcome{Member: name, State: Failed, Why: why}
		}
	}
	r := Result{Facts: f, Done: len(failed) == 0, Interrupted: ctx.Err() != nil}
	for _, m := range f.Members {
		o, ok := recorded[m.Name]
		switch {
		case ok:
		case m.Err != "" && m.Context != "":
			o = Outcome{State: Unreachable, Why: m.Err}
		default:
			o = Outcome{State: Skipped, Why: "not asked for"}
		}
		o.Member, o.Context = m.Name, m.Context
		r.Outcomes = append(r.Outcomes, o)
	}
	return r, nil
}

// verifyFences verifies the fences of the members that are verified themselves, and are fenced in; one that does not
// deny is gone without.
func (e *Executor) verifyFences(ctx context.Context, verified []*running, failed map[string]string) {
	if e.Goal.NoFence || ctx.Err() != nil {
		return
	}
	f := e.observe(ctx)
	var steps []*running
	for _, s := range verified {
		m := f.Member(s.Member)
		if failed[s.ID] != "" || m == nil || m.Err != "" || !m.Fence.Current {
			continue
		}
		if s := e.Provider.InstallFence(f, *m, e.Goal); len(s.Writes) == 0 {
			steps = append(steps, &running{Step: s, deadline: e.Now().Add(s.Timeout)})
		}
	}
	without := map[string]string{}
	e.verify(ctx, slices.Clone(steps), f, without, map[string]Outcome{})
	for _, s := range steps {
		if why := without[s.ID]; why != "" {
			e.report(Info, s.Member, "stated without its fence: %s", why)
		}
	}
}

// enlist puts a member into the roster, or renews its entry, when that is needed for a statement about it.
func (e *Executor) enlist(ctx context.Context, m plan.Member) error {
	entry := plan.Write{Context: e.hub, Object: roster.Ref(e.namespace, m.Name), Op: plan.OpCreate,
		After: roster.EntryObject(e.namespace, m)}
	switch {
	case e.hub == "", m.Registered && !m.EntryStale:
		return nil
	case m.EntryStale:
		entry.Op, entry.After = plan.OpUpdate, roster.Renewal(m)
	}
	if _, err := e.write(ctx, entry, nil); err != nil {
		return fmt.Errorf("%w; kubectl xcpauth migrate installs the roster where it is not", err)
	}
	return nil
}

// publish states what was verified of a member: in the roster, or without a hub in the result; nowhere where the
// product has no roster.
func (e *Executor) publish(ctx context.Context, s plan.Step, f plan.State, witnesses []string) error {
	if !f.UsesRoster {
		return nil
	}
	// once more: somebody who looked before the edge went back may have published since
	if s.States == plan.StatesRetraction && e.hub != "" {
		if err := e.retractStatement(ctx, s.Member); err != nil {
			e.report(Info, s.Member, "it is back, and what may be stated of it in the roster could not be taken back again: %v",
				err)
		}
		return nil
	}
	if s.States == plan.StatesNothing || s.States == plan.StatesRetraction {
		return nil
	}
	m := f.Member(s.Member)
	if m == nil || !slices.Equal(m.Evidence.Presents, []guard.Cred{e.Goal.To}) {
		return fmt.Errorf("verified, but by now it may present something else; nothing was stated about it")
	}
	if err := e.notInFlight(ctx, *m); err != nil {
		return err
	}
	rotated := s.States == plan.StatesRotation || s.States != plan.StatesAnew && m.Statement != nil &&
		m.Statement.Invalid == "" && m.Statement.Rotated
	var fence *api.FenceStatus
	switch {
	case s.States == plan.StatesFence:
		fence = &api.FenceStatus{Binding: m.Fence.Binding.Name, UID: m.Fence.ID(), ProvenTime: metav1.NewTime(f.At)}
	case m.Fence.Verified && s.States != plan.StatesAnew:
		fence = &api.FenceStatus{Binding: m.Fence.Binding.Name, UID: m.Fence.ID(),
			ProvenTime: metav1.NewTime(m.Statement.FenceSeen)}
	}
	if s.States == plan.StatesFence && m.Statement != nil {
		// what was seen of its pods before still stands
		witnesses = slices.Concat(m.Statement.Evidence, witnesses[len(witnesses)-1:])
	}
	st := roster.Statement(*m, e.Goal.To, rotated, fence, witnesses, e.by(ctx, cmp.Or(e.hub, m.Context)), f.At)
	if e.hub != "" {
		return e.Publish(ctx, e.hub, *m, st)
	}
	entry := roster.Entry(e.namespace, *m)
	entry.Status = st
	e.statements[m.Name] = roster.StatementOf(entry, f.At)
	for i := range e.Statements {
		if e.Statements[i].Name == entry.Name {
			e.Statements[i] = entry
			return nil
		}
	}
	e.Statements = append(e.Statements, entry)
	return nil
}

// notInFlight asks, in a run that is not the only writer, whether the one that is has hold of a member. It is asked
// after the member was seen: a run writes its wave down before it takes back what is stated, and that before it
// changes the member. A run that was the only writer asks whether it still is.
func (e *Executor) notInFlight(ctx context.Context, m plan.Member) error {
	if e.journals != nil {
		return e.whileLocked(nil)()
	}
	held := m.InFlight
	if held == "" && e.hub != "" {
		j, err := e.ReadJournal(ctx, e.hub)
		if err != nil {
			return err
		}
		held = j.Holds(m.Name, m.ClusterUID)
	}
	if held != "" {
		return fmt.Errorf("it is in flight, so what is verified of it may be taken back: %s; nothing was stated about it",
			held)
	}
	return nil
}
