package main

import (
	"context"
	"regexp"
	"time"

	"github.com/spf13/cobra"

	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
	"github.com/xcpauth/kubectl-xcpauth/pkg/webhookprobe"
)

func newWebhookCommand(o *fleetOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use: "webhook", GroupID: "observe", Args: noArguments,
		Short: "Check that the hub's API server asks the admission webhook",
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newWebhookStatusCommand(o))
	return cmd
}

func newWebhookStatusCommand(o *fleetOptions) *cobra.Command {
	return &cobra.Command{
		Use: "status", Args: noArguments,
		Short: "Send a guarded edit as a dry run, and tell whether the webhook was asked",
		Long: `Make a guarded edit of the hub's ManagementPlane as a server-side dry run, of which nothing is stored, and tell from the answer
whether the API server asked the webhook; with what stands behind it: its configuration beside the shipped one, the CA that is
published, its pods and its endpoints. Patching the ManagementPlane must be allowed (ClusterRole xcpauth-migrate).

Exit code 0 says that it was asked, whatever it decided; 5 that it was not, or that the API server could not reach it; 1 that
neither could be shown.`,
		Example: `  # After installing it, and from time to time
  kubectl xcpauth webhook status`,
		RunE: func(cmd *cobra.Command, _ []string) error { return webhookStatus(cmd.Context(), o) },
	}
}

// webhookStatus looks for the hub, at its webhook, and prints what was seen. Of a hub that is named nothing else is
// looked at.
func webhookStatus(ctx context.Context, o *fleetOptions) error {
	selected := o.contexts
	if o.hub != "" {
		o.contexts = []string{"/^" + regexp.QuoteMeta(o.hub) + "$/"}
	}
	live, err := o.clusters(false)
	o.contexts = selected // what is suggested repeats what was given
	if err != nil {
		return err
	}
	f := o.observe(ctx, live)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case !f.Hub.Found:
		return &codeError{code: exitError, text: f.Hub.Err}
	}
	hub, err := live.Fleet.Cluster(f.Hub.Context)
	if err != nil {
		return err
	}
	within, cancel := context.WithTimeout(ctx, o.memberTimeout)
	defer cancel()
	look := webhookprobe.LookAt(within, hub, f.Hub.Roster.In, f.Hub.Object, time.Now)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := o.print(render.NewWebhook(look, f.Hub.Object.String(), f.Hub.Context, o.again)); err != nil {
		return err
	}
	switch look.Result.Answer {
	case webhookprobe.Asked:
		return nil
	case webhookprobe.Unknown:
		return &codeError{code: exitError}
	}
	return &codeError{code: exitRefused}
}
