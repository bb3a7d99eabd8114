package pki_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/pki"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// pair is a certificate with its key.
type pair struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

// issue makes a certificate that by signs, or itself where by is nil; with names it is a server's, valid for an hour
// around noon.
func issue(t *testing.T, cn string, by *pair, names ...string) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	want := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: cn},
		NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(time.Hour), DNSNames: names,
		IsCA: len(names) == 0, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	if len(names) > 0 {
		want.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	p := pair{key: key}
	signer := &pair{cert: want, key: key}
	if by != nil {
		signer = by
	}
	der, err := x509.CreateCertificate(rand.Reader, want, signer.cert, &key.PublicKey, signer.key)
	if err != nil {
		t.Fatal(err)
	}
	if p.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	p.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return p
}

func TestWhatACAVerifies(t *testing.T) {
	root, other := issue(t, "root", nil), issue(t, "another", nil)
	middle := issue(t, "intermediate", &root)
	leaf := issue(t, "leaf", &middle, "global.example.test")
	server := append(append([]byte("a comment\n"), leaf.pem...), middle.pem...)
	for _, tc := range []struct {
		name           string
		bundle, server []byte
		dialled        string
		at             time.Time
		trusts, signed string // a part of what is said, "" when it does
		descends       bool
	}{
		{"by its root", root.pem, server, "global.example.test", noon, "", "", true},
		{"whatever its name", root.pem, server, "", noon, "", "", true},
		{"by one of two", append(append([]byte{}, other.pem...), root.pem...), server, "global.example.test",
			noon, "", "", true},
		{"by another", other.pem, server, "global.example.test", noon, "unknown authority", "unknown authority", false},
		{"without its intermediate", root.pem, leaf.pem, "global.example.test", noon, "unknown authority",
			"unknown authority", false},
		{"under another name", root.pem, server, "elsewhere.example.test", noon, "not elsewhere.example.test", "", true},
		{"once it has expired", root.pem, server, "global.example.test", noon.Add(2 * time.Hour), "expired", "", true},
		{"a bundle without a certificate", []byte("nothing"), server, "", noon, "no PEM certificate",
			"the CA: it holds no PEM certificate", false},
		{"a server without one", root.pem, nil, "", noon, "cannot be read: it holds no PEM certificate",
			"the certificate: it holds no PEM certificate", false},
		{"one that does not parse", root.pem, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), "",
			noon, "does not parse", "does not parse", false},
		{"a CA renewed under its own key after the leaf was issued", renewed(t, root, noon).pem, server,
			"global.example.test",
			noon.Add(time.Minute), "", "", true},
		{"a CA renewed under its own key after the leaf expired", renewed(t, root, noon.Add(90*time.Minute)).pem, server, "",
			noon.Add(2 * time.Hour), "expired", "expired or is not yet valid", true},
		{"a CA with PEM headers, which AppendCertsFromPEM skips", headed(root.pem), server, "global.example.test", noon,
			"PEM headers", "the CA: each certificate in it has PEM headers", false},
		{"a CA with headers beside one without", append(headed(other.pem), root.pem...), server, "global.example.test",
			noon, "", "", true},
		{"a CA that does not parse beside one that does",
			append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), root.pem...), server, "",
			noon, "", "", true},
		{"a leaf with PEM headers, which X509KeyPair takes", root.pem, append(headed(leaf.pem), middle.pem...),
			"global.example.test", noon, "", "", true},
	} {
		for what, got := range map[string][2]string{"trusts": {pki.Trusts(tc.bundle, tc.server, tc.dialled, tc.at),
			tc.trusts}, "signed": {pki.Signed(tc.bundle, tc.server, tc.at), tc.signed}} {
			if (got[0] == "") != (got[1] == "") || !strings.Contains(got[0], got[1]) {
				t.Errorf("%s: %s: %q, want %q", tc.name, what, got[0], got[1])
			}
		}
		if got, _ := pki.Descends(tc.bundle, tc.server); got != tc.descends {
			t.Errorf("%s: descends: %v, want %v", tc.name, got, tc.descends)
		}
	}
}

// The reader of bundles takes exactly the CAs that the standard library takes, and its evaluation is the one of a TLS
// client.
func TestABundleIsReadAsTheStandardLibraryReadsIt(t *testing.T) {
	root, other := issue(t, "root", nil), issue(t, "another", nil)
	broken := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")})
	parts := [][]byte{root.pem, other.pem, headed(root.pem), broken, key, []byte("text\n"), nil}
	for _, a := range parts {
		for _, b := range parts {
			for _, c := range parts {
				text := slices.Concat(a, b, c)
				want := x509.NewCertPool()
				took := want.AppendCertsFromPEM(text)
				got := x509.NewCertPool()
				cas, err := pki.Bundle(text)
				for _, ca := range cas {
					got.AddCert(ca)
				}
				if took != (err == nil) || !got.Equal(want) {
					t.Errorf("%q: took %d CAs, %v; the standard library took some: %v", text, len(cas), err, took)
				}
			}
		}
	}
}

// renewed is a CA as some issuers renew it: the same name and key, valid from another time on.
func renewed(t *testing.T, ca pair, from time.Time) pair {
	t.Helper()
	want := *ca.cert
	want.SerialNumber, want.NotBefore, want.NotAfter = big.NewInt(2), from, from.Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, &want, &want, &ca.key.PublicKey, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	return pair{key: ca.key, pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// headed is the first certificate of a text with a PEM header.
func headed(text []byte) []byte {
	block, _ := pem.Decode(text)
	return pem.EncodeToMemory(&pem.Block{Type: block.Type, Headers: map[string]string{"Friendly-Name": "a CA"},
		Bytes: block.Bytes})
}
