package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"k8s.io/client-go/util/keyutil"
)

// Policy says how long things live. What is made keeps its life, so that replicas with different policies do not undo
// each other's work.
type Policy struct {
	DNSName string // by which API servers call

	CALifetime   time.Duration // changed at two thirds
	LeafLifetime time.Duration // renewed at two thirds
	// Wait is how long a CA is published before its leaves are served: the time in which every API server has taken a
	// changed bundle over, and by which the clocks of replicas may differ.
	Wait time.Duration
}

// Defaults of the policy.
const (
	CALifetime   = 10 * 365 * 24 * time.Hour
	LeafLifetime = 30 * 24 * time.Hour
	Wait         = time.Minute
)

// Validate refuses lives that leave no room for an overlap.
func (p Policy) Validate() error {
	switch {
	case p.DNSName == "":
		return errors.New("no DNS name for the certificate")
	case p.Wait <= 0:
		return fmt.Errorf("the wait is %s: a new CA must be published for some time before its certificate is served", p.Wait)
	case p.LeafLifetime < 3*p.Wait:
		return fmt.Errorf("the leaf lives for %s: must be at least three times the wait of %s", p.LeafLifetime, p.Wait)
	case p.CALifetime < 3*p.LeafLifetime:
		return fmt.Errorf("the CA lives for %s: must be at least three times the leaf's life of %s",
			p.CALifetime, p.LeafLifetime)
	}
	return nil
}

// pair is a certificate with its key.
type pair struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// newCA makes a CA that can vouch for the one name, for no address, and signs no other CA.
func (p Policy) newCA(now time.Time) (*pair, error) {
	return issue(nil, now, p.CALifetime, &x509.Certificate{
		Subject:                     pkix.Name{CommonName: "xcpauth-webhook-ca", Organization: []string{"xcpauth"}},
		KeyUsage:                    x509.KeyUsageCertSign,
		BasicConstraintsValid:       true,
		IsCA:                        true,
		MaxPathLenZero:              true,
		PermittedDNSDomains:         []string{p.DNSName},
		PermittedDNSDomainsCritical: true,
		ExcludedIPRanges: []*net.IPNet{{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)},
			{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}},
	})
}

// newLeaf makes a serving certificate; it ends no later than its CA.
func (p Policy) newLeaf(ca *pair, now time.Time) (*pair, error) {
	return issue(ca, now, min(p.LeafLifetime, ca.cert.NotAfter.Sub(now)), &x509.Certificate{
		Subject:     pkix.Name{CommonName: "xcpauth-webhook", Organization: []string{"xcpauth"}},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{p.DNSName},
	})
}

// issue makes a key and its certificate, signed by a CA, or by itself. It is valid from before now: an API server's
// clock may be behind.
func issue(by *pair, now time.Time, life time.Duration, template *x509.Certificate) (*pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the key of %s: %w", template.Subject, err)
	}
	template.NotBefore, template.NotAfter = now.Add(-min(5*time.Minute, life/10)), now.Add(life)
	if by == nil {
		by = &pair{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.cert, key.Public(), by.key)
	if err != nil {
		return nil, fmt.Errorf("making the certificate of %s: %w", template.Subject, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate that was made of %s: %w", template.Subject, err)
	}
	return &pair{cert, key}, nil
}

// due is when a certificate of ours is replaced: at two thirds of its own life.
func due(cert *x509.Certificate) time.Time {
	return cert.NotAfter.Add(-cert.NotAfter.Sub(cert.NotBefore) / 3)
}

// maySign tells whether a certificate is a CA of ours, for this name, and not at its end.
func (p Policy) maySign(cert *x509.Certificate, now time.Time) bool {
	return cert.IsCA && !now.Before(cert.NotBefore) && now.Before(due(cert)) &&
		slices.Equal(cert.PermittedDNSDomains, []string{p.DNSName})
}

// verify is nil when a client that trusts the CAs accepts the leaf for the name.
func verify(leaf *x509.Certificate, dnsName string, cas []*x509.Certificate, now time.Time) error {
	roots := x509.NewCertPool()
	for _, ca := range cas {
		roots.AddCert(ca)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: dnsName, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	return err
}

// parseCAs reads the CA certificates of bundles, each once; whatever else is in them is left out.
func parseCAs(bundles ...[]byte) (cas []*x509.Certificate) {
	for _, bundle := range bundles {
		for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
			if block.Type != "CERTIFICATE" || len(block.Headers) != 0 { // crypto/x509 takes no block with headers either
				continue
			}
			if ca, err := x509.ParseCertificate(block.Bytes); err == nil && ca.IsCA && !has(cas, ca) {
				cas = append(cas, ca)
			}
		}
	}
	return cas
}

func has(list []*x509.Certificate, cert *x509.Certificate) bool {
	return slices.ContainsFunc(list, cert.Equal)
}

// parseLeaf reads a certificate with its key; a pair that does not fit together is none.
func parseLeaf(secret map[string][]byte) *tls.Certificate {
	leaf, err := tls.X509KeyPair(secret[keyLeaf], secret[keyLeafKey])
	if err != nil {
		return nil
	}
	return &leaf
}

// parseKey reads a key that we made; anything else is none.
func parseKey(text []byte) *ecdsa.PrivateKey {
	key, _ := keyutil.ParsePrivateKeyPEM(text)
	ours, _ := key.(*ecdsa.PrivateKey)
	return ours
}

func encodeCerts(certs ...*x509.Certificate) (text []byte) {
	for _, cert := range certs {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})...)
	}
	return text
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
