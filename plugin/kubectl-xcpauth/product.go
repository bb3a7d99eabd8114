package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb"
)

// products are the values of --product; the first has the product found out.
var products = []string{"auto", tsb.Name, kongmesh.Name}

// aloneVerbs and aloneFlags are those that mean something to TSB alone: Kong Mesh has no roster, webhook, fence or
// standby, its global's certificate stays, and its tokens come from the global.
var (
	aloneVerbs = []string{"edge", "certificate", "webhook"}
	aloneFlags = []string{"no-hub", "hub-agrees", "standby", "hasty-canary", "rotation-within", "accept-unrotated",
		"fence-for", "central-quiet-for", "central-name", "central-cert", "central-key", "central-ca", "secrets", "tctl",
		"tctl-profile"}
)

// named is the product that was named, "" when it is to be found out.
func (o *fleetOptions) named() string {
	if o.product == products[0] {
		return ""
	}
	return o.product
}

// notice remembers what of a command line TSB alone has.
func (o *fleetOptions) notice(cmd *cobra.Command) {
	for c := cmd; c.HasParent(); c = c.Parent() {
		if !c.Parent().HasParent() && slices.Contains(aloneVerbs, c.Name()) {
			o.alone = c.CommandPath()
			return
		}
	}
	for _, name := range aloneFlags {
		if f := cmd.Flags().Lookup(name); f != nil && f.Changed {
			o.alone = "--" + name
			return
		}
	}
}

// having is a provider that finds nothing to speak of in a fleet of another product than TSB when the command line
// has something that TSB alone has: then no hub is found, no member, and nothing is written.
func (o *fleetOptions) having(d plan.Provider) plan.Provider {
	facts := d.ReadState
	d.ReadState = func(snaps []plan.Snapshot, where plan.Selection, at time.Time) plan.State {
		f := facts(snaps, where, at)
		if o.alone == "" || f.Product == tsb.Name {
			return f
		}
		text := fmt.Sprintf("%s is for TSB alone, and this fleet is of %s; leave it out, or name another fleet with --contexts or --product", o.alone, f.Product)
		o.refused.Store(&text)
		return plan.State{At: f.At, Product: f.Product, Words: f.Words,
			Hub: plan.Hub{HubIdentity: plan.HubIdentity{Err: text}}}
	}
	return d
}

// refusal is why nothing was done, nil unless the command line has what the product has not.
func (o *fleetOptions) refusal() error {
	if text := o.refused.Load(); text != nil {
		return &codeError{code: exitError, text: *text}
	}
	return nil
}
