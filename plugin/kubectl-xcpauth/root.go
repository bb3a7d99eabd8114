package main

import (
	"errors"

	"github.com/spf13/cobra"
)

const long = `Move a service mesh to one token per cluster, without cutting a cluster off: TSB from mutual TLS to JWTs, Kong Mesh and
Kuma from zones that present nothing to zone tokens.

A hub (TSB's management plane, or a global control plane) and its member clusters are found in the contexts of the kubeconfig. Every change is
planned, shown, applied in order, verified, and put back when the proof fails. The hub never stops accepting a credential
that any member may still present.

Flags come after the plugin's name: kubectl xcpauth --context hub status.`

// begin checks what every verb takes, before any of its work.
func (o *fleetOptions) begin(cmd *cobra.Command) error {
	o.notice(cmd)
	if err := o.log(); err != nil {
		return err
	}
	if without := cmd.Flags().Lookup("no-hub"); o.namespace != "" && without != nil && without.Changed {
		return errors.New("--namespace is the hub's; it does not go with --no-hub")
	}
	return errors.Join(o.checkDryRun(), o.parseFormat(), o.takeFleetFile(cmd))
}

// newRootCommand builds the command tree. Nothing in it is global: each call makes its own flags.
func newRootCommand(o *fleetOptions) *cobra.Command {
	root := &cobra.Command{
		Use:               "xcpauth",
		Short:             "Move the clusters of a mesh from mutual TLS to JWTs, each step verified",
		Long:              long,
		Annotations:       map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl xcpauth"},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return o.begin(cmd) },
		Version:           buildOf().Version,
		SilenceErrors:     true,
		SilenceUsage:      true,
	}
	root.SetVersionTemplate(buildOf().String() + "\n")
	root.SetIn(o.In)
	root.SetOut(o.Out)
	root.SetErr(o.ErrOut)
	o.addFlags(root.PersistentFlags())
	completeFlags(root, o)
	layHelp(root)
	root.SetFlagErrorFunc(suggestFlag)
	root.AddGroup(&cobra.Group{ID: "observe", Title: "Observe:"}, &cobra.Group{ID: "migrate", Title: "Migrate:"},
		&cobra.Group{ID: "roster", Title: "Roster:"}, &cobra.Group{ID: "install", Title: "Install:"})
	root.AddCommand(newStatusCommand(o), newCheckCommand(o), newReportCommand(o), newTokenCommand(o), newKeyCommand(o),
		newPlanCommand(o), newMigrateCommand(o), newRollbackCommand(o), newCertificateCommand(o), newEdgeCommand(o),
		newWebhookCommand(o), newInstallCommand(o), newUninstallCommand(o), newCompletionCommand(o), newVersionCommand(o))
	completeTree(root, o)
	return root
}
