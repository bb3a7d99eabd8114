package pki

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// Bundle decodes the CAs of a PEM bundle as the products do, which call AppendCertsFromPEM of crypto/x509: blocks of
// another type, blocks with headers and certificates that do not parse are skipped without a word. There is at least
// one CA, or an error that says what was skipped and holds nothing of the text.
func Bundle(text []byte) ([]*x509.Certificate, error) {
	var cas []*x509.Certificate
	var headers, broken int
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		if len(block.Headers) > 0 {
			headers++
			continue
		}
		ca, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			broken++
			continue
		}
		cas = append(cas, ca)
	}
	switch {
	case len(cas) > 0:
		return cas, nil
	case headers > 0:
		return nil, errors.New("each certificate in it has PEM headers, and readers of CA bundles skip such blocks; remove the headers")
	case broken > 0:
		return nil, errors.New("no certificate in it parses")
	}
	return nil, errors.New("it holds no PEM certificate")
}

// Certificates decodes a certificate with its intermediates as the products do, which call X509KeyPair of crypto/tls:
// the leaf is the first, blocks of another type are skipped, and headers do not matter. There is at least one, or an
// error, which holds nothing of the text.
func Certificates(text []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
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

// Leaf is the first of Certificates.
func Leaf(text []byte) (*x509.Certificate, error) {
	certs, err := Certificates(text)
	if err != nil {
		return nil, err
	}
	return certs[0], nil
}

// Trusts says whether a CA bundle verifies a server's certificates under a name ("" for any), at the given time, as a
// TLS client does. "" means that it does; else it is why not, in one clause.
func Trusts(bundle, server []byte, name string, at time.Time) string {
	roots, err := Bundle(bundle)
	if err != nil {
		return err.Error()
	}
	certs, err := Certificates(server)
	if err != nil {
		return "the hub's certificate cannot be read: " + err.Error()
	}
	return verify(roots, certs, x509.VerifyOptions{DNSName: name, CurrentTime: at})
}

// Signed says whether a CA bundle verifies a chain at the given time, whatever its name and its usages. Where the
// leaf itself has expired, or is not valid yet, the rest is judged at the leaf's last, or first, moment: the leaf's
// own times are another question. "" means that it does; else it is why not, in one clause.
func Signed(bundle, text []byte, at time.Time) string {
	roots, err := Bundle(bundle)
	if err != nil {
		return "the CA: " + err.Error()
	}
	certs, err := Certificates(text)
	if err != nil {
		return "the certificate: " + err.Error()
	}
	switch leaf := certs[0]; {
	case at.Before(leaf.NotBefore):
		at = leaf.NotBefore
	case at.After(leaf.NotAfter):
		at = leaf.NotAfter
	}
	return verify(roots, certs, x509.VerifyOptions{KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}, CurrentTime: at})
}

// Descends says whether a CA of a bundle signed a chain, by its name and its key alone: no time and no usage counts,
// so that neither a leaf that has expired nor a CA that was renewed under its own key belongs to somebody else. known
// is false where that cannot be told.
func Descends(bundle, text []byte) (yes, known bool) {
	roots, err := Bundle(bundle)
	if err != nil {
		return false, false
	}
	certs, err := Certificates(text)
	if err != nil {
		return false, false
	}
	reached, rest := certs[:1], certs[1:]
	for len(reached) > 0 {
		c := reached[0]
		reached = reached[1:]
		for _, r := range roots {
			if bytes.Equal(c.Raw, r.Raw) || signedBy(c, r) {
				return true, true
			}
		}
		var others []*x509.Certificate
		for _, i := range rest {
			if signedBy(c, i) {
				reached = append(reached, i)
			} else {
				others = append(others, i)
			}
		}
		rest = others
	}
	return false, true
}

func signedBy(c, ca *x509.Certificate) bool {
	return bytes.Equal(c.RawIssuer, ca.RawSubject) && ca.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate,
		c.Signature) == nil
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
