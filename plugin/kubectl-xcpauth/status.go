package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb"
)

func newStatusCommand(o *fleetOptions) *cobra.Command {
	return &cobra.Command{
		Use: "status", GroupID: "observe", Args: cobra.NoArgs,
		Short: "show what each member presents, how far that is proved, and what is next",
		Example: `  # Show the hub and every edge that the kubeconfig reaches
  kubectl xcpauth status

  # Only some clusters, as JSON
  kubectl xcpauth status --context hub --contexts '/^edge-/' -o json`,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.status(cmd.Context()) },
	}
}

// status looks at everything, changes nothing, and prints one row for each member and each other context.
func (o *fleetOptions) status(ctx context.Context) error {
	live, err := o.clusters(true)
	if err != nil {
		return err
	}
	f := o.observe(ctx, live)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	report := render.NewStatus(f, plan.Unfold(live.Dialect, f, plan.Goal{To: tsb.JWT}), o.again)
	if err := render.Print(o.Out, o.output, report); err != nil {
		return err
	}
	switch {
	case !f.Hub.Found:
		return &codeError{code: exitError, text: f.Hub.Err}
	case report.Unreachable():
		return &codeError{code: exitPartial}
	}
	return nil
}
