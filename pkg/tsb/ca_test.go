package tsb

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/url"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// testCA is a CA of a test.
type testCA struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newTestCA(t *testing.T, name string) *testCA {
	t.Helper()
	a := &testCA{t: t, key: newKey(t)}
	a.cert, a.pem = a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil, a.key)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *testCA) sign(tmpl, parent *x509.Certificate, key *ecdsa.PrivateKey) (*x509.Certificate, []byte) {
	a.t.Helper()
	tmpl.SerialNumber, tmpl.NotBefore, tmpl.NotAfter = big.NewInt(time.Now().UnixNano()), noon.Add(-time.Hour), noon.Add(time.Hour)
	if parent == nil {
		parent = tmpl
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return c, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// leaf is a certificate for Central: both usages, the SPIFFE ID and the names.
func (a *testCA) leaf(names ...string) []byte {
	a.t.Helper()
	id, err := url.Parse(spiffeCentral)
	if err != nil {
		a.t.Fatal(err)
	}
	_, pem := a.sign(&x509.Certificate{DNSNames: names, URIs: []*url.URL{id}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}, a.cert, newKey(a.t))
	return pem
}

// renewed is the CA as some issuers renew it: the same name and key, valid from another time on.
func (a *testCA) renewed(from time.Time) []byte {
	a.t.Helper()
	tmpl := *a.cert
	tmpl.NotBefore, tmpl.NotAfter = from, from.Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, &tmpl, &tmpl, a.key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// Whose an edge is depends on who signed, never on when: else an edge of this hub would be called another's, and its owner told to
// delete it.
func TestAnEdgeIsNoOtherHubsForACertificatesTimes(t *testing.T) {
	ours, theirs := newTestCA(t, "a CA"), newTestCA(t, "a CA")
	leaf := string(ours.leaf("tsb.example.test"))
	for _, tc := range []struct {
		name      string
		ca        []byte
		at        time.Time
		elsewhere bool
		distrust  int
	}{
		{"the CA that signed it", ours.pem, noon, false, 0},
		{"that CA renewed under its own key, after the leaf was issued", ours.renewed(noon.Add(-time.Minute)), noon, false, 0},
		{"that CA renewed after the leaf had expired", ours.renewed(noon.Add(2 * time.Hour)), noon.Add(150 * time.Minute), false, 2},
		{"the leaf has expired", ours.pem, noon.Add(3 * time.Hour), false, 0},
		{"another CA of the same name", theirs.pem, noon, true, 0},
	} {
		hub := snapshot("hub", append(apifake.Hub("eu"),
			apifake.Secret("tsb", secretCentralCert, map[string]string{"tls.crt": leaf, "ca.crt": string(tc.ca)}))...)
		edge := snapshot("eu", append(apifake.Edge("eu"),
			apifake.Secret("istio-system", secretEdgeCert, map[string]string{"tls.crt": leaf, "ca.crt": string(tc.ca)}))...)
		f := checkFacts([]plan.Snapshot{hub, edge}, plan.Selection{}, tc.at)
		m := f.Member("eu")
		if m == nil {
			t.Errorf("%s: no member eu", tc.name)
			continue
		}
		if got := m.Err != "" || m.Object.Name == ""; got != tc.elsewhere {
			t.Errorf("%s: another hub's: %v, want %v: %s", tc.name, got, tc.elsewhere, m.Err)
		}
		if m.Inspection != nil && len(m.Inspection.Distrust) != tc.distrust {
			t.Errorf("%s: %d reasons to refuse, want %d: %+v", tc.name, len(m.Inspection.Distrust), tc.distrust, m.Inspection.Distrust)
		}
	}
}
