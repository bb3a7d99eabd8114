package chain

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// Read decodes PEM certificates, in their order; blocks of another type are passed over. There is at least one, or an error, which holds
// nothing of the text.
func Read(text []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("a certificate in it does not parse: %w", err)
		}
		certs = append(certs, c)
	}
	if len(certs) == 0 {
		return nil, errors.New("it holds no PEM certificate")
	}
	return certs, nil
}

// Leaf is the first certificate of Read.
func Leaf(text []byte) (*x509.Certificate, error) {
	certs, err := Read(text)
	if err != nil {
		return nil, err
	}
	return certs[0], nil
}

// Trusts says whether a CA bundle verifies a server's certificates under a name ("" for any), at the given time, as a TLS client does.
// "" means that it does; else it is why not, in one clause.
func Trusts(bundle, server []byte, name string, at time.Time) string {
	roots, err := Read(bundle)
	if err != nil {
		return err.Error()
	}
	certs, err := Read(server)
	if err != nil {
		return "the hub's certificate cannot be read: " + err.Error()
	}
	return verify(roots, certs, x509.VerifyOptions{DNSName: name, CurrentTime: at})
}

// Signed says whether a CA bundle signed a chain, whatever its name, its usages and whether it has expired since. "" means that
// it did; else it is why not, in one clause.
func Signed(bundle, text []byte) string {
	roots, err := Read(bundle)
	if err != nil {
		return "the CA: " + err.Error()
	}
	certs, err := Read(text)
	if err != nil {
		return "the certificate: " + err.Error()
	}
	return verify(roots, certs, x509.VerifyOptions{KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}, CurrentTime: certs[0].NotBefore.Add(time.Second)})
}

// verify verifies the first certificate with the rest as its intermediates.
func verify(roots, certs []*x509.Certificate, o x509.VerifyOptions) string {
	o.Roots, o.Intermediates = x509.NewCertPool(), x509.NewCertPool()
	for _, c := range roots {
		o.Roots.AddCert(c)
	}
	for _, c := range certs[1:] {
		o.Intermediates.AddCert(c)
	}
	if _, err := certs[0].Verify(o); err != nil {
		return err.Error()
	}
	return ""
}
