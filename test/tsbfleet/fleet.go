package tsbfleet

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
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/observe"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbobjects"
)

// Snapshot reads the objects as an observer would: burst after burst, until reads asks for nothing more.
func Snapshot(context string, objects ...apifake.Object) plan.Snapshot {
	s := plan.Snapshot{Context: context, At: tsbobjects.Noon, Reads: map[plan.Read]plan.Result{}}
	for {
		next := state.Reads(s.Reads, false)
		if len(next) == 0 {
			return s
		}
		for _, r := range next {
			if code, body := apifake.Get(objects, observe.Path(r)); code == http.StatusNotFound {
				s.Reads[r] = plan.Result{Missing: true}
			} else {
				s.Reads[r] = plan.Result{Body: body}
			}
		}
	}
}

// authority is a CA of a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func NewAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := authority{key: key, cert: &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: tsbobjects.Noon.Add(-time.Hour), NotAfter: tsbobjects.Noon.Add(1000 * time.Hour)}}
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a authority) PEM() string { return string(encode(a.cert.Raw)) }

func encode(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// Leaf issues a certificate, and returns it as PEM.
func (a authority) Leaf(t *testing.T, change func(*x509.Certificate)) string {
	t.Helper()
	spiffe, err := url.Parse("spiffe://xcp.tetrate.io/central")
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{"tsb.example.test"}, URIs: []*url.URL{spiffe},
		NotBefore: tsbobjects.Noon.Add(-time.Hour), NotAfter: tsbobjects.Noon.Add(500 * time.Hour),
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

// Stage is a hub and an edge that are as they should be, by object "Kind namespace/name", to be changed by a case.
type Stage struct {
	Ca        authority
	Hub, Edge map[string]apifake.Object
	Unread    map[plan.Read]string
}

func Keyed(objects []apifake.Object) map[string]apifake.Object {
	m := map[string]apifake.Object{}
	for _, o := range objects {
		Put(m, o)
	}
	return m
}

func Put(m map[string]apifake.Object, o apifake.Object) {
	m[o["kind"].(string)+" "+o["metadata"].(apifake.Object)["name"].(string)] = o
}

func DeploymentOf(ns, name, image string) []apifake.Object {
	of := name
	meta := func(name string, owner apifake.Object) apifake.Object {
		m := apifake.Object{"name": name, "namespace": ns, "uid": "uid-" + ns + name, "generation": 1,
			"labels": apifake.Object{"app": of, "pod-template-hash": "1"}}
		if owner != nil {
			m["ownerReferences"] = []any{owner}
		}
		return m
	}
	return []apifake.Object{
		{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta(name, nil),
			"spec": apifake.Object{"replicas": 1, "selector": apifake.Object{"matchLabels": apifake.Object{"app": name}},
				"template": apifake.Object{"spec": apifake.Object{"containers": []any{apifake.Object{"image": image}}}}},
			"status": apifake.Object{"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}},
		{"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": meta(name+"-1",
			apifake.Object{"kind": "Deployment", "name": name, "uid": "uid-" + ns + name})},
		{"apiVersion": "v1", "kind": "Pod", "metadata": meta(name+"-1-a", apifake.Object{"kind": "ReplicaSet", "name": name +
			"-1", "uid": "uid-" + ns + name + "-1"}), "spec": apifake.Object{},
			"status": apifake.Object{"phase": "Running", "conditions": []any{apifake.Object{"type": "Ready",
				"status": "True"}}}},
	}
}

func NewStage(t *testing.T) *Stage {
	t.Helper()
	const image = "registry.example.test:5000/tsboperator-server:1.6.0"
	s := &Stage{Ca: NewAuthority(t), Hub: Keyed(tsbobjects.OpenHub("eu")), Edge: Keyed(tsbobjects.OnJWT("eu")),
		Unread: map[plan.Read]string{}}
	for _, m := range []map[string]apifake.Object{s.Hub, s.Edge} {
		for _, o := range m {
			if o["kind"] == "ManagementPlane" || o["kind"] == "ControlPlane" {
				o["metadata"].(apifake.Object)["labels"] = apifake.Object{"app.kubernetes.io/version": "1.6.0"}
			}
		}
	}
	for _, o := range append(DeploymentOf("tsb", "tsb-operator-management-plane", image),
		apifake.Object{"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
			"metadata": apifake.Object{"name": "xcpauth-webhook"}}) {
		Put(s.Hub, o)
	}
	for _, o := range DeploymentOf("istio-system", "tsb-operator-control-plane", image) {
		Put(s.Edge, o)
	}
	Put(s.Hub, apifake.Secret("tsb", state.SecretCentralCert, map[string]string{"tls.crt": s.Ca.Leaf(t, nil),
		"ca.crt": s.Ca.PEM()}))
	s.SecretRead(state.SecretToken, map[string]string{"jwt": tsbobjects.Hourly(t, tsbobjects.Noon)})
	s.SecretRead("oap-token", map[string]string{"token": tsbobjects.Hourly(t, tsbobjects.Noon)})
	s.SecretRead("otel-token", map[string]string{"token": tsbobjects.Hourly(t, tsbobjects.Noon)})
	s.SecretRead(state.SecretCA, map[string]string{"ca.crt": s.Ca.PEM()})
	s.SecretRead(state.SecretServiceAccount, map[string]string{"clusterFqn": "organizations/o/clusters/eu",
		"jwk": `{"kty":"RSA","d":"canary-private"}`})
	return s
}

// SecretRead puts a secret into the edge's cluster.
func (s *Stage) SecretRead(name string, data map[string]string) {
	Put(s.Edge, apifake.Secret("istio-system", name, data))
}

func (s *Stage) Central(t *testing.T, change func(*x509.Certificate), more map[string]string) {
	t.Helper()
	data := map[string]string{"tls.crt": s.Ca.Leaf(t, change), "ca.crt": s.Ca.PEM()}
	for k, v := range more {
		if v == "" {
			delete(data, k)
			continue
		}
		data[k] = v
	}
	Put(s.Hub, apifake.Secret("tsb", state.SecretCentralCert, data))
}

// OnMTLS puts the edge back to mutual TLS, with a certificate of the given authority.
func (s *Stage) OnMTLS(t *testing.T, edge, trusts authority) {
	t.Helper()
	for _, o := range apifake.Edge("eu") {
		Put(s.Edge, o)
	}
	s.Labelled("1.6.0")
	s.SecretRead(state.SecretEdgeCert, map[string]string{"tls.crt": edge.Leaf(t,
		func(c *x509.Certificate) { c.URIs = nil }), "ca.crt": trusts.PEM()})
}

func (s *Stage) Labelled(version string) {
	s.Edge["ControlPlane controlplane"]["metadata"].(apifake.Object)["labels"] = apifake.Object{"app.kubernetes.io/version": version}
}

func (s *Stage) Xcp() apifake.Object {
	return s.Edge["ControlPlane controlplane"]["spec"].(apifake.Object)["components"].(apifake.Object)["xcp"].(apifake.Object)
}

// PlainProvider reads as a migration does.
var PlainProvider = plan.Provider{Reads: state.Reads, ReadState: state.ReadState}

// State is the state that a provider makes of the stage.
func (s *Stage) State(p plan.Provider) plan.State {
	return p.ReadState([]plan.Snapshot{s.Read(p, "hub", s.Hub), s.Read(p, "eu", s.Edge)}, plan.Selection{},
		tsbobjects.Noon)
}

// Read reads one cluster as a provider does.
func (s *Stage) Read(p plan.Provider, context string, from map[string]apifake.Object) plan.Snapshot {
	var objects []apifake.Object
	for _, o := range from {
		objects = append(objects, o)
	}
	snap := plan.Snapshot{Context: context, At: tsbobjects.Noon, Reads: map[plan.Read]plan.Result{}}
	for {
		next := p.Reads(snap.Reads, false)
		if len(next) == 0 {
			return snap
		}
		for _, r := range next {
			code, body := apifake.Get(objects, observe.Path(r))
			switch why := s.Unread[r]; {
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

// Edge is a healthy member that presents cred and is set to it.
func Edge(name string, c guard.Cred) plan.Member {
	return plan.Member{Identity: plan.Identity{Name: name, ClusterName: name, Role: plan.RoleEdge, Context: name,
		Object: plan.Ref{Resource: "controlplanes", Kind: "ControlPlane", Namespace: "istio-system", Name: "controlplane",
			UID: "uid-" + name}},
		Registration: plan.Registration{Registered: true},
		Declaration: plan.Declaration{Declared: c,
			DeclaredFields: map[string]any{"centralAuthMode": map[guard.Cred]any{state.MTLS: "MUTUAL_TLS",
				state.JWT: "JWT"}[c]}},
		Effective: c,
		Evidence:  guard.Member{Name: name, Presents: []guard.Cred{c}, Until: tsbobjects.Noon.Add(time.Minute)},
		Workload:  plan.Workload{Found: true, Replicas: 1, Settled: true},
		Credentials: plan.Credentials{Credential: plan.Credential{State: plan.CredentialReady},
			Rotation:      plan.Rotation{Seen: c == state.JWT, At: tsbobjects.Noon},
			OldCredential: plan.Certificate{Expires: tsbobjects.Noon.Add(time.Hour)}},
		Connecting: plan.Connecting{Trust: plan.Trust{OK: true}},
		Fence:      plan.Fence{Unavailable: "its API server is too old"}}
}

// Fenceable is an edge whose cluster can have a fence.
func Fenceable(m plan.Member) plan.Member {
	m.Fence = plan.Fence{Policy: state.FencePolicyRef, Binding: state.FenceBindingRef}
	return m
}

// Young is a verified edge whose session has not outlived its first token.
func Young(name string) plan.Member {
	return With(Verified(Edge(name, state.JWT)), func(m *plan.Member) {
		m.Rotation, m.Statement.Rotated = plan.Rotation{At: tsbobjects.Noon.Add(time.Hour), Why: "its pods are young"}, false
	})
}

func Verified(m plan.Member) plan.Member {
	m.Statement = &plan.Statement{Presents: []guard.Cred{state.JWT}, Observed: tsbobjects.Noon,
		Until: tsbobjects.Noon.Add(15 * time.Minute), Rotated: true}
	return m
}

func Mpc(c guard.Cred) plan.Member {
	m := Edge(state.MPCName, c)
	m.Role = plan.RoleMPC
	return m
}

func Fleet(mtls, jwt guard.Tri, members ...plan.Member) plan.State {
	return plan.State{At: tsbobjects.Noon, Words: state.Words, Members: members,
		Hub: plan.Hub{HubIdentity: plan.HubIdentity{Found: true, Context: "hub",
			Object: plan.Ref{Resource: "managementplanes", Kind: "ManagementPlane", Namespace: "tsb", Name: "managementplane"}},
			HubDeclaration: plan.HubDeclaration{Accepts: guard.Hub{Accepts: map[guard.Cred]guard.Tri{state.MTLS: mtls,
				state.JWT: jwt}, Basis: "now"}, Declared: map[string]any{"jwt": jwt == guard.Yes, "mutualTls": mtls == guard.Yes}},
			HubRunning: plan.HubRunning{VerifiedBasis: "now", Workload: plan.Workload{Found: true, Replicas: 1, Settled: true,
				RestartedFor: "redial-e3b0c442" /* of an edge without pods */}},
			HubRecords: plan.HubRecords{Roster: plan.RosterState{Namespace: true, Kind: true}}}}
}

func With(m plan.Member, change func(*plan.Member)) plan.Member { change(&m); return m }

func Changed(f plan.State, change func(*plan.State)) plan.State { change(&f); return f }

// Said is a wave in short: the IDs of its steps, then what is blocked.
func Said(w plan.Wave) string {
	var words []string
	for _, s := range w.Steps {
		words = append(words, s.ID)
	}
	for _, b := range w.Obstacles {
		words = append(words, "!"+b.Member)
	}
	return strings.Join(words, " ")
}
