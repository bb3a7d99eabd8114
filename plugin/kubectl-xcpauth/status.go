package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/xcpauth/kubectl-xcpauth/pkg/apply"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
)

// statusOptions are the flags of status.
type statusOptions struct {
	*fleetOptions
	names                    []string // the members to show; all when there are none
	noHub, history, watching bool
	interval                 time.Duration
	began                    time.Time // of the first look that was printed
}

func newStatusCommand(fo *fleetOptions) *cobra.Command {
	o := &statusOptions{fleetOptions: fo, interval: 5 * time.Second}
	cmd := &cobra.Command{
		Use: "status [NAME...]", GroupID: "observe",
		Short: "Show each cluster's current authentication, whether it is verified, and the next step",
		Example: `  # Show the hub and every edge that the kubeconfig reaches
  kubectl xcpauth status

  # One edge, with what shows how it is
  kubectl xcpauth status edge-1

  # Only some clusters, as JSON
  kubectl xcpauth status --context hub --contexts '/^edge-/' -o json

  # Go on looking until Ctrl-C; in a pipeline one line for each change, with -o json one report for each look
  kubectl xcpauth status --watch --interval 30s

  # The waves that changed something: when, by whom, what became of each
  kubectl xcpauth status --history

  # What an edge's own team sees, without access to the hub
  kubectl xcpauth status --no-hub --contexts edge-1`,
		RunE: func(cmd *cobra.Command, names []string) error {
			o.names = names
			return o.run(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&o.history, "history", false, "show the waves that changed something instead, newest last")
	cmd.Flags().BoolVarP(&o.watching, "watch", "w", false,
		"look again and again until Ctrl-C, and end with the exit code of the last look")
	cmd.Flags().DurationVar(&o.interval, "interval", o.interval, "of --watch: how long to wait between two looks")
	cmd.Flags().BoolVar(&o.noHub, "no-hub", false, "look at edges alone, without access to the hub")
	o.addStandby(cmd.Flags())
	o.addZoneTokens(cmd.Flags())
	return cmd
}

// run looks at everything, changes nothing, and prints one row for each member and each other context; or what was
// done before.
func (o *statusOptions) run(ctx context.Context) error {
	if o.history && o.watching {
		return errors.New("--history is what was, and --watch what is; pass one of them")
	}
	if len(o.names) > 0 && (o.history || o.watching) {
		return errors.New("names of members go with neither --history nor --watch")
	}
	if err := positive("interval", o.interval); err != nil {
		return err
	}
	live, err := o.clusters(true)
	if err != nil {
		return err
	}
	live.Where.NoHub = o.noHub
	if o.watching {
		return o.watch(ctx, live)
	}
	f := o.observe(ctx, live)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	o.remember(f)
	report := o.report(live, f)
	if len(o.names) > 0 {
		if report, err = report.Only(o.names); err != nil {
			return err
		}
	}
	var shown render.Report = report
	if o.history {
		shown = render.NewHistory(f)
	}
	if err := o.print(shown); err != nil {
		return err
	}
	return o.exit(f, report)
}

// report makes the report of a look, with the commands that go on from it.
func (o *statusOptions) report(live *apply.Live, f plan.State) render.Status {
	goal := plan.Goal{}
	o.repeats = ""
	if o.standby != "" && !o.fromFile["standby"] {
		o.repeats = "--standby " + quote(o.standby)
	}
	if o.noHub {
		goal.NoHub, goal.Stage = true, plan.Edges
		o.repeats = fmt.Sprintf("--to=%s --no-hub", plan.Edges)
	}
	return render.NewStatus(f, plan.Build(live.Provider, f, goal), o.again)
}

// exit is the code that a look ends with: 1 without a hub, 4 when something could not be looked at, or when a member is
// known not to be connected.
func (o *statusOptions) exit(f plan.State, report render.Status) error {
	switch {
	case o.refusal() != nil:
		return o.refusal()
	case !f.Hub.Found && !o.noHub:
		return &codeError{code: exitError, text: f.Hub.Err}
	case report.Unreachable(), report.Down():
		return &codeError{code: exitPartial}
	}
	return nil
}
