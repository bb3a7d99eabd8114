package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/xcpauth/kubectl-xcpauth/pkg/globalapi"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// fileFlags take the path of a file.
var fileFlags = []string{"api-token", "bundle", "central-ca", "central-cert", "central-key", "filename", "fleet",
	"global-ca", "key-file", "key-out", "kubeconfig", "kuberc", "kumactl-config", "manifest", "out", "patches", "plan",
	"revocations", "revoked-token", "secrets", "tctl", "template"}

// freeFlags take what nobody can know without a cluster: a number, a duration, a text of the user's own.
var freeFlags = []string{"add", "as", "as-group", "as-uid", "audience", "central-name", "central-quiet-for",
	"concurrency", "fence-for", "for", "global-api", "group", "image", "interval", "kid", "lock-timeout", "max-failures",
	"member-timeout", "namespace", "plane-namespace", "poll", "prove-within", "reason", "replicas", "request-timeout",
	"rotation-within", "secret", "serial", "server", "soak", "tctl-profile", "timeout", "tls-server-name", "user", "v", "valid-for",
	"version", "warn-within", "wave-size"}

// known are the completions of flags by their name, of those that are not registered where their flag is made. They ask
// the kubeconfig, the last look and the tables of this program, and no cluster.
func (o *fleetOptions) known() map[string]cobra.CompletionFunc {
	all := map[string]cobra.CompletionFunc{
		"standby": o.completeContexts, "state-context": o.completeContexts, "kumactl-context": o.completeKumactl,
		"canary": o.completeMember, "edge": o.completeMember, "zone": o.completeMember,
		"accept-unrotated": o.completeMemberList, "zone-token": o.completeZoneToken,
		"tokens-from": cobra.FixedCompletions([]string{fromAPI, fromKey}, cobra.ShellCompDirectiveNoFileComp),
		"dry-run":     cobra.FixedCompletions(dryRuns, cobra.ShellCompDirectiveNoFileComp),
	}
	for _, name := range fileFlags {
		all[name] = cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault)
	}
	for _, name := range freeFlags {
		all[name] = cobra.NoFileCompletions
	}
	return all
}

// arguments are the completions of the arguments of commands, by the words that call them. Other commands take none
// that can be known.
func (o *fleetOptions) arguments() map[string]cobra.CompletionFunc {
	file := func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return nil, cobra.ShellCompDirectiveDefault
	}
	one := func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return o.completeMember(cmd, args, begun)
	}
	return map[string]cobra.CompletionFunc{"edge publish": o.completeMember, "edge register": o.completeMember,
		"edge unregister": o.completeMember, "edge forget": one, "token rotate": o.completeMember, "token inspect": file,
		"token verify": file, "token revocations": file, "plan show": file, "status": o.completeMember,
		"rollback": o.completeMember}
}

// completeTree gives every flag that takes a value, and every command, what completes it. A shell offers the names of
// files for whatever it is told nothing about.
func completeTree(root *cobra.Command, o *fleetOptions) {
	flags, arguments := o.known(), o.arguments()
	var complete func(cmd *cobra.Command)
	complete = func(cmd *cobra.Command) {
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if _, there := cmd.GetFlagCompletionFunc(f.Name); !there && flags[f.Name] != nil {
				if err := cmd.RegisterFlagCompletionFunc(f.Name, flags[f.Name]); err != nil {
					panic(err) // it is there, and has none
				}
			}
		})
		if _, words, _ := strings.Cut(cmd.CommandPath(), root.CommandPath()+" "); cmd.ValidArgsFunction == nil &&
			len(cmd.ValidArgs) == 0 {
			if cmd.ValidArgsFunction = arguments[words]; cmd.ValidArgsFunction == nil {
				cmd.ValidArgsFunction = cobra.NoFileCompletions
			}
		}
		for _, sub := range cmd.Commands() {
			complete(sub)
		}
	}
	complete(root)
}

// completeContexts lists the contexts of the kubeconfig.
func (o *fleetOptions) completeContexts(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	_ = o.readFleetFile(cmd) // one that cannot be read is an error of the command, not of its completion
	f, err := kubeconfig.Load(kubeconfig.Options{Kubeconfig: o.kubeconfig})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return f.AllContexts(), cobra.ShellCompDirectiveNoFileComp
}

// completeKumactl lists the contexts of kumactl's configuration.
func (o *fleetOptions) completeKumactl(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	_ = o.readFleetFile(cmd)
	return globalapi.KumactlContexts(o.kumactl), cobra.ShellCompDirectiveNoFileComp
}

// completeMember lists the members of the last look, but for those that the command line has already.
func (o *fleetOptions) completeMember(cmd *cobra.Command, args []string, _ string) ([]string,
	cobra.ShellCompDirective) {
	_ = o.readFleetFile(cmd)
	l := recall(o.cacheKeys("")[0])
	var all []string
	for _, name := range slices.Sorted(maps.Keys(l.Members)) {
		if !slices.Contains(args, name) {
			all = append(all, cobra.CompletionWithDesc(name, l.describe(name, time.Now())))
		}
	}
	return all, cobra.ShellCompDirectiveNoFileComp
}

// completeMemberList is the same for a value of several names with commas between them.
func (o *fleetOptions) completeMemberList(cmd *cobra.Command, _ []string, begun string) ([]string,
	cobra.ShellCompDirective) {
	before := begun[:strings.LastIndex(begun, ",")+1]
	all, directive := o.completeMember(cmd, strings.Split(before, ","), "")
	for i := range all {
		all[i] = before + all[i]
	}
	return all, directive | cobra.ShellCompDirectiveNoSpace
}

// completeZoneToken completes ZONE=FILE: the zone here, the file by the shell.
func (o *fleetOptions) completeZoneToken(cmd *cobra.Command, _ []string, begun string) ([]string,
	cobra.ShellCompDirective) {
	if strings.Contains(begun, "=") {
		return nil, cobra.ShellCompDirectiveDefault
	}
	all, directive := o.completeMember(cmd, nil, "")
	for i, line := range all {
		name, says, _ := strings.Cut(line, "\t")
		all[i] = cobra.CompletionWithDesc(name+"=", says)
	}
	return all, directive | cobra.ShellCompDirectiveNoSpace
}

// completeIgnore completes RULE and RULE=MEMBER.
func (o *fleetOptions) completeIgnore(cmd *cobra.Command, _ []string, begun string) ([]string,
	cobra.ShellCompDirective) {
	rule, _, ofMember := strings.Cut(begun, "=")
	if !ofMember {
		return ruleCompletions(), cobra.ShellCompDirectiveNoFileComp
	}
	all, directive := o.completeMember(cmd, nil, "")
	for i := range all {
		all[i] = rule + "=" + all[i]
	}
	return all, directive
}

// describe says where a member was seen, and how long ago.
func (l lastLook) describe(member string, now time.Time) string {
	where := ""
	if context := l.Members[member]; context != "" {
		where = "in context " + context + ", "
	}
	return fmt.Sprintf("%sseen %s ago", where, plan.Short(max(now.Sub(l.At), 0)))
}
