package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
	"github.com/xcpauth/kubectl-xcpauth/pkg/enrol"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

func newEdgeCommand(o *fleetOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use: "edge", GroupID: "roster", Args: noArguments,
		Short: "List, publish, register and forget the members in the hub's roster",
		Long: `The roster in the hub lists the members that must be safe before the hub withdraws a credential. The admission webhook
decides from it: from the last statement about a member, or from what it reads in a registered member's own cluster. A member
without a fresh statement, or that cannot be read, is unknown, and unknown is unsafe.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newEdgeListCommand(o), takesNames(newEdgePublishCommand(o)), takesNames(newEdgeRegisterCommand(o)),
		takesNames(newEdgeUnregisterCommand(o)), takesNames(newEdgeForgetCommand(o)))
	return cmd
}

func newEdgeListCommand(o *fleetOptions) *cobra.Command {
	return &cobra.Command{
		Use: "list", Args: noArguments,
		Short: "List the roster: who is registered, and what was last stated of each",
		Example: `  # List the roster of the hub
  kubectl xcpauth edge list`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			live, err := o.clusters(false)
			if err != nil {
				return err
			}
			entries, at, err := enrol.Enroller{Live: live}.Roster(cmd.Context())
			if err != nil {
				return err
			}
			return o.print(render.NewRoster(entries, state.Words, at))
		},
	}
}

// forgetOptions are the flags of edge forget.
type forgetOptions struct {
	*fleetOptions
	reason      string
	alive       bool
	lockTimeout time.Duration
}

func newEdgeForgetCommand(fo *fleetOptions) *cobra.Command {
	o := &forgetOptions{fleetOptions: fo}
	cmd := &cobra.Command{
		Use: "forget EDGE", Args: cobra.ExactArgs(1),
		Short: "Remove a decommissioned member from the roster, and write an Event with the reason",
		Long: `Take a decommissioned member out of the roster, leaving an Event with the reason. While the hub's own inventory lists the
cluster (clusters.xcp.tetrate.io in the management plane's namespace), it still counts: delete that object first, as TSB's
documentation on removing a cluster says.`,
		Example: `  # The cluster is gone for good
  kubectl xcpauth edge forget edge-2 --reason 'cluster deleted, CHG-1234'`,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	cmd.Flags().StringVar(&o.reason, "reason", "", "why the member no longer counts; required, and kept in an Event")
	cmd.Flags().BoolVar(&o.alive, "alive", false, "forget it although it is running: from then on the hub may refuse it")
	addLockTimeout(cmd.Flags(), &o.lockTimeout)
	o.addDryRun(cmd.Flags())
	return cmd
}

func (o *forgetOptions) run(ctx context.Context, name string) error {
	if o.reason == "" {
		return fmt.Errorf("forgetting %s needs --reason: from then on nothing keeps the hub from refusing it", name)
	}
	if err := notNegative("lock-timeout", o.lockTimeout); err != nil {
		return err
	}
	live, err := o.clusters(false)
	if err != nil {
		return err
	}
	if o.alive {
		if f := o.observe(ctx, live); f.Hub.Found && f.Hub.Accepts.Accepts[state.MTLS] != guard.Yes {
			fmt.Fprintf(o.ErrOut, "warning: the hub does not surely accept certificates; once %s presents one again, it is cut off. "+
				"First set spec.components.xcp.centralAuthModes of its %s to {jwt: true, mutualTls: true}\n", name, f.Hub.Object)
		}
	}
	if o.isDryRun() {
		t, err := enrol.Enroller{Live: live}.TryForget(ctx, name, userAt(""), o.reason, o.alive)
		verb := "edge forget " + quote(name) + " --reason " + quote(o.reason)
		if o.alive {
			verb += " --alive"
		}
		return o.try(ctx, t, err, verb)
	}
	var notBegun *engine.NotBegunError
	p := o.shown()
	err = enrol.Enroller{Live: live, LockTimeout: o.lockTimeout, Report: p.report}.Forget(ctx, name, userAt(""), o.reason,
		o.alive)
	p.end()
	switch {
	case errors.As(err, &notBegun):
		return &codeError{code: exitRefused, text: err.Error()}
	case err != nil:
		return err
	}
	_, err = fmt.Fprintf(o.Out, "%s forgotten\n", name)
	return err
}
