package main

import (
	"flag"
	"fmt"
	"strconv"

	"github.com/spf13/pflag"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
)

// addKubectlFlags adds those of kubectl's global flags that make sense over many contexts, with kubectl's own names and
// meanings. --cluster, --user, --server, --token and the like would say the same of every context, so they are left
// out.
func (o *fleetOptions) addKubectlFlags(flags *pflag.FlagSet) {
	kubectls := clientcmd.RecommendedAuthOverrideFlags("")
	clientcmd.BindOverrideFlags(&o.as, flags, clientcmd.ConfigOverrideFlags{AuthOverrideFlags: clientcmd.AuthOverrideFlags{
		Impersonate: kubectls.Impersonate, ImpersonateUID: kubectls.ImpersonateUID,
		ImpersonateGroups: kubectls.ImpersonateGroups}})
	flags.IntVarP(&o.verbosity, "v", "v", o.verbosity,
		"how much of the requests is logged on stderr, as of kubectl: 6 each request, 7 its headers too")
	flags.StringVarP(&o.namespace, "namespace", "n", o.namespace,
		"namespace of the roster, the journal and the lock in the hub; default: the one that the hub names")
}

// mostVerbose is as far as --v goes: from 8 on client-go logs bodies, and secrets are among them.
const mostVerbose = 7

// log has client-go log requests, where that was asked for. What it logs of a credential is masked.
func (o *fleetOptions) log() error {
	if o.verbosity <= 0 {
		return nil
	}
	if o.verbosity > mostVerbose {
		fmt.Fprintf(o.ErrOut, "--v=%d would log bodies, and secrets with them; --v=%d is used\n", o.verbosity, mostVerbose)
	}
	level := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(level)
	for name, value := range map[string]string{"v": strconv.Itoa(min(o.verbosity, mostVerbose)), "logtostderr": "false",
		"stderrthreshold": "FATAL"} {
		if err := level.Set(name, value); err != nil {
			return fmt.Errorf("setting the verbosity: %w", err)
		}
	}
	klog.ClearLogger()
	klog.SetOutput(o.ErrOut)
	return nil
}
