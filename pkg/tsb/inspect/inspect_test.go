package inspect

import (
	"crypto/x509"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/check"
	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/migration"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
	"github.com/xcpauth/kubectl-xcpauth/test/cases"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbfleet"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbobjects"
)

// What lies in the clusters, and which rules it makes speak (of errors and warnings): the product's own words come
// from here.
func TestWhatCheckFinds(t *testing.T) {
	overlay := func(path, value string) apifake.Object {
		return apifake.Object{"overlays": []any{apifake.Object{"apiVersion": "install.xcp.tetrate.io/v1alpha1",
			"kind": "EdgeXcp", "name": "edge-xcp", "patches": []any{apifake.Object{"path": path, "value": value}}}}}
	}
	for _, tc := range []struct {
		name string
		do   func(*testing.T, *tsbfleet.Stage)
		want []string // "XA020 eu", as they come
		saw  string   // a part of what the first says, or of its remedy
	}{
		{"all is well", func(*testing.T, *tsbfleet.Stage) {}, nil, ""},
		{"another name in Central's certificate", func(t *testing.T, s *tsbfleet.Stage) {
			s.Central(t, func(c *x509.Certificate) { c.DNSNames = []string{"central.xcp.tetrate.io"} }, nil)
		}, []string{"XA020 eu"}, "add tsb.example.test to spec.dnsNames"},
		{"the name that an overlay gives", func(t *testing.T, s *tsbfleet.Stage) {
			s.Central(t, func(c *x509.Certificate) { c.DNSNames = []string{"central.xcp.tetrate.io"} }, nil)
			s.Xcp()["kubeSpec"] = overlay("spec.centralAuthJwt.centralSni", "central.xcp.tetrate.io")
		}, nil, ""},
		{"a name that an overlay gives and the certificate lacks", func(t *testing.T, s *tsbfleet.Stage) {
			s.Xcp()["kubeSpec"] = overlay("spec.centralAuthJwt.centralSni", "central.xcp.tetrate.io")
		}, []string{"XA020 eu"}, "by an overlay; it dials tsb.example.test:9443"},
		{"a bundle of another CA", func(t *testing.T, s *tsbfleet.Stage) {
			s.SecretRead(state.SecretCA, map[string]string{"ca.crt": tsbfleet.NewAuthority(t).PEM()})
		}, []string{"XA021 eu"}, "counts at its next connection"},
		{"a bundle of another CA, of an edge on mutual TLS", func(t *testing.T, s *tsbfleet.Stage) {
			s.OnMTLS(t, s.Ca, s.Ca)
			s.SecretRead(state.SecretCA, map[string]string{"ca.crt": tsbfleet.NewAuthority(t).PEM()})
		}, []string{"XA021 eu"}, "once it presents a token"},
		{"no bundle, and a private CA", func(_ *testing.T, s *tsbfleet.Stage) { delete(s.Edge, "Secret "+state.SecretCA) },
			[]string{"XA021 eu"}, "the secret is not there"},
		{"an edge's certificate that Central's CA did not sign", func(t *testing.T,
			s *tsbfleet.Stage) {
			s.OnMTLS(t, tsbfleet.NewAuthority(t), s.Ca)
		}, []string{"XA021 eu"}, "the edge's certificate in secret istio-system/xcp-edge-cert"},
		{"an edge that trusts another CA on mutual TLS", func(t *testing.T, s *tsbfleet.Stage) {
			s.OnMTLS(t, s.Ca,
				tsbfleet.NewAuthority(t))
		}, []string{"XA025 eu", "XA004 eu"}, "did not sign this hub's certificate"},
		{"a CA beside Central's certificate that did not sign it", func(t *testing.T, s *tsbfleet.Stage) {
			s.Central(t, nil, map[string]string{"ca.crt": tsbfleet.NewAuthority(t).PEM()})
		}, []string{"XA021 hub"}, "it does not verify Central's certificate in the same secret"},
		{"no SPIFFE ID", func(t *testing.T, s *tsbfleet.Stage) {
			s.Central(t, func(c *x509.Certificate) { c.URIs = nil },
				nil)
		}, []string{"XA022 hub"}, "add spiffe://xcp.tetrate.io/central to spec.uris"},
		{"no client auth", func(t *testing.T, s *tsbfleet.Stage) {
			s.Central(t, func(c *x509.Certificate) { c.ExtKeyUsage = c.ExtKeyUsage[:1] }, nil)
		}, []string{"XA023 hub"}, "not for client auth"},
		{"no usages at all, which is any", func(t *testing.T, s *tsbfleet.Stage) {
			s.Central(t, func(c *x509.Certificate) { c.ExtKeyUsage = nil }, nil)
		}, nil, ""},
		{"no ca.crt", func(t *testing.T, s *tsbfleet.Stage) { s.Central(t, nil, map[string]string{"ca.crt": ""}) },
			[]string{"XA024 hub"}, "put the CA"},
		{"no SPIFFE ID, usage or CA when mutual TLS is off", func(t *testing.T, s *tsbfleet.Stage) {
			s.Central(t, func(c *x509.Certificate) { c.URIs, c.ExtKeyUsage = nil, c.ExtKeyUsage[:1] },
				map[string]string{"ca.crt": ""})
			s.Hub["ManagementPlane managementplane"]["spec"] = apifake.Object{"components": apifake.Object{"xcp": apifake.Object{"centralAuthModes": apifake.Object{"jwt": true, "mutualTls": false}}}}
		}, nil, ""},
		{"no SPIFFE ID, usage or CA when nothing is written and nobody presents a certificate",
			func(t *testing.T, s *tsbfleet.Stage) {
				s.Central(t, func(c *x509.Certificate) { c.URIs, c.ExtKeyUsage = nil, c.ExtKeyUsage[:1] },
					map[string]string{"ca.crt": ""})
				s.Hub["ManagementPlane managementplane"]["spec"] = apifake.Object{}
			}, []string{"XA011 hub"}, "write both modes explicitly"},
		{"no SPIFFE ID when nothing is written and an edge presents a certificate", func(t *testing.T, s *tsbfleet.Stage) {
			s.Central(t, func(c *x509.Certificate) { c.URIs = nil }, nil)
			s.OnMTLS(t, s.Ca, s.Ca)
			s.Hub["ManagementPlane managementplane"]["spec"] = apifake.Object{}
		}, []string{"XA022 hub", "XA011 hub"}, "mutual TLS may be in use"},
		{"a token with a newline", func(t *testing.T, s *tsbfleet.Stage) {
			s.SecretRead(state.SecretToken, map[string]string{"jwt": tsbobjects.Hourly(t, tsbobjects.Noon) + "\r\n"})
		}, []string{"XA031 eu"}, "white space at its start or end"},
		{"a token that expired", func(t *testing.T, s *tsbfleet.Stage) {
			s.SecretRead(state.SecretToken, map[string]string{"jwt": tsbobjects.Hourly(t, tsbobjects.Noon.Add(-2*time.Hour))})
		}, []string{"XA033 eu"}, "expired at"},
		{"siblings that expired", func(t *testing.T, s *tsbfleet.Stage) {
			s.SecretRead("oap-token", map[string]string{"token": tsbobjects.Hourly(t, tsbobjects.Noon.Add(-2*time.Hour))})
		}, []string{"XA037 eu"}, "fresh are istio-system/otel-token"},
		{"the service account of another cluster", func(_ *testing.T, s *tsbfleet.Stage) {
			s.SecretRead(state.SecretServiceAccount, map[string]string{"clusterFqn": "organizations/o/clusters/us",
				"jwk": `{"kty":"RSA","d":"canary-private"}`})
		}, []string{"XA032 eu"}, `clusterFqn is "organizations/o/clusters/us"`},
		{"a service account with a newline", func(_ *testing.T, s *tsbfleet.Stage) {
			s.SecretRead(state.SecretServiceAccount, map[string]string{"clusterFqn": "organizations/o/clusters/eu\n",
				"jwk": `{"kty":"RSA","d":"canary-private"}`})
		}, []string{"XA031 eu"}, "clusterFqn has white space"},
		{"a service account with a public key", func(_ *testing.T, s *tsbfleet.Stage) {
			s.SecretRead(state.SecretServiceAccount, map[string]string{"clusterFqn": "organizations/o/clusters/eu",
				"jwk": `{"kty":"RSA"}`})
		}, []string{"XA031 eu"}, "the operator needs the private one"},
		{"no service account, and hourly tokens", func(_ *testing.T, s *tsbfleet.Stage) {
			delete(s.Edge,
				"Secret "+state.SecretServiceAccount)
		}, []string{"XA030 eu"}, "the cluster's service account is not there"},
		{"no token and nothing to mint it from", func(_ *testing.T, s *tsbfleet.Stage) {
			delete(s.Edge, "Secret "+state.SecretServiceAccount)
			delete(s.Edge, "Secret "+state.SecretToken)
		}, []string{"XA030 eu", "XA030 eu"}, "is not there"},
		{"no token yet, and the operator can mint", func(_ *testing.T, s *tsbfleet.Stage) {
			delete(s.Edge,
				"Secret "+state.SecretToken)
		}, nil, ""},
		{"a self-signed API without its CA", func(_ *testing.T, s *tsbfleet.Stage) {
			s.Edge["ControlPlane controlplane"]["spec"].(apifake.Object)["managementPlane"].(apifake.Object)["selfSigned"] = true
		}, []string{"XA030 eu"}, "the CA of the API that mints tokens"},
		{"an alias beside the field", func(_ *testing.T, s *tsbfleet.Stage) { s.Xcp()["central_auth_mode"] = "JWT" },
			[]string{"XA013 eu"}, "which of the two the operator reads"},
		{"the field of the other plane",
			func(_ *testing.T, s *tsbfleet.Stage) { s.Xcp()["centralAuthModes"] = apifake.Object{"jwt": true} },
			[]string{"XA013 eu"}, "the key is centralAuthMode"},
		{"another case", func(_ *testing.T, s *tsbfleet.Stage) { s.Xcp()["centralAuthmode"] = "JWT" }, []string{"XA013 eu"},
			"which of the two the operator reads"},
		{"a number for a mode", func(_ *testing.T, s *tsbfleet.Stage) { s.Xcp()["centralAuthMode"] = 2 },
			[]string{"XA013 eu"}, "it is 2: not a documented mode"},
		{"a host that is no text", func(_ *testing.T, s *tsbfleet.Stage) {
			s.Edge["ControlPlane controlplane"]["spec"].(apifake.Object)["managementPlane"].(apifake.Object)["host"] = 7
		}, []string{"XA013 eu"}, "it must be a text"},
		{"an overlay on the mode", func(_ *testing.T, s *tsbfleet.Stage) {
			s.Xcp()["kubeSpec"] = overlay("spec.centralAuthMode", "MUTUAL_TLS")
		}, []string{"XA014 eu"}, "behind the typed field"},
		{"too old", func(_ *testing.T, s *tsbfleet.Stage) { s.Labelled("1.3.1") }, []string{"XA040 eu", "XA044 eu"},
			"JWTs need 1.4"},
		{"an operator of another version", func(_ *testing.T, s *tsbfleet.Stage) {
			for _, o := range tsbfleet.DeploymentOf("istio-system", operatorEdge, "tsboperator-server:1.7.0@sha256:00") {
				tsbfleet.Put(s.Edge, o)
			}
		}, []string{"XA044 eu", "XA045 eu"}, "1.7.0"},
		{"an operator that is rolled out", func(_ *testing.T, s *tsbfleet.Stage) {
			s.Hub["Deployment "+operatorHub]["status"].(apifake.Object)["updatedReplicas"] = 0
		}, []string{"XA042 hub"}, "its rollout is not over"},
		{"no operator", func(_ *testing.T, s *tsbfleet.Stage) { delete(s.Edge, "Deployment "+operatorEdge) },
			[]string{"XA046 eu"}, "it is not there"},
		{"an edge that is asleep", func(_ *testing.T, s *tsbfleet.Stage) {
			s.Edge["Deployment edge"]["spec"] = apifake.Object{"replicas": 0}
			delete(s.Edge, "Pod edge-1-a")
		}, []string{"XA060 eu"}, "scaled to 0"},
		{"an edge that was never onboarded", func(_ *testing.T, s *tsbfleet.Stage) {
			delete(s.Hub, "Cluster eu")
			for _, k := range []string{"Deployment edge", "ReplicaSet edge-1", "Pod edge-1-a"} {
				delete(s.Edge, k)
			}
		}, []string{"XA061 eu"}, `the hub does not list cluster "eu"`},
		{"an edge that is decommissioned", func(_ *testing.T, s *tsbfleet.Stage) {
			delete(s.Edge,
				"ControlPlane controlplane")
		}, []string{"XA062 eu"}, "the hub lists it still"},
		{"an edge that is being removed", func(_ *testing.T, s *tsbfleet.Stage) {
			s.Edge["ControlPlane controlplane"]["metadata"].(apifake.Object)["deletionTimestamp"] = tsbobjects.Noon.Format(time.RFC3339)
		}, []string{"XA063 eu"}, "it is being deleted"},
		{"Argo CD", func(_ *testing.T, s *tsbfleet.Stage) {
			s.Edge["ControlPlane controlplane"]["metadata"].(apifake.Object)["annotations"] = apifake.Object{"argocd.argoproj.io/tracking-id": "edges:x"}
		}, []string{"XA050 eu"}, "set spec.components.xcp.centralAuthMode to JWT there"},
		{"a secret that could not be read", func(_ *testing.T, s *tsbfleet.Stage) {
			s.Unread[state.SecretRead("istio-system", state.SecretToken)] = "the API server did not answer in time"
		}, []string{"XA003 eu"}, "did not answer in time"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := tsbfleet.NewStage(t)
			tc.do(t, s)
			f := s.State(Extend(tsbfleet.PlainProvider))
			found := check.Run(slices.Concat(check.Rules(), Rules()), f, check.Options{})
			var got []string
			said := ""
			for _, x := range found {
				if strings.Contains(strings.Join([]string{x.Found, x.Remedy, x.Command, x.Object}, " "), "canary") {
					t.Errorf("a secret is printed: %+v", x)
				}
				if x.Severity != finding.Info {
					got = append(got, x.Rule+" "+x.Member)
					said += x.Found + " " + x.Remedy + "\n"
				}
			}
			if !slices.Equal(got, tc.want) || !strings.Contains(said, tc.saw) {
				t.Errorf("found %v, want %v and %q in\n%s", got, tc.want, tc.saw, said)
			}
			for _, m := range f.Members { // whatever blocks a migration is found
				if len(m.Obstacles) > 0 && !slices.ContainsFunc(found, func(x finding.Finding) bool {
					return x.Severity != finding.Info && (x.Member == m.Name || x.Member == "hub")
				}) {
					t.Errorf("%s is blocked (%v), and no rule says so", m.Name, m.Obstacles)
				}
			}
		})
	}
}

