package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

// version, commit and date are set by the linker when a release is built.
var (
	version = "v0.0.0-dev"
	commit  = "unknown"
	date    = "unknown"
)

func newVersionCommand(o *fleetOptions) *cobra.Command {
	return &cobra.Command{
		Use: "version", Args: cobra.NoArgs,
		Short: "Print the version of the plugin",
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(o.Out, "kubectl-xcpauth %s (commit %s, built %s, %s %s/%s)\n", version, commit, date,
				runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
