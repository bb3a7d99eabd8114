package kubeconfig

import (
	"fmt"
	"net/http"

	"k8s.io/apimachinery/pkg/runtime/schema"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"
)

// Fresh is a client of the same cluster on a connection of its own, which may lead to another of its API servers; end
// closes it.
func (c *Cluster) Fresh() (client rest.Interface, end func(), err error) {
	cfg := alone(c.Config)
	cfg.GroupVersion, cfg.NegotiatedSerializer = &schema.GroupVersion{}, statusOnly
	made, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, nil, fmt.Errorf("making a client for context %s: %w", c.Context, err)
	}
	if client, err = rest.UnversionedRESTClientForConfigAndClient(cfg, made); err != nil {
		return nil, nil, fmt.Errorf("making a client for context %s: %w", c.Context, err)
	}
	return client, func() { utilnet.CloseIdleConnectionsFor(made.Transport) }, nil
}

// alone is a configuration whose clients have a transport of their own, which client-go would share with those of
// other contexts: it does not where there is a proxy function. The function is what it would be.
func alone(base *rest.Config) *rest.Config {
	cfg := rest.CopyConfig(base)
	if cfg.Proxy == nil {
		cfg.Proxy = http.ProxyFromEnvironment
	}
	return cfg
}
