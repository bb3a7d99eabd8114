package kubeconfig

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"sync/atomic"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// statusOnly decodes the one type that we take from API machinery: the Status in which an API server says why it
// refused.
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

// connection is a context whose client is made when it is first wanted, and again when its credential has run out.
type connection struct {
	config  *rest.Config             // without the credential of a plugin
	plugin  *clientcmdapi.ExecConfig // nil when the context has none
	cluster *Cluster                 // with cred; nil before the first use
	cred    *credential
	refused *atomic.Bool // an API server answered 401 to cluster
	once    bool         // cluster is for one look: see Look
}

// Cluster is Connect for whoever has nothing to do meanwhile: a credential plugin that does not end is stopped by its
// own deadline.
func (f *Fleet) Cluster(name string) (*Cluster, error) {
	return f.Connect(context.Background(), name, nil)
}

// Connect returns the client of a context, made once and kept: one connection serves all reads and writes of a run.
// It talks to no cluster. If the context has a credential plugin, its process runs now, once for all contexts that
// share it, within its own deadline and no longer than somebody waits for it; again when the credential has run out
// or was refused. clock, when not nil, is told whether the wait is the plugin's: false while it waits for its turn,
// or for the user to answer it on the terminal.
func (f *Fleet) Connect(ctx context.Context, name string, clock func(running bool)) (*Cluster, error) {
	return f.connect(ctx, name, clock, false)
}

// Look is Connect for one look, after which Release is called. Each request of it must have a deadline: unless
// connections are kept, nothing else finds out that one is dead.
func (f *Fleet) Look(ctx context.Context, name string, clock func(running bool)) (*Cluster, error) {
	return f.connect(ctx, name, clock, true)
}

func (f *Fleet) connect(ctx context.Context, name string, clock func(running bool), once bool) (*Cluster, error) {
	c, err := f.connection(name)
	if err != nil {
		return nil, err
	}
	var cred *credential
	if c.plugin != nil {
		refused := f.refused(c)
		if cred, err = f.logins.get(ctx, c.plugin, c.config, refused, name, clock); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	once = once && !f.keep
	if c.cluster != nil && c.cred == cred && (once || !c.once) {
		return c.cluster, nil
	}
	if once {
		defer withoutHealthCheck()()
	}
	made, refused, err := newCluster(name, c.config, cred)
	if err != nil {
		return nil, err
	}
	c.cluster, c.cred, c.refused, c.once = made, cred, refused, once
	return made, nil
}

// refused returns the credential of the connection if an API server did not take it.
func (f *Fleet) refused(c *connection) *credential {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c.refused != nil && c.refused.Load() {
		return c.cred
	}
	return nil
}

// connection reads what the kubeconfig says of a context, once.
func (f *Fleet) connection(name string) (*connection, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c, ok := f.clusters[name]; ok {
		return c, nil
	}
	cfg, err := clientcmd.NewNonInteractiveClientConfig(f.raw, name, &clientcmd.ConfigOverrides{AuthInfo: f.opts.As},
		nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("reading context %s of the kubeconfig: %w", name, err)
	}
	cfg.QPS = -1 // the API server's priority and fairness protects it; a client-side limit would only slow the fleet down
	cfg.UserAgent = f.opts.UserAgent
	cfg.WarningHandler = &warner{to: f.opts.Stderr, context: name}
	c := &connection{config: cfg}
	if cfg.ExecProvider != nil {
		own := cfg.BearerToken != "" || cfg.BearerTokenFile != "" || cfg.Username != "" ||
			((len(cfg.CertData) > 0 || cfg.CertFile != "") && (len(cfg.KeyData) > 0 || cfg.KeyFile != ""))
		if !own { // a credential in the kubeconfig itself goes before a plugin's, as in client-go
			c.plugin = cfg.ExecProvider.DeepCopy()
		}
	}
	f.clusters[name] = c
	return c, nil
}

// newCluster makes a client with the credential of a plugin, if there is one. refused is set when an API server
// answers 401 to it.
func newCluster(name string, base *rest.Config, cred *credential) (*Cluster, *atomic.Bool, error) {
	cfg := rest.CopyConfig(base)
	cfg.ExecProvider = nil
	refused := &atomic.Bool{}
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return notFound{impatient{newProxied(&shared{next: next}, base.Proxy)}}
	})
	if cred != nil {
		cfg.BearerToken, cfg.CertData, cfg.KeyData = cred.token, cred.cert, cred.key
		cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { return watch401{next, refused} })
	}
	c := &Cluster{Context: name, Config: cfg}
	var err error
	if c.HTTP, err = rest.HTTPClientFor(alone(cfg)); err != nil {
		return nil, nil, fmt.Errorf("making a client for context %s: %w", name, err)
	}
	c.HTTP = c.clock.watched(c.HTTP)
	plain := rest.CopyConfig(cfg)
	plain.GroupVersion = &schema.GroupVersion{}
	plain.NegotiatedSerializer = statusOnly
	if c.REST, err = rest.UnversionedRESTClientForConfigAndClient(plain, c.HTTP); err != nil {
		return nil, nil, fmt.Errorf("making a client for context %s: %w", name, err)
	}
	return c, refused, nil
}

