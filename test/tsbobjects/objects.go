package tsbobjects

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// Renewed is the CA as some issuers renew it: the same name and key, valid from another time on.
func (a *testCA) Renewed(from time.Time) []byte {
	a.t.Helper()
	tmpl := *a.Cert
	tmpl.NotBefore, tmpl.NotAfter = from, from.Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, &tmpl, &tmpl, a.key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

var Noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// OpenHub is apifake.Hub with both modes on and an empty roster.
func OpenHub(clusters ...string) []apifake.Object {
	objects := apifake.Hub(clusters...)
	for _, o := range objects {
		if o["kind"] == "ManagementPlane" {
			o["spec"] = apifake.Object{"components": apifake.Object{"xcp": apifake.Object{"centralAuthModes": apifake.Object{"jwt": true, "mutualTls": true}}}}
		}
	}
	return append(objects, apifake.Object{"apiVersion": "v1", "kind": "Namespace",
		"metadata": apifake.Object{"name": api.Namespace, "uid": "u"}})
}

// OnJWT is a cluster whose edge presents a JWT and nothing else.
func OnJWT(cluster string) []apifake.Object {
	objects := apifake.Edge(cluster)
	for _, o := range objects {
		switch o["kind"] {
		case "ControlPlane":
			o["spec"].(apifake.Object)["components"] = apifake.Object{"xcp": apifake.Object{"centralAuthMode": "JWT"}}
		case "EdgeXcp":
			o["spec"] = apifake.Object{"centralAuthMode": "JWT"}
		case "Pod":
			o["spec"] = apifake.Object{"volumes": []any{apifake.Object{"name": "t",
				"secret": apifake.Object{"secretName": "xcp-edge-central-auth-token"}}}}
		}
	}
	return objects
}

// Entry is the roster's entry of a cluster that was verified at noon, about the ControlPlane with the given UID.
func Entry(name, uid string) apifake.Object {
	return apifake.Object{"apiVersion": api.GroupVersion.String(), "kind": "EdgeCluster",
		"metadata": apifake.Object{"name": name, "namespace": api.Namespace},
		"spec": apifake.Object{"clusterName": name, "role": "Edge", "clusterUID": "uid-of-" + name,
			"controlPlane": apifake.Object{"namespace": "istio-system", "name": "controlplane", "uid": uid}},
		"status": apifake.Object{"presents": []any{"jwt"}, "observedTime": Noon.Format(time.RFC3339),
			"validUntil":      Noon.Add(15 * time.Minute).Format(time.RFC3339),
			"controlPlaneUID": uid, "source": "ci"}}
}

// testCA is a CA of a test.
type testCA struct {
	t    *testing.T
	Cert *x509.Certificate
	key  *ecdsa.PrivateKey
	PEM  []byte
}

func NewCA(t *testing.T, name string) *testCA {
	t.Helper()
	a := &testCA{t: t, key: newKey(t)}
	a.Cert, a.PEM = a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign}, nil, a.key)
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
	tmpl.SerialNumber, tmpl.NotBefore, tmpl.NotAfter = big.NewInt(time.Now().UnixNano()), Noon.Add(-time.Hour),
		Noon.Add(time.Hour)
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

// Leaf is a certificate for Central: both usages, the SPIFFE ID and the names.
func (a *testCA) Leaf(names ...string) []byte {
	a.t.Helper()
	id, err := url.Parse("spiffe://xcp.tetrate.io/central")
	if err != nil {
		a.t.Fatal(err)
	}
	_, pem := a.sign(&x509.Certificate{DNSNames: names, URIs: []*url.URL{id},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}, a.Cert, newKey(a.t))
	return pem
}

func Hourly(t *testing.T, issued time.Time) string {
	t.Helper()
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iat": issued.Unix(),
		"exp": issued.Add(time.Hour).Unix()}).SignedString([]byte("canary-key"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

const Canary = "c4n4ry" // is in every secret of these tests, and may be in no message

func JwtUntil(t testing.TB, exp time.Time) string {
	t.Helper()
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"exp": exp.Unix(),
		"sub": Canary}).SignedString([]byte(Canary))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Document is a Secret in YAML, with values as they are.
func Document(name, ns string, stringData map[string]string) string {
	text := "---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: " + name + "\n  namespace: " + ns + "\nstringData:\n"
	for key, v := range stringData {
		text += fmt.Sprintf("  %s: %q\n", key, v)
	}
	return text
}

const Fqn1 = "organizations/example/clusters/edge-1"

func PrivateJWK() string { return `{"kty":"RSA","kid":"1","n":"AQAB","e":"AQAB","d":"` + Canary + `"}` }

func Leaks(t *testing.T, text string) {
	t.Helper()
	for _, secret := range []string{Canary, base64.RawURLEncoding.EncodeToString([]byte(Canary)), "eyJ"} {
		if strings.Contains(text, secret) {
			t.Errorf("a secret is in %q", text)
		}
	}
}

// WithoutHash is the objects with pods that do not tell whose they are: the ReplicaSets have to.
func WithoutHash(objects []apifake.Object) []apifake.Object {
	for _, o := range objects {
		if o["kind"] == "Pod" {
			delete(o["metadata"].(apifake.Object), "labels")
		}
	}
	return objects
}
