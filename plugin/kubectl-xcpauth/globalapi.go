package main

import (
	"cmp"
	"errors"

	"github.com/spf13/pflag"

	"github.com/xcpauth/kubectl-xcpauth/pkg/globalapi"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/state"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// globalOptions are the flags that say where the own API of a global control plane is, and as whom it is asked.
type globalOptions struct {
	apiToken       string // the file with the token with which it is asked
	addresses      []string
	ca             string
	kumactl        string // kumactl's configuration file
	kumactlContext string
	stateContext   string
}

func (o *globalOptions) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.apiToken, "api-token", o.apiToken,
		"a file with your token for the API of a global (Kong Mesh, Kuma); default: its administrator's, where that is known")
	flags.StringSliceVar(&o.addresses, "global-api", o.addresses,
		"of a global (Kong Mesh, Kuma) that is in no cluster, the address of its API; one for each of its processes")
	flags.StringVar(&o.ca, "global-ca", o.ca,
		"with --global-api: a file with the CA of its certificate, PEM; default: those that the system trusts")
	flags.StringVar(&o.kumactl, "kumactl-config", o.kumactl,
		"of a global that is in no cluster: kumactl's configuration, which has its address, CA and token")
	flags.StringVar(&o.kumactlContext, "kumactl-context", o.kumactlContext,
		"with --kumactl-config: the context in it; default: the current one")
	flags.StringVar(&o.stateContext, "state-context", o.stateContext,
		"of a global that is in no cluster: the context whose cluster keeps the lock and the journal; default: --context")
}

// outside says whether the global is in no cluster.
func (o *globalOptions) outside() bool { return len(o.addresses) > 0 || o.kumactl != "" }

// endpoint is where the global's API is asked outside of clusters, and as whom it is asked anywhere.
func (o *fleetOptions) endpoint() (globalapi.Endpoint, error) {
	if err := o.globalOptions.check(o.hub); err != nil {
		return globalapi.Endpoint{}, err
	}
	login, err := o.login()
	switch {
	case err != nil:
		return globalapi.Endpoint{}, err
	case o.kumactl != "":
		e, err := globalapi.FromKumactl(o.kumactl, o.kumactlContext)
		if o.apiToken != "" {
			e.Login = login
		}
		return e, err
	case len(o.addresses) > 0:
		conf, err := globalapi.TLS(o.ca, "", "")
		if err != nil {
			return globalapi.Endpoint{}, err
		}
		return globalapi.NewEndpoint(o.addresses, login, conf)
	}
	return globalapi.Endpoint{Login: login}, nil
}

// check refuses flags that do not go together.
func (o *globalOptions) check(hub string) error {
	switch {
	case len(o.addresses) > 0 && o.kumactl != "":
		return errors.New("--global-api and --kumactl-config both say where the global is; pass one of them")
	case o.kumactlContext != "" && o.kumactl == "":
		return errors.New("--kumactl-context goes with --kumactl-config")
	case o.ca != "" && len(o.addresses) == 0:
		return errors.New("--global-ca goes with --global-api")
	case o.stateContext != "" && !o.outside():
		return errors.New("--state-context goes with --global-api or --kumactl-config")
	case o.outside() && cmp.Or(o.stateContext, hub) == "":
		return errors.New("a global in no cluster needs one that keeps the lock and the journal: pass --state-context")
	}
	return nil
}

// beside is what is read of the context that keeps what runs write down, of a global that is in no cluster.
func beside(keeper string, e globalapi.Endpoint) func(string, map[plan.Read]plan.Result) []plan.Read {
	return func(context string, soFar map[plan.Read]plan.Result) []plan.Read {
		if context != keeper || len(e.Addresses) == 0 {
			return nil
		}
		return state.OutsideReads(e.Addresses, soFar)
	}
}
