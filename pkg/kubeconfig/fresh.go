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
	cfg := rest.CopyConfig(c.Config)
	if cfg.Proxy == nil {
		// what it would be; with a proxy function of its own, client-go shares no transport
		cfg.Proxy = http.ProxyFromEnvironment
	}
	cfg.GroupVersion, cfg.NegotiatedSerializer = &schema.GroupVersion{}, statusOnly
	alone, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, nil, fmt.Errorf("making a client for context %s: %w", c.Context, err)
	}
	if client, err = rest.UnversionedRESTClientForConfigAndClient(cfg, alone); err != nil {
		return nil, nil, fmt.Errorf("making a client for context %s: %w", c.Context, err)
	}
	return client, func() { utilnet.CloseIdleConnectionsFor(alone.Transport) }, nil
}
