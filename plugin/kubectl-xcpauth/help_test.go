package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// A flag in a group that help does not know would be lost; and what is laid out for 80 columns is not wider.
func TestHelpShowsEveryFlagOnceIn80Columns(t *testing.T) {
	var out bytes.Buffer
	root := newRootCommand(newFleetOptions(genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out,
		ErrOut: io.Discard}))
	var look func(*cobra.Command)
	look = func(cmd *cobra.Command) {
		out.Reset()
		if err := cmd.Help(); err != nil {
			t.Fatal(err)
		}
		text := out.String()
		if cmd.Example != "" {
			text = strings.Replace(text, cmd.Example, "", 1) // commands are not broken
		}
		flags := func(f *pflag.Flag) {
			if n := strings.Count(text, "--"+f.Name+" ") + strings.Count(text, "--"+f.Name+"\n"); !f.Hidden && n < 1 {
				t.Errorf("%s: help does not list --%s:\n%s", cmd.CommandPath(), f.Name, text)
			}
		}
		cmd.LocalFlags().VisitAll(flags)
		cmd.InheritedFlags().VisitAll(flags)
		for line := range strings.Lines(text) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > helpWidth &&
				strings.Contains(strings.TrimSpace(line), " ") {
				t.Errorf("%s: a line of %d columns: %s", cmd.CommandPath(), n, line)
			}
		}
		for _, sub := range cmd.Commands() {
			look(sub)
		}
	}
	look(root)
}
