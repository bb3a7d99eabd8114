package certs

import (
	"crypto/x509"
	"net"
	"testing"
	"time"
)

// What somebody makes with the CA's key is good for the webhook's name, and for nothing else.
func TestTheCACanVouchForTheWebhookAlone(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ca, err := policy.newCA(now)
	if err != nil {
		t.Fatal(err)
	}
	below, err := issue(ca, now, LeafLifetime, &x509.Certificate{IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		by   *pair
		dns  []string
		ips  []net.IP
		asks string
		ok   bool
	}{
		"the webhook":                    {ca, []string{serviceName}, nil, serviceName, true},
		"another service":                {ca, []string{"kubernetes.default.svc"}, nil, "kubernetes.default.svc", false},
		"another one beside the webhook": {ca, []string{serviceName, "kubernetes.default.svc"}, nil, serviceName, false},
		"everybody":                      {ca, []string{"*"}, nil, "kubernetes", false},
		"an address":                     {ca, nil, []net.IP{net.IPv4(10, 0, 0, 1)}, "10.0.0.1", false},
		"an address of IPv6":             {ca, nil, []net.IP{net.ParseIP("fd00::1")}, "fd00::1", false},
		"the webhook, by a CA below it":  {below, []string{serviceName}, nil, serviceName, false},
	} {
		t.Run(name, func(t *testing.T) {
			leaf, err := issue(c.by, now, LeafLifetime, &x509.Certificate{DNSNames: c.dns, IPAddresses: c.ips,
				KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
			if err != nil {
				t.Fatal(err)
			}
			roots, between := x509.NewCertPool(), x509.NewCertPool()
			roots.AddCert(ca.cert)
			between.AddCert(below.cert)
			asked := x509.VerifyOptions{Roots: roots, Intermediates: between, DNSName: c.asks, CurrentTime: now}
			_, err = leaf.cert.Verify(asked)
			if (err == nil) != c.ok {
				t.Errorf("believed: %v", err)
			}
		})
	}
}
