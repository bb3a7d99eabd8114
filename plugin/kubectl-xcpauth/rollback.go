package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// rollbackOptions are the flags of rollback.
type rollbackOptions struct {
	*fleetOptions
	goalFlags
	runFlags
	edge string
}

func newRollbackCommand(fo *fleetOptions) *cobra.Command {
	o := &rollbackOptions{fleetOptions: fo, goalFlags: newGoalFlags(fo), runFlags: newRunFlags()}
	cmd := &cobra.Command{
		Use: "rollback", GroupID: "migrate", Args: cobra.NoArgs,
		Short: "Undo a migration: the hub accepts both, and edges present their certificate again",
		Long: `Take a migration back. The hub accepts both modes again, then every edge that a migration moved presents its certificate
again, each verified. A hub that a migration left with JWTs alone accepts both again even where edges are not reached. It ends at
explicit values, and says where these differ from what there was originally. It needs the certificates of the edges, which
only migrate --cleanup deletes. The hub goes on accepting JWTs, since its own MPC may present one for as long as it does. Of
Kong Mesh and Kuma: the global authenticates nobody again, if it did not before, then every zone presents what it did.`,
		Example: `  # Everything back
  kubectl xcpauth rollback

  # One edge
  kubectl xcpauth rollback --edge edge-1

  # An edge's own team, without access to the hub
  kubectl xcpauth rollback --no-hub --contexts edge-1`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.repeats = given(cmd.Flags(), goalNames...)
			return o.run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&o.edge, "edge", "", "the one edge to take back; default: every edge that a migration moved")
	cmd.Flags().BoolVar(&o.noHub, "no-hub", false, "without access to the hub; it must accept both modes already")
	cmd.Flags().BoolVar(&o.hubAgrees, "hub-agrees", false,
		"with --no-hub: the hub's team relies no more on what was provided of these edges")
	o.goalFlags.addWaveFlags(cmd.Flags())
	o.runFlags.addFlags(cmd.Flags())
	grouped(cmd.Flags(), "goal", o.addStandby)
	grouped(cmd.Flags(), "zone", o.addZoneTokens)
	o.addDiff(cmd.Flags())
	return cmd
}

// run shows the way back, asks, and goes it.
func (o *rollbackOptions) run(ctx context.Context) error {
	goal := o.goal()
	goal.Back, goal.Only, goal.Stage = true, o.edge, plan.Edges
	if err := errors.Join(goal.Check(), o.runFlags.check()); err != nil {
		return err
	}
	live, err := o.clusters(true)
	if err != nil {
		return err
	}
	live.Where.NoHub = goal.NoHub
	if !o.yes {
		f := o.observe(ctx, live)
		if err := errors.Join(ctx.Err(), o.refusal()); err != nil {
			return err
		}
		if err := o.agree(ctx, f, plan.Build(live.Provider, f, goal), o.poll); err != nil {
			return err
		}
	}
	return o.carryOut(ctx, live, goal, nil, o.runFlags, "rollback")
}
