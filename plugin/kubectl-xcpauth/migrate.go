package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// dryRuns are the values of --dry-run.
var dryRuns = []string{"none", "client", "server"}

// migrateOptions are the flags of migrate.
type migrateOptions struct {
	*fleetOptions
	goalFlags
	supplyFlags
	runFlags
	saved string
}

// runFlags are the flags of every verb that carries a plan out.
type runFlags struct {
	yes         bool
	poll        time.Duration
	maxFailures int
	lockTimeout time.Duration
}

func newRunFlags() runFlags { return runFlags{poll: 2 * time.Second} }

func (r *runFlags) addFlags(flags *pflag.FlagSet) { grouped(flags, "run", r.add) }

func (r *runFlags) add(flags *pflag.FlagSet) {
	flags.BoolVarP(&r.yes, "yes", "y", r.yes, "do not ask")
	flags.DurationVar(&r.poll, "poll", r.poll, "how often to look while a step is being verified")
	flags.IntVar(&r.maxFailures, "max-failures", r.maxFailures,
		"how many edges may fail, and be put back, before the run ends")
	addLockTimeout(flags, &r.lockTimeout)
}

// addLockTimeout adds the flag of the verbs that take the lock.
func addLockTimeout(flags *pflag.FlagSet, d *time.Duration) {
	flags.DurationVar(d, "lock-timeout", 0, "how long to wait for another run to end; 0 does not wait")
}

func (r *runFlags) check() error {
	if r.maxFailures < 0 {
		return fmt.Errorf("--max-failures is %d; it must be 0 or more", r.maxFailures)
	}
	return errors.Join(positive("poll", r.poll), notNegative("lock-timeout", r.lockTimeout))
}

func newMigrateCommand(fo *fleetOptions) *cobra.Command {
	o := &migrateOptions{fleetOptions: fo, goalFlags: newGoalFlags(fo), runFlags: newRunFlags()}
	cmd := &cobra.Command{
		Use: "migrate", SuggestFor: []string{"apply"}, GroupID: "migrate", Args: noArguments,
		Short: "Run the plan. Each step is verified before the next; a step that fails is reverted",
		Long: `Do what the plan says: Central's certificate, both modes on at the hub, one canary edge, the other edges in waves, one token
rotation of each, mTLS off at the hub. Of Kong Mesh and Kuma: a signing key, a token for each zone, authentication on at the
global. Each step is verified before the next begins, and put back when the proof fails. Run it again after any interruption: it
restores the wave in flight first, and goes on from what it sees.`,
		Example: `  # Show the plan, ask, and do it
  kubectl xcpauth migrate

  # Try every write on the API servers without storing anything
  kubectl xcpauth migrate --dry-run=server

  # In a pipeline, ten edges at a time, each wave watched for a minute, at most two put back
  kubectl xcpauth migrate --context hub --contexts '/^edge-/' --wave-size 10 --soak 1m --max-failures 2 -y -o json

  # Exactly what was reviewed
  kubectl xcpauth plan --out plan.json
  kubectl xcpauth migrate --plan plan.json

  # Teams that share nothing: the hub's, each edge's, the hub's again
  kubectl xcpauth migrate --to=dual
  kubectl xcpauth migrate --to=edges --no-hub
  kubectl xcpauth migrate --to=jwt-only`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.repeats = given(cmd.Flags(), goalNames...)
			if o.saved != "" {
				o.repeats = strings.TrimSpace("--plan " + quote(o.saved) + " " + given(cmd.Flags(), givenAgain...))
			}
			return o.run(cmd.Context(), cmd.Flags())
		},
	}
	o.goalFlags.addFlags(cmd.Flags())
	grouped(cmd.Flags(), "supply", o.supplyFlags.addFlags)
	completeStages(cmd)
	o.runFlags.addFlags(cmd.Flags())
	grouped(cmd.Flags(), "goal", o.addStandby)
	grouped(cmd.Flags(), "zone", o.addZoneTokens)
	o.addDiff(cmd.Flags())
	cmd.Flags().StringVar(&o.saved, "plan", "",
		"a plan that was saved with plan --out: nothing else is written, and its goal is the goal")
	o.addDryRun(cmd.Flags())
	return cmd
}

// run shows the plan, asks, and carries it out.
func (o *migrateOptions) run(ctx context.Context, flags *pflag.FlagSet) error {
	if err := errors.Join(o.goalFlags.check(), o.runFlags.check()); err != nil {
		return err
	}
	goal, saved, err := o.wanted(flags)
	if err != nil {
		return err
	}
	given, err := o.supplyFlags.read(&goal, saved != nil, o.dryRun != dryRunClient)
	if err != nil {
		return err
	}
	live, err := o.clusters(true)
	if err != nil {
		return err
	}
	given.into(live)
	if err := o.signFlags.into(live, goal); err != nil {
		return err
	}
	live.Where.NoHub = goal.NoHub
	return o.carry(ctx, live, nil, order{goal: goal, saved: saved, run: o.runFlags, verb: "migrate"})
}

// wanted is the goal: of the saved plan when one is given, else of the flags.
func (o *migrateOptions) wanted(flags *pflag.FlagSet) (plan.Goal, *plan.Saved, error) {
	if o.saved == "" {
		return o.goal(), nil, nil
	}
	saved, err := savedFor("migrate", o.saved, flags)
	if err != nil {
		return plan.Goal{}, nil, err
	}
	return saved.Goal, saved, nil
}
