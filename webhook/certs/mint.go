package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"slices"
	"time"
)

// authority is a CA with its key.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// newAuthority makes a CA that can vouch for the one name and sign no other CA.
func (p Policy) newAuthority(now time.Time) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the CA's key: %w", err)
	}
	template := &x509.Certificate{
		Subject:                     pkix.Name{CommonName: "xcpauth-webhook-ca", Organization: []string{"xcpauth"}},
		NotBefore:                   now.Add(-backdate(p.CALifetime)),
		NotAfter:                    now.Add(p.CALifetime),
		KeyUsage:                    x509.KeyUsageCertSign,
		BasicConstraintsValid:       true,
		IsCA:                        true,
		MaxPathLenZero:              true,
		PermittedDNSDomains:         []string{p.DNSName},
		PermittedDNSDomainsCritical: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("making the CA: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading the CA that was made: %w", err)
	}
	return &authority{cert, key}, nil
}

// newLeaf makes a serving certificate; it ends no later than its CA.
func (p Policy) newLeaf(ca *authority, now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the certificate's key: %w", err)
	}
	end := now.Add(p.LeafLifetime)
	if end.After(ca.cert.NotAfter) {
		end = ca.cert.NotAfter
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "xcpauth-webhook", Organization: []string{"xcpauth"}},
		NotBefore:   now.Add(-backdate(p.LeafLifetime)),
		NotAfter:    end,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{p.DNSName},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
	if err != nil {
		return nil, fmt.Errorf("making the certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate that was made: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: cert}, nil
}

// due is when a certificate of ours is renewed: at two thirds of its own life.
func due(cert *x509.Certificate) time.Time {
	return cert.NotAfter.Add(-cert.NotAfter.Sub(cert.NotBefore) / 3)
}

// usable tells whether a CA may sign: it is ours, for this name, and not at its end.
func (p Policy) usable(ca *authority, now time.Time) bool {
	return ca != nil && ca.cert.IsCA && now.Before(ca.cert.NotAfter) && slices.Equal(ca.cert.PermittedDNSDomains, []string{p.DNSName})
}

// Verify is nil when a client that trusts the bundle, PEM, accepts the leaf for the name.
func Verify(leaf *x509.Certificate, dnsName string, bundle []byte, now time.Time) error {
	return verify(leaf, dnsName, parseCAs(bundle), now)
}

func verify(leaf *x509.Certificate, dnsName string, cas []*x509.Certificate, now time.Time) error {
	roots := x509.NewCertPool()
	for _, ca := range cas {
		roots.AddCert(ca)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: dnsName, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	return err
}

// parseCAs reads the CA certificates of a bundle, each once; whatever else is in it is left out.
func parseCAs(bundle []byte) (cas []*x509.Certificate) {
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" || len(block.Headers) != 0 { // crypto/x509 takes no block with headers either
			continue
		}
		if ca, err := x509.ParseCertificate(block.Bytes); err == nil && ca.IsCA && !has(cas, ca) {
			cas = append(cas, ca)
		}
	}
	return cas
}

// parseKey reads a key that we made; anything else is none.
func parseKey(text []byte) *ecdsa.PrivateKey {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil
	}
	ours, _ := key.(*ecdsa.PrivateKey)
	return ours
}

// parseLeaf reads a certificate with its key; a pair that does not fit together is none.
func parseLeaf(cert, key []byte) *tls.Certificate {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil
	}
	if pair.Leaf == nil {
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return nil
		}
	}
	return &pair
}

func encodeCerts(certs ...*x509.Certificate) (text []byte) {
	for _, cert := range certs {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})...)
	}
	return text
}

func encodeKey(key any) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func has(list []*x509.Certificate, cert *x509.Certificate) bool {
	return slices.ContainsFunc(list, cert.Equal)
}

// fingerprint names a certificate in the schedule.
func fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return hex.EncodeToString(sum[:])
}