// KeepConnections says that contexts are used again and again from now on: what Release is told of stays.
func (f *Fleet) KeepConnections() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keep = true
}

// KeepsConnections says whether KeepConnections was called.
func (f *Fleet) KeepsConnections() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.keep
}

// Release says that a context is finished with for now. Its connection is closed and its client dropped, unless
// connections are kept: those of a thousand clusters take more memory than all that is read over them. The next use
// makes others; the credential stays.
func (f *Fleet) Release(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.clusters[name]; c != nil && c.cluster != nil && !f.keep {
		utilnet.CloseIdleConnectionsFor(c.cluster.HTTP.Transport)
		c.cluster = nil
	}
}

// healthCheck is the setting of client-go for how long nothing may come over a connection before it asks whether the
// other side is still there: seconds, in the environment alone.
const healthCheck = "HTTP2_READ_IDLE_TIMEOUT_SECONDS"

// withoutHealthCheck has clients that are made until end is called not ask, unless the user has set it. The timer of
// the question holds the buffers of a connection after it is closed (golang.org/x/net/http2 leaves it running).
func withoutHealthCheck() (end func()) {
	if _, set := os.LookupEnv(healthCheck); set || os.Setenv(healthCheck, "0") != nil {
		return func() {}
	}
	return func() { _ = os.Unsetenv(healthCheck) }
}

// Endpoint tells the API server of a context from another's by what the kubeconfig says of it: the address, the CA
// and the name that its certificate must have, the proxy on the way; and the credential plugin, since a gateway may
// tell the cluster by that alone. Two contexts with the same endpoint reach the same API server. It is "" when the
// kubeconfig does not say.
func (f *Fleet) Endpoint(name string) string {
	context := f.raw.Contexts[name]
	if context == nil {
		return ""
	}
	c := f.raw.Clusters[context.Cluster]
	if c == nil || c.Server == "" {
		return ""
	}
	plugin := ""
	if user := f.raw.AuthInfos[context.AuthInfo]; user != nil && user.Exec != nil {
		plugin = fmt.Sprintf("%q %q %q", user.Exec.Command, user.Exec.Args, user.Exec.Env)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %q %t %s", c.Server, c.CertificateAuthority,
		c.CertificateAuthorityData, c.TLSServerName, c.ProxyURL, c.InsecureSkipTLSVerify, plugin))
	return fmt.Sprintf("%s %x", c.Server, sum[:8])
}

// Body is what an API server answered, or the error that it gave in its own words (rest.Result.Raw alone loses them).
func Body(r rest.Result) ([]byte, error) {
	if err := r.Error(); err != nil {
		return nil, err
	}
	return r.Raw()
}
