package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// memberRoles are what -o name prints before the name of a member.
var memberRoles = []string{"edge/", "zone/"}

// memberName is the name of a member as it was passed: edge-1, or edge/edge-1 as -o name prints it. said says that it
// came with what it is.
func memberName(arg string) (name string, said bool) {
	for _, role := range memberRoles {
		if name, said = strings.CutPrefix(arg, role); said {
			return name, true
		}
	}
	return arg, false
}

// memberNames are the names of members as they were passed, each once.
func memberNames(args []string) []string {
	var names []string
	for _, arg := range args {
		if name, _ := memberName(arg); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// oneMember takes the one member of a verb that has a flag for it too, which stays.
func oneMember(flags *pflag.FlagSet, flag string, to *string, args []string) error {
	switch {
	case len(args) == 0:
		*to, _ = memberName(*to)
		return nil
	case flags.Changed(flag):
		return bothNamed(flag)
	}
	*to, _ = memberName(args[0])
	return nil
}

// bothNamed refuses a member that is named twice.
func bothNamed(flag string) error {
	return fmt.Errorf("a name and --%s both say which member is meant; pass the name alone", flag)
}

// takesNames has a verb take its members in either form.
func takesNames(cmd *cobra.Command) *cobra.Command {
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return run(cmd, memberNames(args)) }
	return cmd
}

// namesMember says whether an argument that may be a file names a member: it says so, or it is no file and could not
// be meant as one.
func namesMember(arg string) (name string, is bool) {
	if arg == "-" || looksLikeToken(arg) {
		return "", false
	}
	if _, err := os.Lstat(arg); err == nil {
		return "", false
	}
	name, said := memberName(arg)
	return name, said || !strings.ContainsAny(arg, `./\`)
}
