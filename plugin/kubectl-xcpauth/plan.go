package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
)

// planOptions are the flags of plan.
type planOptions struct {
	*fleetOptions
	goalFlags
	detailed bool
}

func newPlanCommand(fo *fleetOptions) *cobra.Command {
	o := &planOptions{fleetOptions: fo, goalFlags: newGoalFlags()}
	cmd := &cobra.Command{
		Use: "plan", GroupID: "migrate", Args: cobra.NoArgs,
		Short: "show every step that is left, with its change, proof and way back",
		Example: `  # Show what migrate would do
  kubectl xcpauth plan

  # For a pipeline: exit 2 when something is left to do
  kubectl xcpauth plan --detailed-exitcode -o json`,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	o.goalFlags.addFlags(cmd.Flags())
	cmd.Flags().BoolVar(&o.detailed, "detailed-exitcode", false, "exit 2 when changes are pending")
	return cmd
}

func (o *planOptions) run(ctx context.Context) error {
	if err := o.goalFlags.check(); err != nil {
		return err
	}
	live, err := o.clusters(true)
	if err != nil {
		return err
	}
	f := o.observe(ctx, live)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	p := plan.Unfold(live.Dialect, f, o.goal())
	if err := render.Print(o.Out, o.output, render.NewPlan(f, p, nil, o.again)); err != nil {
		return err
	}
	return planExit(f, p, o.detailed)
}

// planExit is the code that a plan ends with: 1 without a hub, 5 when nothing can be begun, 4 when a part cannot, 2 when
// changes are pending and that was asked for.
func planExit(f plan.Facts, p plan.Plan, detailed bool) error {
	switch {
	case !f.Hub.Found:
		return &codeError{code: exitError, text: f.Hub.Err}
	case len(p.Blocked) > 0 && len(p.Waves) == 0:
		return &codeError{code: exitRefused}
	case len(p.Blocked) > 0:
		return &codeError{code: exitPartial}
	case detailed && len(p.Waves) > 0:
		return &codeError{code: exitPending}
	}
	return nil
}
