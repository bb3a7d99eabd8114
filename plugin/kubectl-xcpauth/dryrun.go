package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/xcpauth/kubectl-xcpauth/pkg/apply"
	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
	"github.com/xcpauth/kubectl-xcpauth/pkg/enrol"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
)

// The values of --dry-run, as of kubectl.
const (
	dryRunNone   = "none"
	dryRunClient = "client"
	dryRunServer = "server"
)

// boolDryRuns are what --dry-run=true and --dry-run=false mean: of some verbs the flag had no other values.
var boolDryRuns = map[string]string{"true": dryRunClient, "false": dryRunNone}

// addDryRun adds the flag of the verbs that write.
func (o *fleetOptions) addDryRun(flags *pflag.FlagSet) {
	flags.StringVar(&o.dryRun, "dry-run", o.dryRun,
		"none, client (show what would be written; the same without a value) or server (send each write with dryRun=All "+
			"too: nothing is stored)")
	flags.Lookup("dry-run").NoOptDefVal = dryRunClient
}

// checkDryRun reads the value. One that is not known is refused, before any cluster is looked at.
func (o *fleetOptions) checkDryRun() error {
	if meant, is := boolDryRuns[o.dryRun]; is {
		o.dryRun = meant
	}
	switch o.dryRun {
	case dryRunNone, dryRunClient, dryRunServer:
		return nil
	}
	return fmt.Errorf("--dry-run is %q; pass none, client or server", o.dryRun)
}

// isDryRun says whether nothing may be written.
func (o *fleetOptions) isDryRun() bool { return o.dryRun != dryRunNone }

// tryPlan prints a plan in place of carrying it out; with --dry-run=server, with what the API servers said of each
// write. verb is the one that would carry it out; "" leaves that to the plan.
func (o *fleetOptions) tryPlan(ctx context.Context, live *apply.Live, f plan.State, p plan.Plan, poll time.Duration,
	verb string) error {
	with := o.details(poll)
	accepted := true
	if o.dryRun == dryRunServer {
		with.Server, accepted = live.DryRun(ctx, f, p)
	}
	return o.tried(ctx, f, p, with, accepted, verb)
}

// try prints what a verb of the roster would do, each write with what it does to its object.
func (o *fleetOptions) try(ctx context.Context, t *enrol.Trial, err error, verb string) error {
	var notBegun *engine.NotBegunError
	switch {
	case errors.As(err, &notBegun):
		return &codeError{code: exitRefused, text: err.Error()}
	case err != nil:
		return err
	}
	with := render.Details{Diff: true, Untimed: true}
	accepted := true
	if o.dryRun == dryRunServer {
		with.Server, accepted = t.Try(ctx)
	}
	return o.tried(ctx, t.State, t.Plan, with, accepted, verb)
}

// tried prints a plan that was not carried out, and ends with its code.
func (o *fleetOptions) tried(ctx context.Context, f plan.State, p plan.Plan, with render.Details, accepted bool,
	verb string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	again := o.again
	if verb != "" {
		again = func(string) string { return o.again(verb) }
	}
	if err := o.print(render.NewPlan(f, p, with, again)); err != nil {
		return err
	}
	if len(p.Waves) > 0 {
		fmt.Fprintln(o.ErrOut, "Dry run: nothing was changed.")
	}
	if !accepted {
		return &codeError{code: exitRefused, text: "an API server refused a write of the plan; see the lines \"server:\""}
	}
	return planExit(f, p, false)
}
