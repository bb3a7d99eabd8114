package fleet

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Options says where the kubeconfig is and which of its contexts to use.
type Options struct {
	Kubeconfig string   // --kubeconfig; empty means $KUBECONFIG or the default place, merged as kubectl does
	Hubs       []string // --context and --standby: the management planes' contexts; always selected when named, "" when not
	Contexts   []string // --contexts: patterns, see Select
	UserAgent  string
}

// Fleet is the selected contexts of one kubeconfig.
type Fleet struct {
	raw      clientcmdapi.Config
	opts     Options
	contexts []string

	mu       sync.Mutex
	clusters map[string]*Cluster
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
			return nil, fmt.Errorf("context %q of --%s is not in the kubeconfig; kubectl config get-contexts -o name lists them", hub, [...]string{"context", "standby"}[i])
		}
	}
	chosen, err := Select(names, o.Contexts)
	if err != nil {
		return nil, err
	}
	for _, hub := range o.Hubs {
		if hub != "" && !slices.Contains(chosen, hub) {
			chosen = append(chosen, hub)
		}
	}
	slices.Sort(chosen)
	return &Fleet{raw: *raw, opts: o, contexts: chosen, clusters: map[string]*Cluster{}}, nil
}

// Contexts lists the selected contexts, sorted.
func (f *Fleet) Contexts() []string { return f.contexts }

// AllContexts lists every context of the kubeconfig, sorted: for completion.
func (f *Fleet) AllContexts() []string { return slices.Sorted(maps.Keys(f.raw.Contexts)) }

// statusOnly decodes the one type that we take from API machinery: the Status in which an API server says why it refused.
var statusOnly = func() runtime.NegotiatedSerializer {
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	return serializer.NewCodecFactory(scheme).WithoutConversion()
}()

// Cluster is one context and its client.
type Cluster struct {
	Context string
	Config  *rest.Config
	HTTP    *http.Client
	REST    rest.Interface

	clock clock
}

// Cluster returns the client of a context, made once and kept: one connection serves all reads and writes of a run. Making
// it reads files that the kubeconfig names and starts no process; an exec credential plugin runs at the first request.
func (f *Fleet) Cluster(context string) (*Cluster, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c, ok := f.clusters[context]; ok {
		return c, nil
	}
	cfg, err := clientcmd.NewNonInteractiveClientConfig(f.raw, context, &clientcmd.ConfigOverrides{}, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("reading context %s of the kubeconfig: %w", context, err)
	}
	cfg.QPS = -1 // the API server's priority and fairness protects it; a client-side limit would only slow the fleet down
	cfg.UserAgent = f.opts.UserAgent
	c := &Cluster{Context: context, Config: cfg}
	if c.HTTP, err = rest.HTTPClientFor(cfg); err != nil {
		return nil, fmt.Errorf("making a client for context %s: %w", context, err)
	}
	c.HTTP = c.clock.watched(c.HTTP)
	plain := rest.CopyConfig(cfg)
	plain.GroupVersion = &schema.GroupVersion{}
	plain.NegotiatedSerializer = statusOnly
	if c.REST, err = rest.UnversionedRESTClientForConfigAndClient(plain, c.HTTP); err != nil {
		return nil, fmt.Errorf("making a client for context %s: %w", context, err)
	}
	f.clusters[context] = c
	return c, nil
}

// Body is what an API server answered, or the error that it gave in its own words (rest.Result.Raw alone loses them).
func Body(r rest.Result) ([]byte, error) {
	if err := r.Error(); err != nil {
		return nil, err
	}
	return r.Raw()
}
