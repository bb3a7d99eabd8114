package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/apply"
	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
)

// order is what a verb asks for that carries a plan out.
type order struct {
	goal  plan.Goal
	saved *plan.Saved // the plan that was reviewed; nil = the one that is shown
	run   runFlags
	verb  string // how to go on
}

// carry shows what an order comes to, asks, and does it; with --dry-run it tries it instead. A wave that an interrupted
// run left is restored first, after a question of its own: what is left to do is known only then. seen is the state
// where the caller has looked; nil looks.
func (o *fleetOptions) carry(ctx context.Context, live *apply.Live, seen *plan.State, w order) error {
	if !o.isDryRun() && w.run.yes {
		return o.carryOut(ctx, live, w)
	}
	if seen == nil {
		f := o.observe(ctx, live)
		seen = &f
	}
	if err := errors.Join(ctx.Err(), o.refusal()); err != nil {
		return err
	}
	if unknown := notThere(*seen, w.goal); unknown != "" {
		return &codeError{code: exitRefused, text: unknown}
	}
	f, p := *seen, plan.Build(live.Provider, *seen, w.goal)
	if o.isDryRun() {
		if err := stale(w.saved, f, p); err != nil {
			return err
		}
		verb := w.verb
		if verb == "migrate" {
			verb = "" // the plan knows how to go on
		}
		return o.tryPlan(ctx, live, f, p, w.run.poll, verb)
	}
	if render.Interrupted(f) != "" {
		if err := o.restore(ctx, live, f, w); err != nil {
			return err
		}
		f = o.observe(ctx, live)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		p = plan.Build(live.Provider, f, w.goal)
	}
	if err := stale(w.saved, f, p); err != nil {
		return err
	}
	if err := o.agree(ctx, f, p, w.run.poll); err != nil {
		return err
	}
	return o.carryOut(ctx, live, w)
}

// restore asks, and restores what an interrupted run left in flight.
func (o *fleetOptions) restore(ctx context.Context, live *apply.Live, f plan.State, w order) error {
	render.Paragraph(o.page(o.ErrOut, o.screen), "First: ", render.Interrupted(f))
	if err := o.confirm(ctx, "Do you want to restore that now, and see the plan for the rest then?"); err != nil {
		return err
	}
	e, end := o.executor(live, w.goal, w.run.poll)
	e.Saved, e.LockTimeout = w.saved, w.run.lockTimeout
	r := e.Restore(ctx)
	end()
	if r.Err == nil && !r.Interrupted {
		fmt.Fprintln(o.ErrOut)
		return nil
	}
	return o.ended(r, w)
}

// agree shows the plan and asks, when there is anything to do.
func (o *fleetOptions) agree(ctx context.Context, f plan.State, p plan.Plan, poll time.Duration) error {
	if len(p.Waves) == 0 {
		return nil
	}
	shown := render.NewPlan(f, p, o.details(poll), o.again)
	shown.Next = ""
	if err := render.Print(o.page(o.ErrOut, o.screen), render.Format{Name: "table"}, shown); err != nil {
		return err
	}
	return o.confirm(ctx, "Do you want to carry out this plan?")
}

// confirm asks on a terminal, and refuses to go on without one.
func (o *fleetOptions) confirm(ctx context.Context, question string) error {
	if !isTerminal(o.In) || !isTerminal(o.screen.w) {
		return &codeError{code: exitRefused,
			text: "there is no terminal to ask on; pass -y to do what the plan says, or --dry-run=server to try it"}
	}
	fmt.Fprint(o.ErrOut, question+" Only 'yes' is accepted: ")
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(o.In).ReadString('\n')
		answer <- strings.TrimSpace(line)
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(o.ErrOut, "nothing was changed")
		return ctx.Err()
	case a := <-answer:
		if a != "yes" {
			return &codeError{code: exitRefused, text: "not confirmed; nothing was changed"}
		}
	}
	return nil
}

// stale refuses a saved plan that is not what would be done now, before anybody is asked about it. The run asks again
// before each wave.
func stale(saved *plan.Saved, f plan.State, p plan.Plan) error {
	err := saved.Fits(f)
	for _, w := range p.Waves {
		err = errors.Join(err, saved.Allows(w))
		if err != nil {
			return &codeError{code: exitRefused, text: err.Error()}
		}
	}
	return nil
}

// notThere says that the one member that a goal is about is none, "" where it is there or the goal is about all.
func notThere(f plan.State, goal plan.Goal) string {
	if goal.Only == "" || f.Member(goal.Only) != nil {
		return ""
	}
	return f.UnknownMember(goal.Only)
}

// carryOut does what an order asks for, and prints what became of each member.
func (o *fleetOptions) carryOut(ctx context.Context, live *apply.Live, w order) error {
	e, end := o.executor(live, w.goal, w.run.poll)
	e.MaxFailures, e.Saved, e.LockTimeout = w.run.maxFailures, w.saved, w.run.lockTimeout
	r := e.Migrate(ctx)
	end()
	return o.ended(r, w)
}

// ended prints what became of each member, and ends with the code of the run.
func (o *fleetOptions) ended(r engine.Result, w order) error {
	if err := o.refusal(); err != nil {
		return err
	}
	if !r.Facts.Hub.Found && !w.goal.NoHub {
		return &codeError{code: exitError, text: r.Facts.Hub.Err}
	}
	if unknown := notThere(r.Facts, w.goal); unknown != "" {
		return &codeError{code: exitRefused, text: unknown + "; nothing was changed"}
	}
	var locked *engine.LockedError
	if errors.As(r.Err, &locked) && !r.Interrupted {
		return &codeError{code: r.ExitCode(), text: r.Err.Error()}
	}
	if err := o.print(render.NewResult(r, o.again(w.verb))); err != nil {
		return err
	}
	if code := r.ExitCode(); code != 0 {
		text := ""
		if r.Err != nil && !r.Interrupted {
			text = r.Err.Error()
		}
		return &codeError{code: code, text: text}
	}
	return nil
}
