package chain_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/chain"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// pair is a certificate with its key.
type pair struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

// issue makes a certificate that by signs, or itself where by is nil; with names it is a server's, valid for an hour around noon.
func issue(t *testing.T, cn string, by *pair, names ...string) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	want := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: cn}, NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(time.Hour), DNSNames: names,
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
	}{
		{"by its root", root.pem, server, "global.example.test", noon, "", ""},
		{"whatever its name", root.pem, server, "", noon, "", ""},
		{"by one of two", append(append([]byte{}, other.pem...), root.pem...), server, "global.example.test", noon, "", ""},
		{"by another", other.pem, server, "global.example.test", noon, "unknown authority", "unknown authority"},
		{"without its intermediate", root.pem, leaf.pem, "global.example.test", noon, "unknown authority", "unknown authority"},
		{"under another name", root.pem, server, "elsewhere.example.test", noon, "not elsewhere.example.test", ""},
		{"once it has expired", root.pem, server, "global.example.test", noon.Add(2 * time.Hour), "expired", ""},
		{"a bundle without a certificate", []byte("nothing"), server, "", noon, "no PEM certificate", "the CA: it holds no PEM certificate"},
		{"a server without one", root.pem, nil, "", noon, "cannot be read: it holds no PEM certificate", "the certificate: it holds no PEM certificate"},
		{"one that does not parse", root.pem, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), "", noon, "does not parse", "does not parse"},
	} {
		for what, got := range map[string][2]string{"trusts": {chain.Trusts(tc.bundle, tc.server, tc.dialled, tc.at), tc.trusts}, "signed": {chain.Signed(tc.bundle, tc.server), tc.signed}} {
			if (got[0] == "") != (got[1] == "") || !strings.Contains(got[0], got[1]) {
				t.Errorf("%s: %s: %q, want %q", tc.name, what, got[0], got[1])
			}
		}
	}
}
