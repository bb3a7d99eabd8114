package kubeconfig

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"syscall"

	utilnet "k8s.io/apimachinery/pkg/util/net"
)

// ProxyError says that it was the proxy on the way to an API server that gave no connection. Proxy is its address
// without credentials.
type ProxyError struct {
	Proxy string
	Err   error
}

func (e *ProxyError) Unwrap() error { return e.Err }

func (e *ProxyError) Error() string {
	var dns *net.DNSError
	var timeout net.Error
	var dialled *net.OpError
	late := errors.Is(e.Err, context.DeadlineExceeded) || errors.As(e.Err, &timeout) && timeout.Timeout()
	switch {
	case errors.As(e.Err, &dns):
		return fmt.Sprintf("the name of the proxy %s does not resolve", e.Proxy)
	case errors.Is(e.Err, syscall.ECONNREFUSED):
		return fmt.Sprintf("the proxy %s refused the connection", e.Proxy)
	case late:
		return fmt.Sprintf("the proxy %s gave no connection to the API server in time", e.Proxy)
	case errors.As(e.Err, &dialled) && dialled.Op == "proxyconnect":
		return fmt.Sprintf("the proxy %s cannot be reached: %v", e.Proxy, dialled.Err)
	}
	return fmt.Sprintf("the proxy %s gave no connection to the API server: %v", e.Proxy, e.Err)
}

// proxied names the proxy in the error of a request that got no connection for want of it.
type proxied struct {
	http.RoundTripper
	proxy func(*http.Request) (*url.URL, error)
}

// newProxied finds the proxy as client-go does.
func newProxied(next http.RoundTripper, proxy func(*http.Request) (*url.URL, error)) proxied {
	if proxy == nil {
		proxy = utilnet.NewProxierWithNoProxyCIDR(http.ProxyFromEnvironment)
	}
	return proxied{next, proxy}
}

func (p proxied) RoundTrip(r *http.Request) (*http.Response, error) {
	by, err := p.proxy(r)
	if err != nil || by == nil {
		return p.RoundTripper.RoundTrip(r)
	}
	var connected atomic.Bool
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }}
	resp, err := p.RoundTripper.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
	if err == nil || connected.Load() || beyond(err) {
		return resp, err
	}
	return resp, &ProxyError{Proxy: by.Scheme + "://" + by.Host, Err: err}
}

// WrappedRoundTripper lets client-go find the transport below, as for its own wrappers.
func (p proxied) WrappedRoundTripper() http.RoundTripper { return p.RoundTripper }

// beyond says whether an error is not the proxy's: who answered behind it is not trusted, or nobody waits any more.
func beyond(err error) bool {
	var proxy *net.OpError
	if errors.As(err, &proxy) && proxy.Op == "proxyconnect" {
		return false
	}
	var wrong *tls.CertificateVerificationError
	var alert tls.AlertError
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	return errors.As(err, &wrong) || errors.As(err, &alert) || errors.As(err, &authority) || errors.As(err, &name) ||
		errors.Is(err, context.Canceled)
}