// Check names what reaches authentication, and nothing of what people run: those that the vendor documents are worth
// knowing alone.
func TestCheckNamesOverlaysByWhatTheyReach(t *testing.T) {
	for _, c := range cases.Overlays() {
		t.Run(c.Name, func(t *testing.T) {
			s := tsbfleet.NewStage(t)
			s.Xcp()["kubeSpec"] = c.KubeSpec
			f := s.State(Extend(tsbfleet.PlainProvider))
			named := false
			for _, x := range check.Run(slices.Concat(check.Rules(), Rules()), f, check.Options{}) {
				named = named || x.Rule == "XA014" && x.Member == "eu"
				if x.Rule == "XA013" {
					t.Errorf("%+v", x)
				}
			}
			declared := f.Member("eu").Declared
			if named != c.Reaches || (declared == "") != c.Reaches {
				t.Errorf("named %v, declared %q, want it to reach authentication: %v", named, declared, c.Reaches)
			}
		})
	}
}

func TestVersionsAreReadAsTSBWritesThem(t *testing.T) {
	for text, want := range map[string]struct{ text, tooOld string }{
		"1.6.0-internal-rc8": {"1.6.0-internal-rc8", ""}, "1.10.0-dev+26e7773a9": {"1.10.0-dev+26e7773a9", ""},
		"v1.4": {"v1.4", ""}, "1.3.9": {"1.3.9", "1.4"}, "0.9.0": {"0.9.0", "1.4"},
		"": {}, "latest": {}, "26e7773a9": {}, "1": {}, "99999999999999999999.1": {},
	} {
		if v := versionOf(text, "here"); v.Text != want.text || v.TooOld != want.tooOld {
			t.Errorf("%q is read as %+v, want %+v", text, v, want)
		}
	}
}

