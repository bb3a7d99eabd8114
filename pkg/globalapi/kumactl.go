package globalapi

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Endpoint is where the API of a global outside of clusters is, and as whom it is asked.
type Endpoint struct {
	Addresses []string // one for each process; the first is written to
	Login     plan.Secret
	TLS       *tls.Config // nil is the system's
}

// kumactlConfig is the configuration of kumactl, as far as it is read here (Kuma
// pkg/config/app/kumactl/v1alpha1/config.proto, written as its JSON).
type kumactlConfig struct {
	Current  string `json:"currentContext"`
	Contexts []struct {
		Name         string `json:"name"`
		ControlPlane string `json:"controlPlane"`
	} `json:"contexts"`
	ControlPlanes []struct {
		Name        string `json:"name"`
		Coordinates struct {
			API kumactlServer `json:"apiServer"`
		} `json:"coordinates"`
	} `json:"controlPlanes"`
}

type kumactlServer struct {
	URL        string            `json:"url"`
	CA         string            `json:"caCertFile"`
	Cert       string            `json:"clientCertFile"`
	Key        string            `json:"clientKeyFile"`
	AuthType   string            `json:"authType"`
	Auth       map[string]string `json:"authConf"`
	SkipVerify bool              `json:"skipVerify"`
	Headers    []any             `json:"headers"`
}

// FromKumactl reads the endpoint of a context out of kumactl's configuration file: of the current one where the name is
// "". What kumactl would do and is not done here, such as not to verify a certificate, is an error.
func FromKumactl(path, context string) (Endpoint, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Endpoint{}, fmt.Errorf("reading kumactl's configuration: %w", err)
	}
	var c kumactlConfig
	if yaml.Unmarshal(text, &c) != nil { // the cause may quote a token
		return Endpoint{}, fmt.Errorf("kumactl's configuration in %s: it is not as kumactl writes it", path)
	}
	s, err := c.server(context)
	if err == nil {
		var e Endpoint
		if e, err = s.endpoint(filepath.Dir(path)); err == nil {
			return e, nil
		}
	}
	return Endpoint{}, fmt.Errorf("kumactl's configuration in %s: %w", path, err)
}

// KumactlContexts lists the contexts of kumactl's configuration file, for completion: none where it cannot be read.
func KumactlContexts(path string) []string {
	var c kumactlConfig
	if text, err := os.ReadFile(path); err != nil || yaml.Unmarshal(text, &c) != nil {
		return nil
	}
	var names []string
	for _, context := range c.Contexts {
		names = append(names, context.Name)
	}
	return names
}

// server is the control plane of a context.
func (c kumactlConfig) server(context string) (kumactlServer, error) {
	if context == "" {
		context = c.Current
	}
	for _, x := range c.Contexts {
		if x.Name != context {
			continue
		}
		for _, plane := range c.ControlPlanes {
			if plane.Name == x.ControlPlane {
				return plane.Coordinates.API, nil
			}
		}
		return kumactlServer{}, fmt.Errorf("it has no control plane %q", x.ControlPlane)
	}
	return kumactlServer{}, fmt.Errorf("it has no context %q; kumactl config get-contexts lists them", context)
}

// endpoint is the server's; paths are relative to a directory.
func (s kumactlServer) endpoint(dir string) (Endpoint, error) {
	switch {
	case s.SkipVerify:
		return Endpoint{}, errors.New("the control plane is asked without verifying its certificate (skipVerify), which is " +
			"not done here; give it a caCertFile")
	case len(s.Headers) > 0:
		return Endpoint{}, errors.New("the control plane is asked with headers of its own, which is not done here; " +
			"use --global-api")
	case s.AuthType != "" && s.AuthType != "tokens":
		return Endpoint{}, fmt.Errorf("the control plane is asked with authentication %q; only tokens is known here",
			s.AuthType)
	}
	for _, file := range []*string{&s.CA, &s.Cert, &s.Key} {
		if *file != "" && !filepath.IsAbs(*file) {
			*file = filepath.Join(dir, *file)
		}
	}
	conf, err := TLS(s.CA, s.Cert, s.Key)
	if err != nil {
		return Endpoint{}, err
	}
	return NewEndpoint([]string{s.URL}, plan.NewSecret([]byte(s.Auth["token"])), conf)
}

// TLS is how an endpoint is verified, with the CAs of a file, and who asks there, by the certificate and key of two
// more; "" is none.
func TLS(ca, cert, key string) (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		text, err := os.ReadFile(ca)
		if err != nil {
			return nil, fmt.Errorf("reading the CA of the global's API: %w", err)
		}
		if conf.RootCAs = x509.NewCertPool(); !conf.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("file %s holds no certificate of a CA", ca)
		}
	}
	if cert != "" || key != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("reading the client certificate for the global's API: %w", err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return conf, nil
}

// NewEndpoint is an endpoint at these addresses.
func NewEndpoint(addresses []string, login plan.Secret, conf *tls.Config) (Endpoint, error) {
	e := Endpoint{Addresses: addresses, Login: login, TLS: conf}
	return e, e.check()
}

// check refuses an address that is none, and one where a token would be sent in clear.
func (e Endpoint) check() error {
	for i, address := range e.Addresses {
		u, err := url.Parse(address)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
			return fmt.Errorf("%q is no address of a global's API; it is like https://global.example.com:5682", address)
		case u.User != nil || u.RawQuery != "" || u.Fragment != "":
			return errors.New("the address of a global's API is a scheme, a host, a port and a path, and nothing else")
		case u.Scheme == "http" && !loopback(u.Hostname()):
			return fmt.Errorf("%s would be asked in clear, and its answers hold signing keys; use its https address", address)
		}
		e.Addresses[i] = strings.TrimSuffix(address, "/")
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
