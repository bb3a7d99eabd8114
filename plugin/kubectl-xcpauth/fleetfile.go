package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/xcpauth/kubectl-xcpauth/pkg/fleetfile"
)

// fleetVariable names the fleet file where --fleet does not.
const fleetVariable = "XCPAUTH_FLEET"

// fleetFile is the file that says what fleet it is, and what of it counts in this run.
type fleetFile struct {
	path     string          // --fleet
	fromFile map[string]bool // the flags whose value is the file's
	taken    bool
}

func (o *fleetFile) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.path, "fleet", o.path, "a file that says which clusters the fleet is, in place of flags "+
		"(see docs/fleet-file.md); default $"+fleetVariable)
}

// otherwise are flags that say the same in two ways: where one of a row was given, the file's values of the other row
// do not count.
var otherwise = [][]string{{"global-api", "global-ca"}, {"kumactl-config", "kumactl-context"}}

// takeFleetFile takes the fleet file in, for a command that looks at a fleet.
func (o *fleetOptions) takeFleetFile(cmd *cobra.Command) error {
	for c := cmd; c.HasParent(); c = c.Parent() {
		if slices.Contains([]string{"help", "version", "completion", cobra.ShellCompRequestCmd,
			cobra.ShellCompNoDescRequestCmd}, c.Name()) {
			return nil // no fleet is looked at
		}
	}
	return o.readFleetFile(cmd)
}

// readFleetFile gives each flag the value that the fleet file has for it, unless the command line has one. The flags
// stay unchanged for who asks what was given: a command that goes on repeats the file and not what it says.
func (o *fleetOptions) readFleetFile(cmd *cobra.Command) error {
	name := cmp.Or(o.fleetFile.path, os.Getenv(fleetVariable))
	if name == "" || o.taken {
		return nil
	}
	o.taken = true
	text, err := os.ReadFile(name)
	if err != nil {
		var at *fs.PathError
		if errors.As(err, &at) {
			err = at.Err
		}
		return fmt.Errorf("fleet file %s: reading it: %w", name, err)
	}
	settings, err := fleetfile.Parse(text, products)
	if err != nil {
		return fmt.Errorf("fleet file %s: %w", name, err)
	}
	o.fromFile = map[string]bool{}
	for _, s := range settings {
		f := flagFor(cmd, s.Flag)
		if f == nil || f.Changed || givenOtherwise(cmd, s.Flag) {
			continue
		}
		if err := assign(f, s, filepath.Dir(name)); err != nil {
			return fmt.Errorf("fleet file %s: line %d: %s: %w", name, s.Line, s.Key, err)
		}
		o.fromFile[s.Flag] = true
		if o.alone == "" && slices.Contains(aloneFlags, s.Flag) {
			o.alone = s.Key + " of fleet file " + name
		}
	}
	return nil
}

// flagFor is the flag that a key of the file stands for: one of every command before one of this command that has the
// same name and another meaning.
func flagFor(cmd *cobra.Command, name string) *pflag.Flag {
	if f := cmd.Root().PersistentFlags().Lookup(name); f != nil {
		return f
	}
	return cmd.Flags().Lookup(name)
}

// givenOtherwise says whether the command line says the same in another way.
func givenOtherwise(cmd *cobra.Command, name string) bool {
	for i, row := range otherwise {
		other := otherwise[1-i]
		if slices.Contains(row, name) && slices.ContainsFunc(other, func(n string) bool { return flagFor(cmd, n).Changed }) {
			return true
		}
	}
	return false
}

// assign sets a flag's value. Paths are relative to the directory of the file.
func assign(f *pflag.Flag, s fleetfile.Setting, dir string) error {
	if list, ok := f.Value.(pflag.SliceValue); ok && s.List {
		return list.Replace(s.Values)
	}
	value := s.Values[0]
	if s.Path && !filepath.IsAbs(value) {
		value = filepath.Join(dir, value)
	}
	return f.Value.Set(value)
}