// Whatever the API servers answer, check finds something or nothing, without a panic, and repeats no secret.
func FuzzCheck(f *testing.F) {
	f.Add(`{"items":[{"metadata":{"name":"cp","namespace":"istio-system","labels":{"helm.sh/chart":"x-1"}},"spec":{"managementPlane":{"clusterName":"eu","host":"h","selfSigned":true}}}]}`, `{"data":{"jwt":"Y2FuYXJ5","tls.crt":"","jwk":"e30="}}`, `{"spec":{"template":{"spec":{"containers":[{"image":"a:1.b"}]}}}}`)
	f.Add(`{"items":[{"metadata":{"name":"cp","namespace":"istio-system"},"spec":{"components":{"xcp":{"centralAuthMode":7,"kube_spec":{"a":"auth"},"central-auth-mode":[]}}}}]}`, `{"data":7}`, `[]`)
	f.Fuzz(func(t *testing.T, planes, secrets, deployments string) {
		s := plan.Snapshot{Context: "eu", At: tsbobjects.Noon, Reads: map[plan.Read]plan.Result{}}
		for next := checkReads(s.Reads, false); len(next) > 0; next = checkReads(s.Reads, false) {
			for _, r := range next {
				switch r.Resource {
				case "controlplanes", "edgexcps":
					s.Reads[r] = plan.Result{Body: []byte(planes)}
				case "secrets":
					s.Reads[r] = plan.Result{Body: []byte(secrets)}
				case "deployments":
					s.Reads[r] = plan.Result{Body: []byte(deployments)}
				default:
					s.Reads[r] = plan.Result{Missing: true}
				}
			}
			if len(s.Reads) > 1000 { // as many planes as somebody likes to make
				return
			}
		}
		hub := tsbfleet.Snapshot("hub", apifake.Hub("eu")...)
		check.Run(slices.Concat(check.Rules(), Rules()), checkState([]plan.Snapshot{hub, s}, plan.Selection{},
			tsbobjects.Noon), check.Options{})
		migration.Permissions(s.Reads, true)
	})
}

// Advice names the value of the goal that was reached, never one that would undo it or cut somebody off.
func TestAdviceToWhoKeepsAnObjectFollowsWhatWasReached(t *testing.T) {
	const on, off = guard.Yes, guard.No
	for name, tc := range map[string]struct {
		mtls, jwt guard.Tri
		hub, edge string
	}{
		"before the migration": {on, off, "{jwt: true, mutualTls: true}", "not before the hub accepts JWTs"},
		"the hub does not say": {guard.Unknown, guard.Unknown, "{jwt: true, mutualTls: true}",
			"not before the hub accepts JWTs"},
		"the hub accepts both": {on, on, "{jwt: true, mutualTls: true}", "JWT"},
		"the end of the road":  {off, on, "{jwt: true, mutualTls: false}", "JWT"},
	} {
		h := tsbfleet.Fleet(tc.mtls, tc.jwt).Hub
		if got := wantedModes(h); got != tc.hub {
			t.Errorf("%s: the hub is to be set to %s, want %s", name, got, tc.hub)
		}
		if got := wantedMode(h); !strings.Contains(got, tc.edge) || tc.edge == "JWT" && got != "JWT" {
			t.Errorf("%s: the edge is to be set to %s, want %s", name, got, tc.edge)
		}
	}
}
