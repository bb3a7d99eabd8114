package kubeconfig

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sync"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Options says where the kubeconfig is and which of its contexts to use.
type Options struct {
	Kubeconfig string // --kubeconfig; empty means $KUBECONFIG or the default place, merged as kubectl does
	Kuberc     string // --kuberc; empty means $KUBERC or the default place
	// --context and --standby: the management planes' contexts; always selected when named, "" when not
	Hubs     []string
	Contexts []string // --contexts: patterns, see Select
	// As is whom each request is made as, as kubectl's --as, --as-group and --as-uid say.
	As        clientcmdapi.AuthInfo
	UserAgent string
	// Terminal is where a credential plugin may ask its user; nil when there is none, or nobody to ask.
	Terminal *os.File
	// Stderr is where it is said who asks there, and where such a plugin prints; nil = discard.
	Stderr io.Writer
	// Watched says that somebody may see Stderr: what a plugin prints there and then waits for is shown, and it has time
	// for a login.
	Watched bool
}

// Fleet is the selected contexts of one kubeconfig.
type Fleet struct {
	raw      clientcmdapi.Config
	opts     Options
	contexts []string

	logins *logins

	mu       sync.Mutex // also guards raw: clientcmd writes into an exec block that several contexts share
	clusters map[string]*connection
	keep     bool // see KeepConnections
}

// Load reads the kubeconfig once and selects contexts. It talks to no cluster.
func Load(o Options) (*Fleet, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.Kubeconfig
	raw, err := rules.Load()
	if err != nil {
		return nil, fmt.Errorf("loading the kubeconfig: %w", err)
	}
	names := slices.Sorted(maps.Keys(raw.Contexts))
	if len(names) == 0 {
		return nil, errors.New("the kubeconfig has no contexts; pass --kubeconfig or set KUBECONFIG to one that has")
	}
	for i, hub := range o.Hubs {
		if hub != "" && raw.Contexts[hub] == nil {
			return nil, fmt.Errorf("context %q of --%s is not in the kubeconfig; kubectl config get-contexts -o name lists them",
				hub, [...]string{"context", "standby"}[i])
		}
	}
	chosen, err := choose(names, o.Contexts)
	if err != nil {
		return nil, err
	}
	for _, hub := range o.Hubs {
		if hub != "" && !slices.Contains(chosen, hub) {
			chosen = append(chosen, hub)
		}
	}
	slices.Sort(chosen)
	may, err := loadPolicy(o.Kuberc)
	if err != nil {
		return nil, err
	}
	return &Fleet{raw: *raw, opts: o, contexts: chosen, logins: newLogins(o.Terminal, o.Stderr, o.Watched, may),
		clusters: map[string]*connection{}}, nil
}

// User is the kubeconfig's name for the user of a context, "" when it has none. It is a name of the file's, not of the
// cluster.
func (f *Fleet) User(name string) string {
	if c := f.raw.Contexts[name]; c != nil {
		return c.AuthInfo
	}
	return ""
}

// Contexts lists the selected contexts, sorted.
func (f *Fleet) Contexts() []string { return f.contexts }

// Current is the context that kubectl would use, "" when the kubeconfig names none.
func (f *Fleet) Current() string { return f.raw.CurrentContext }

// AllContexts lists every context of the kubeconfig, sorted: for completion.
func (f *Fleet) AllContexts() []string { return slices.Sorted(maps.Keys(f.raw.Contexts)) }
