package main

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// rollbackOptions are the flags of rollback.
type rollbackOptions struct {
	*fleetOptions
	goalFlags
	runFlags
	edge, saved string
}

func newRollbackCommand(fo *fleetOptions) *cobra.Command {
	o := &rollbackOptions{fleetOptions: fo, goalFlags: newGoalFlags(fo), runFlags: newRunFlags()}
	cmd := &cobra.Command{
		Use: "rollback [EDGE]", GroupID: "migrate", Args: cobra.MaximumNArgs(1),
		Short: "Undo a migration: the hub accepts both, and edges present their certificate again",
		Long: `Take a migration back. The hub accepts both modes again, then every edge that a migration moved presents its certificate
again, each verified. A hub that a migration left with JWTs alone accepts both again even where edges are not reached. It ends at
explicit values, and says where these differ from what there was originally. It needs the certificates of the edges, which
only migrate --cleanup deletes. The hub goes on accepting JWTs, since its own MPC may present one for as long as it does. Of
Kong Mesh and Kuma: the global authenticates nobody again, if it did not before, then every zone presents what it did.`,
		Example: `  # Everything back
  kubectl xcpauth rollback

  # Try every write on the API servers without storing anything
  kubectl xcpauth rollback --dry-run=server

  # Exactly what was reviewed
  kubectl xcpauth plan --rollback --out back.json
  kubectl xcpauth rollback --plan back.json

  # One edge
  kubectl xcpauth rollback edge-1

  # An edge's own team, without access to the hub
  kubectl xcpauth rollback --no-hub --contexts edge-1`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneMember(cmd.Flags(), "edge", &o.edge, args); err != nil {
				return err
			}
			o.repeats = strings.TrimSpace(words(args) + " " + given(cmd.Flags(), goalNames...))
			if o.saved != "" {
				o.repeats = strings.TrimSpace("--plan " + quote(o.saved) + " " + given(cmd.Flags(), givenAgain...))
			}
			return o.run(cmd.Context(), cmd.Flags(), args)
		},
	}
	cmd.Flags().StringVar(&o.edge, "edge", "", "the one edge to take back; default: every edge that a migration moved")
	cmd.Flags().BoolVar(&o.noHub, "no-hub", false, "without access to the hub; it must accept both modes already")
	cmd.Flags().BoolVar(&o.hubAgrees, "hub-agrees", false,
		"with --no-hub: the hub's team relies no more on what was provided of these edges")
	o.goalFlags.addWaveFlags(cmd.Flags())
	o.runFlags.addFlags(cmd.Flags())
	grouped(cmd.Flags(), "goal", o.addQuiet)
	grouped(cmd.Flags(), "goal", o.addStandby)
	grouped(cmd.Flags(), "zone", o.addZoneTokens)
	o.addDiff(cmd.Flags())
	cmd.Flags().StringVar(&o.saved, "plan", "",
		"a plan that was saved with plan --rollback --out: nothing else is written, and its goal is the goal")
	o.addDryRun(cmd.Flags())
	return cmd
}

// run shows the way back, asks, and goes it.
func (o *rollbackOptions) run(ctx context.Context, flags *pflag.FlagSet, args []string) error {
	if err := o.checkQuiet(); err != nil {
		return err
	}
	goal := o.goal().WayBack(o.edge)
	var saved *plan.Saved
	if o.saved != "" {
		var err error
		if saved, err = savedFor("rollback", o.saved, flags, args...); err != nil {
			return err
		}
		goal = saved.Goal
	}
	if err := errors.Join(goal.Check(), o.runFlags.check()); err != nil {
		return err
	}
	live, err := o.clusters(true)
	if err != nil {
		return err
	}
	live.Where.NoHub = goal.NoHub
	return o.carry(ctx, live, nil, order{goal: goal, saved: saved, run: o.runFlags, verb: "rollback"})
}
