package main

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// renewOptions are the flags of token rotate.
type renewOptions struct {
	*fleetOptions
	goalFlags
	runFlags
	all bool
}

func newTokenRotateCommand(fo *fleetOptions) *cobra.Command {
	o := &renewOptions{fleetOptions: fo, goalFlags: newGoalFlags(fo), runFlags: newRunFlags()}
	cmd := &cobra.Command{
		Use: "rotate [EDGE...]", SuggestFor: []string{"renew", "refresh"}, Args: cobra.ArbitraryArgs,
		Short: "Have the operator make new tokens for edges, one edge first; a token that fails is reverted",
		Long: `Have the tokens of edges made again, for Tetrate Service Bridge, in the vendor's way: the token's secret
(xcp-edge-central-auth-token) is deleted, and the operator makes it again from the cluster's service account. One edge goes first.

An edge is refused where nothing shows that the operator would make another token: without a service account of this very
cluster, or without another unexpired token of the same account; and while a run holds it in flight, or its pods are being
replaced. A copy of the old token is kept as a secret beside it until a new one is there and the edge has pushed to Central
twice since; when no new one comes, the old one is put back. No token is printed, and nothing is changed at the hub.`,
		Example: `  # One edge
  kubectl xcpauth token rotate edge-1

  # Every edge that presents a JWT: one first, then five at a time
  kubectl xcpauth token rotate --all --wave-size 5`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var words []string
			for _, name := range args {
				words = append(words, quote(name))
			}
			o.repeats = strings.Join(append(words, given(cmd.Flags(), "all", "wave-size", "prove-within", "max-failures")), " ")
			o.repeats = strings.TrimSpace(o.repeats)
			return o.run(cmd.Context(), args)
		},
	}
	cmd.Flags().BoolVar(&o.all, "all", false, "every edge that presents a JWT")
	cmd.Flags().IntVar(&o.waveSize, "wave-size", o.waveSize, "how many edges side by side after the first; 0 is all")
	cmd.Flags().DurationVar(&o.within, "prove-within", o.within,
		"how long a new token may take to be verified before the old one is put back; three quarters of what is left of that one's life at most")
	o.runFlags.addFlags(cmd.Flags())
	o.addDiff(cmd.Flags())
	o.addDryRun(cmd.Flags())
	return cmd
}

// run shows what is to be done, asks, and does it.
func (o *renewOptions) run(ctx context.Context, edges []string) error {
	if o.all == (len(edges) > 0) {
		return errors.New("name the edges that are to get a new token, or pass --all; kubectl xcpauth status lists them")
	}
	goal := plan.Goal{Renew: map[string]string{}, Stage: plan.Edges, Pace: plan.Pace{WaveSize: o.waveSize,
		Within: o.within}}
	for _, name := range edges {
		if name == "" || looksLikeToken(name) {
			return errors.New("an edge is named by its name; kubectl xcpauth status lists them")
		}
		goal.Renew[name] = ""
	}
	if o.all {
		goal.Renew[""] = ""
	}
	if err := errors.Join(goal.Check(), o.runFlags.check()); err != nil {
		return err
	}
	live, err := o.clusters(true)
	if err != nil {
		return err
	}
	return o.carry(ctx, live, nil, order{goal: goal, run: o.runFlags, verb: "token rotate"})
}
