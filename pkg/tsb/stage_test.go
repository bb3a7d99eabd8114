package tsb

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/xcpauth/kubectl-xcpauth/pkg/observe"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// authority is a CA of a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := authority{key: key, cert: &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(1000 * time.Hour)}}
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a authority) pem() string { return string(encode(a.cert.Raw)) }

func encode(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// leaf issues a certificate, and returns it as PEM.
func (a authority) leaf(t *testing.T, change func(*x509.Certificate)) string {
	t.Helper()
	spiffe, err := url.Parse("spiffe://xcp.tetrate.io/central")
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{"tsb.example.test"}, URIs: []*url.URL{spiffe}, NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(500 * time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	if change != nil {
		change(c)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return string(encode(der))
}

func hourly(t *testing.T, issued time.Time) string {
	t.Helper()
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iat": issued.Unix(), "exp": issued.Add(time.Hour).Unix()}).SignedString([]byte("canary-key"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// stage is a hub and an edge that are as they should be, by object "Kind namespace/name", to be changed by a case.
type stage struct {
	ca      authority
	hub, eu map[string]apifake.Object
	unread  map[plan.Read]string
}

func keyed(objects []apifake.Object) map[string]apifake.Object {
	m := map[string]apifake.Object{}
	for _, o := range objects {
		put(m, o)
	}
	return m
}

func put(m map[string]apifake.Object, o apifake.Object) {
	m[o["kind"].(string)+" "+o["metadata"].(apifake.Object)["name"].(string)] = o
}

func deploymentOf(ns, name, image string) []apifake.Object {
	meta := func(name string, owner apifake.Object) apifake.Object {
		m := apifake.Object{"name": name, "namespace": ns, "uid": "uid-" + ns + name, "generation": 1}
		if owner != nil {
			m["ownerReferences"] = []any{owner}
		}
		return m
	}
	return []apifake.Object{
		{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta(name, nil), "spec": apifake.Object{"replicas": 1, "template": apifake.Object{"spec": apifake.Object{"containers": []any{apifake.Object{"image": image}}}}},
			"status": apifake.Object{"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}},
		{"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": meta(name+"-1", apifake.Object{"kind": "Deployment", "name": name, "uid": "uid-" + ns + name})},
		{"apiVersion": "v1", "kind": "Pod", "metadata": meta(name+"-1-a", apifake.Object{"kind": "ReplicaSet", "name": name + "-1", "uid": "uid-" + ns + name + "-1"}), "spec": apifake.Object{},
			"status": apifake.Object{"phase": "Running", "conditions": []any{apifake.Object{"type": "Ready", "status": "True"}}}},
	}
}

func newStage(t *testing.T) *stage {
	t.Helper()
	const image = "registry.example.test:5000/tsboperator-server:1.6.0"
	s := &stage{ca: newAuthority(t), hub: keyed(openHub("eu")), eu: keyed(onJWT("eu")), unread: map[plan.Read]string{}}
	for _, m := range []map[string]apifake.Object{s.hub, s.eu} {
		for _, o := range m {
			if o["kind"] == "ManagementPlane" || o["kind"] == "ControlPlane" {
				o["metadata"].(apifake.Object)["labels"] = apifake.Object{"app.kubernetes.io/version": "1.6.0"}
			}
		}
	}
	for _, o := range append(deploymentOf("tsb", operatorHub, image), apifake.Object{"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": apifake.Object{"name": "xcpauth-webhook"}}) {
		put(s.hub, o)
	}
	for _, o := range deploymentOf("istio-system", operatorEdge, image) {
		put(s.eu, o)
	}
	put(s.hub, apifake.Secret("tsb", secretCentralCert, map[string]string{"tls.crt": s.ca.leaf(t, nil), "ca.crt": s.ca.pem()}))
	s.secret(secretToken, map[string]string{"jwt": hourly(t, noon)})
	s.secret("oap-token", map[string]string{"token": hourly(t, noon)})
	s.secret("otel-token", map[string]string{"token": hourly(t, noon)})
	s.secret(secretCA, map[string]string{"ca.crt": s.ca.pem()})
	s.secret(secretServiceAccount, map[string]string{"clusterFqn": "organizations/o/clusters/eu", "jwk": `{"kty":"RSA","d":"canary-private"}`})
	return s
}

// secret puts a secret into the edge's cluster.
func (s *stage) secret(name string, data map[string]string) {
	put(s.eu, apifake.Secret("istio-system", name, data))
}

func (s *stage) central(t *testing.T, change func(*x509.Certificate), more map[string]string) {
	t.Helper()
	data := map[string]string{"tls.crt": s.ca.leaf(t, change), "ca.crt": s.ca.pem()}
	for k, v := range more {
		if v == "" {
			delete(data, k)
			continue
		}
		data[k] = v
	}
	put(s.hub, apifake.Secret("tsb", secretCentralCert, data))
}

// onMTLS puts the edge back to mutual TLS, with a certificate of the given authority.
func (s *stage) onMTLS(t *testing.T, edge, trusts authority) {
	t.Helper()
	for _, o := range apifake.Edge("eu") {
		put(s.eu, o)
	}
	s.labelled("1.6.0")
	s.secret(secretEdgeCert, map[string]string{"tls.crt": edge.leaf(t, func(c *x509.Certificate) { c.URIs = nil }), "ca.crt": trusts.pem()})
}

func (s *stage) labelled(version string) {
	s.eu["ControlPlane controlplane"]["metadata"].(apifake.Object)["labels"] = apifake.Object{"app.kubernetes.io/version": version}
}

func (s *stage) xcp() apifake.Object {
	return s.eu["ControlPlane controlplane"]["spec"].(apifake.Object)["components"].(apifake.Object)["xcp"].(apifake.Object)
}

func (s *stage) facts() plan.State {
	return checkFacts([]plan.Snapshot{s.read("hub", s.hub), s.read("eu", s.eu)}, plan.Selection{}, noon)
}

// read reads as check does.
func (s *stage) read(context string, from map[string]apifake.Object) plan.Snapshot {
	var objects []apifake.Object
	for _, o := range from {
		objects = append(objects, o)
	}
	snap := plan.Snapshot{Context: context, At: noon, Reads: map[plan.Read]plan.Result{}}
	for {
		next := checkReads(snap.Reads, false)
		if len(next) == 0 {
			return snap
		}
		for _, r := range next {
			code, body := apifake.Get(objects, observe.Path(r))
			switch why := s.unread[r]; {
			case why != "":
				snap.Reads[r] = plan.Result{Err: why}
			case code == http.StatusNotFound:
				snap.Reads[r] = plan.Result{Missing: true}
			default:
				snap.Reads[r] = plan.Result{Body: body}
			}
		}
	}
}
