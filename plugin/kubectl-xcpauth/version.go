package main

import (
	"cmp"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
)

// unreleased is the version of what no release built.
const unreleased = "v0.0.0-dev"

// version, commit and date are set by the linker when a release is built.
var (
	version = unreleased
	commit  = "unknown"
	date    = "unknown"
)

// buildOf is how this program was built: as the release says, else as go install has noted.
func buildOf() render.Version {
	b := render.Version{APIVersion: render.APIVersion, Kind: "Version", Version: version, Commit: commit, Date: date,
		GoVersion: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if version != unreleased {
		return b
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		b.Version = info.Main.Version
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Commit = cmp.Or(s.Value, b.Commit)
			case "vcs.time":
				b.Date = cmp.Or(s.Value, b.Date)
			}
		}
	}
	return b
}

func newVersionCommand(o *fleetOptions) *cobra.Command {
	return &cobra.Command{
		Use: "version", Args: noArguments,
		Short: "Print the version of the plugin",
		RunE:  func(*cobra.Command, []string) error { return o.print(buildOf()) },
	}
}
