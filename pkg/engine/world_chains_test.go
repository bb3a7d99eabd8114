package engine

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"time"
)

// chains are real certificates for the model: one that everybody trusts, with and without the name that edges dial,
// and one of a CA that nobody trusts.
var chains = func() (c struct{ ca, good, unnamed, foreign []byte }) {
	var ca, other []byte
	sign := func(tmpl, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) []byte {
		tmpl.SerialNumber, tmpl.NotBefore, tmpl.NotAfter = big.NewInt(1), time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
			time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC)
		der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), parentKey)
		if err != nil {
			panic(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	authority := func(name string) (*x509.Certificate, *ecdsa.PrivateKey, []byte) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		tmpl := &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
			KeyUsage: x509.KeyUsageCertSign}
		return tmpl, key, sign(tmpl, tmpl, key, key)
	}
	leaf := func(names ...string) *x509.Certificate {
		return &x509.Certificate{Subject: pkix.Name{CommonName: "central"}, DNSNames: names,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	}
	root, key, text := authority("ca")
	stranger, strangerKey, otherText := authority("another ca")
	ca, other = text, otherText
	c.ca = ca
	c.good, c.unnamed = sign(leaf(dialled), root, key, key), sign(leaf("central.xcp.tetrate.io"), root, key, key)
	c.foreign = append(sign(leaf(dialled), stranger, strangerKey, strangerKey), other...)
	return c
}()
