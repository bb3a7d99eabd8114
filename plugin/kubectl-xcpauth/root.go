package main

import "github.com/spf13/cobra"

const long = `Move a service mesh from mutual TLS to one JWT per cluster, without cutting a cluster off.

A hub (the TSB management plane) and its member clusters are found in the contexts of the kubeconfig. Every change is
planned, shown, applied in order, proved, and put back when the proof fails. The hub never stops accepting a credential
that any member may still present.

Flags come after the plugin's name: kubectl xcpauth --context hub status.`

// newRootCommand builds the command tree. Nothing in it is global: each call makes its own flags.
func newRootCommand(o *fleetOptions) *cobra.Command {
	root := &cobra.Command{
		Use:               "xcpauth",
		Short:             "move XCP edges from mutual TLS to JWTs, guarded",
		Long:              long,
		Annotations:       map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl xcpauth"},
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetIn(o.In)
	root.SetOut(o.Out)
	root.SetErr(o.ErrOut)
	o.addFlags(root.PersistentFlags())
	completeFlags(root, o)
	layHelp(root)
	root.AddGroup(&cobra.Group{ID: "observe", Title: "Observe:"}, &cobra.Group{ID: "migrate", Title: "Migrate:"}, &cobra.Group{ID: "roster", Title: "Roster:"})
	root.AddCommand(newStatusCommand(o), newCheckCommand(o), newTokenCommand(o), newKeyCommand(o), newPlanCommand(o), newMigrateCommand(o), newRollbackCommand(o), newCertificateCommand(o), newEdgeCommand(o), newWebhookCommand(o), newVersionCommand(o))
	return root
}
