package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// program is the name of the plugin's own file, which the scripts of the shells complete.
const program = "kubectl-xcpauth"

// forKubectl is what kubectl 1.26 and newer runs to complete the words after the plugin's name, when it finds it on
// PATH as kubectl_complete-xcpauth.
const forKubectl = `#!/usr/bin/env sh
# Completes the plugin in a shell that completes kubectl, from its version 1.26 on. Write this into a file of the name
# kubectl_complete-xcpauth, in a directory of your PATH, and make it executable:
#
#   kubectl xcpauth completion kubectl > ~/.local/bin/kubectl_complete-xcpauth
#   chmod +x ~/.local/bin/kubectl_complete-xcpauth
#
# To have a shell complete kubectl, see: kubectl completion --help
exec kubectl xcpauth __complete "$@"
`

// scripts are what completion prints, by the word that asks for it.
var scripts = map[string]func(root *cobra.Command, w io.Writer) error{
	"kubectl": func(_ *cobra.Command, w io.Writer) error {
		_, err := io.WriteString(w, forKubectl)
		return err
	},
	"bash":       func(root *cobra.Command, w io.Writer) error { return root.GenBashCompletionV2(w, true) },
	"zsh":        func(root *cobra.Command, w io.Writer) error { return root.GenZshCompletion(w) },
	"fish":       func(root *cobra.Command, w io.Writer) error { return root.GenFishCompletion(w, true) },
	"powershell": func(root *cobra.Command, w io.Writer) error { return root.GenPowerShellCompletionWithDesc(w) },
}

// shells are those words, in the order in which help lists them.
var shells = []string{"kubectl", "bash", "zsh", "fish", "powershell"}

func newCompletionCommand(o *fleetOptions) *cobra.Command {
	return &cobra.Command{
		Use: "completion " + strings.Join(shells, "|"), ValidArgs: shells,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(shells, args[0]) {
				return fmt.Errorf("name what to complete for: one of %s", strings.Join(shells, ", "))
			}
			return nil
		},
		Short: "Print the script that completes this plugin in kubectl or in a shell",
		Long: `Print a script that completes commands, flags and names. Put that of "kubectl" on your PATH: kubectl, from
its version 1.26 on, runs it to complete the plugin. The others are for kubectl-xcpauth, the program itself.

No cluster is asked. Contexts come from the kubeconfig. Names of edges and zones are those that
status, check or plan saw last: these keep them, and nothing else, in your cache directory.`,
		Example: `  # Complete kubectl xcpauth
  kubectl xcpauth completion kubectl > ~/.local/bin/kubectl_complete-xcpauth
  chmod +x ~/.local/bin/kubectl_complete-xcpauth

  # Complete kubectl-xcpauth in this bash
  source <(kubectl xcpauth completion bash)`,
		RunE: func(_ *cobra.Command, args []string) error {
			// the scripts call the program by its name, and need no more of its tree
			return scripts[args[0]](&cobra.Command{Use: program}, o.Out)
		},
	}
}
