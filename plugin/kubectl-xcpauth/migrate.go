package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/xcpauth/kubectl-xcpauth/pkg/execute"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb"
)

// goalFlags say where a migration is to end, and how.
type goalFlags struct {
	canary string
	within time.Duration
}

func newGoalFlags() goalFlags { return goalFlags{within: 15 * time.Minute} }

func (g *goalFlags) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&g.canary, "canary", g.canary, "the edge to move first; default: the first by name")
	flags.DurationVar(&g.within, "prove-within", g.within, "how long a step may take to be proved before it is put back")
}

func (g *goalFlags) check() error { return positive("prove-within", g.within) }

// positive refuses a duration that cannot be meant.
func positive(flag string, d time.Duration) error {
	if d <= 0 {
		return fmt.Errorf("--%s is %s; it must be more than 0", flag, d)
	}
	return nil
}

func (g *goalFlags) goal() plan.Goal {
	return plan.Goal{To: tsb.JWT, Canary: g.canary, Within: g.within}
}

// migrateOptions are the flags of migrate.
type migrateOptions struct {
	*fleetOptions
	goalFlags
	dryRun string
	yes    bool
	poll   time.Duration
}

func newMigrateCommand(fo *fleetOptions) *cobra.Command {
	o := &migrateOptions{fleetOptions: fo, goalFlags: newGoalFlags(), dryRun: "none", poll: 2 * time.Second}
	cmd := &cobra.Command{
		Use: "migrate", GroupID: "migrate", Args: cobra.NoArgs,
		Short: "do what the plan says, step by step, each proved or put back",
		Long: `Do what the plan says: both modes on at the hub, one canary edge, the other edges, mTLS off at the hub. Each step is
proved before the next begins, and put back when the proof fails. Run it again after any interruption: it restores the
wave in flight first, and goes on from what it sees.`,
		Example: `  # Show the plan, ask, and do it
  kubectl xcpauth migrate

  # Try every write on the API servers without storing anything
  kubectl xcpauth migrate --dry-run=server

  # In a pipeline
  kubectl xcpauth migrate --context hub --contexts '/^edge-/' -y -o json`,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	o.goalFlags.addFlags(cmd.Flags())
	cmd.Flags().StringVar(&o.dryRun, "dry-run", o.dryRun, "none, client (show the plan) or server (send every write with dryRun=All)")
	cmd.Flags().Lookup("dry-run").NoOptDefVal = "client"
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	cmd.Flags().DurationVar(&o.poll, "poll", o.poll, "how often to look while a step is being proved")
	return cmd
}

// run shows the plan, asks, and carries it out.
func (o *migrateOptions) run(ctx context.Context) error {
	if o.dryRun != "none" && o.dryRun != "client" && o.dryRun != "server" {
		return fmt.Errorf("--dry-run is %q; pass none, client or server", o.dryRun)
	}
	if err := o.goalFlags.check(); err != nil {
		return err
	}
	if err := positive("poll", o.poll); err != nil {
		return err
	}
	live, err := o.clusters(true)
	if err != nil {
		return err
	}
	if o.dryRun == "none" && o.yes {
		return o.migrate(ctx, live)
	}
	f := o.observe(ctx, live)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	p := plan.Unfold(live.Dialect, f, o.goal())
	if o.dryRun != "none" {
		return o.show(ctx, live, f, p)
	}
	if len(p.Waves) > 0 || f.Hub.InFlight != "" {
		shown := render.NewPlan(f, p, nil, o.again)
		shown.Next = ""
		shown.Table(o.ErrOut, false)
		if err := o.confirm(ctx); err != nil {
			return err
		}
	}
	return o.migrate(ctx, live)
}

// show prints the plan; with --dry-run=server, with what the API servers said of each write.
func (o *migrateOptions) show(ctx context.Context, live *execute.Live, f plan.Facts, p plan.Plan) error {
	var server map[string][]string
	accepted := true
	if o.dryRun == "server" {
		server, accepted = live.DryRun(ctx, f, p)
	}
	if err := render.Print(o.Out, o.output, render.NewPlan(f, p, server, o.again)); err != nil {
		return err
	}
	if !accepted {
		return &codeError{code: exitRefused, text: "an API server refused a write of the plan; see the lines \"server:\""}
	}
	return planExit(f, p, false)
}

// confirm asks on a terminal, and refuses to go on without one.
func (o *migrateOptions) confirm(ctx context.Context) error {
	in, isFile := o.In.(*os.File)
	errOut, isErrFile := o.ErrOut.(*os.File)
	if !isFile || !isErrFile || !term.IsTerminal(int(in.Fd())) || !term.IsTerminal(int(errOut.Fd())) {
		return &codeError{code: exitRefused, text: "there is no terminal to ask on; pass -y to do what the plan says, or --dry-run=server to try it"}
	}
	fmt.Fprint(o.ErrOut, "Do this? Only yes is yes: ")
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
		if a != "yes" && a != "y" {
			return &codeError{code: exitRefused, text: "not confirmed; nothing was changed"}
		}
	}
	return nil
}

// migrate carries the migration out and prints what became of each member.
func (o *migrateOptions) migrate(ctx context.Context, live *execute.Live) error {
	r := o.executor(live, o.goal(), o.poll).Migrate(ctx)
	if !r.Facts.Hub.Found {
		return &codeError{code: exitError, text: r.Facts.Hub.Err}
	}
	if err := render.Print(o.Out, o.output, render.NewResult(r, o.again("migrate"))); err != nil {
		return err
	}
	if r.Err != nil && !r.Interrupted {
		return r.Err
	}
	if code := r.ExitCode(); code != 0 {
		return &codeError{code: code}
	}
	return nil
}
