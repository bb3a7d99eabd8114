package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
)

// runsKey is the annotation of a verb that has verbs below it and does something itself too.
const runsKey = "xcpauth/runs"

// helpWidth is how wide help is laid out.
const helpWidth = 80

// groupKey is the annotation of a flag that says in which group help lists it.
const groupKey = "xcpauth/group"

// The groups of flags, in the order in which help lists them; a flag without one is in the first.
var flagGroups = []struct{ name, title string }{
	{"", "Flags:"}, {"goal", "Where it ends:"}, {"waves", "In what waves:"},
	{"supply", "With what certificate and credentials:"}, {"zone", "Of a zone token of Kong Mesh or Kuma:"},
	{"run", "How it is run:"},
}

// grouped adds flags to a set, in a group of help.
func grouped(flags *pflag.FlagSet, group string, add func(*pflag.FlagSet)) {
	own := pflag.NewFlagSet(group, pflag.ContinueOnError)
	add(own)
	own.VisitAll(func(f *pflag.Flag) {
		if _, grouped := f.Annotations[groupKey]; !grouped {
			_ = own.SetAnnotation(f.Name, groupKey, []string{group}) // it is there
		}
	})
	flags.AddFlagSet(own)
}

// layHelp has every command of the tree print its help for 80 columns, with its flags in groups.
func layHelp(root *cobra.Command) {
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		w := cmd.OutOrStdout()
		text := cmd.Long
		if text == "" {
			text = cmd.Short
		}
		for _, p := range strings.Split(text, "\n\n") {
			render.Wrap(w, p, helpWidth)
			fmt.Fprintln(w)
		}
		usage(w, cmd)
	})
	root.SetUsageFunc(func(cmd *cobra.Command) error {
		usage(cmd.OutOrStderr(), cmd)
		return nil
	})
}

// usage prints how a command is called, its examples, the commands below it and its flags.
func usage(w io.Writer, cmd *cobra.Command) {
	fmt.Fprintln(w, "Usage:")
	if !cmd.HasAvailableSubCommands() || cmd.Annotations[runsKey] != "" {
		fmt.Fprintf(w, "  %s\n", cmd.UseLine())
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(w, "  %s [command]\n", cmd.CommandPath())
	}
	if cmd.HasExample() {
		fmt.Fprintf(w, "\nExamples:\n%s\n", cmd.Example)
	}
	listed := func(title, group string) {
		var lines []string
		for _, sub := range cmd.Commands() {
			if sub.GroupID == group && (sub.IsAvailableCommand() || sub.Name() == "help") {
				var short strings.Builder
				render.Wrap(&short, sub.Short, helpWidth-14)
				lines = append(lines, fmt.Sprintf("  %-11s %s", sub.Name(), strings.ReplaceAll(strings.TrimSpace(short.String()),
					"\n", "\n"+strings.Repeat(" ", 14))))
			}
		}
		if len(lines) > 0 {
			fmt.Fprintf(w, "\n%s\n%s\n", title, strings.Join(lines, "\n"))
		}
	}
	for _, g := range cmd.Groups() {
		listed(g.Title, g.ID)
	}
	rest := "Commands:"
	if len(cmd.Groups()) > 0 {
		rest = "Besides:"
	}
	listed(rest, "")
	for _, g := range flagGroups {
		set := pflag.NewFlagSet("", pflag.ContinueOnError)
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if strings.Join(f.Annotations[groupKey], "") == g.name {
				set.AddFlag(f)
			}
		})
		printFlags(w, g.title, set)
	}
	printFlags(w, "Of every command:", cmd.InheritedFlags())
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(w, "\nMore about a command: %s [command] --help\n", cmd.CommandPath())
	}
}

func printFlags(w io.Writer, title string, flags *pflag.FlagSet) {
	if flags.HasAvailableFlags() {
		fmt.Fprintf(w, "\n%s\n%s", title, flags.FlagUsagesWrapped(helpWidth))
	}
}
