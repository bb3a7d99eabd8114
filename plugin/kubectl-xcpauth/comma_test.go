package main

import (
	"slices"
	"testing"

	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// A flag whose value may hold a comma takes it as a part of its value, and a command that goes on repeats it so.
func TestAFlagWhoseValueMayHoldACommaKeepsIt(t *testing.T) {
	const pattern, name = "/^edge-[0-9]{1,2}$/", "Lee, Ann@eu"
	o := newFleetOptions(genericiooptions.NewTestIOStreamsDiscard())
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	o.addFlags(flags)
	if err := flags.Parse([]string{"--contexts", pattern, "--contexts", name}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(o.contexts, []string{pattern, name}) {
		t.Errorf("--contexts is %q", o.contexts)
	}
	if got, want := o.again("plan"), "kubectl xcpauth plan --contexts '"+pattern+"' --contexts '"+name+"'"; got != want {
		t.Errorf("it is repeated as %s, want %s", got, want)
	}
	for _, args := range [][]string{
		{"token", "revoke", "--zone", "a,b"},
		{"token", "revoke", "--revoked-token", "a,b"},
		{"token", "revocations", "--add", "a,b"},
	} {
		cmd, rest, err := newRootCommand(newFleetOptions(genericiooptions.NewTestIOStreamsDiscard())).Find(args[:2])
		if err != nil || len(rest) != 0 {
			t.Fatal(err, rest)
		}
		if err := cmd.ParseFlags(args[2:]); err != nil {
			t.Fatal(err)
		}
		f := cmd.Flags().Lookup(args[2][2:])
		if got := f.Value.(pflag.SliceValue).GetSlice(); !slices.Equal(got, []string{"a,b"}) {
			t.Errorf("%s is %q", args[2], got)
		}
		if got, want := given(cmd.Flags(), f.Name), args[2]+" a,b"; got != want {
			t.Errorf("it is repeated as %s, want %s", got, want)
		}
	}
}
