package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// asked is one right that was asked for.
type asked struct{ context, verb, resource, namespace, name string }

// words are those by which its absence is named.
func (a asked) words() string {
	text := a.verb + " " + a.resource
	if a.name != "" {
		text += "/" + a.name
	}
	return text
}

// gate denies some rights, of some servers, and keeps which were asked for.
type gate struct {
	mu   sync.Mutex
	all  map[asked]bool
	deny func(asked) bool
}

func newGate(servers map[string]*apifake.Server) *gate {
	g := &gate{all: map[asked]bool{}, deny: func(asked) bool { return false }}
	for context, s := range servers {
		s.Allows = func(verb, resource, namespace, name string) bool {
			g.mu.Lock()
			defer g.mu.Unlock()
			a := asked{context, verb, resource, namespace, name}
			g.all[a] = true
			return !g.deny(a)
		}
	}
	return g
}

// written counts what was written on a server.
func written(s *apifake.Server) (n int) {
	for _, r := range s.Requests() {
		if !strings.HasPrefix(r, "GET ") && !strings.Contains(r, "/selfsubject") && !strings.HasSuffix(r, "/portforward") {
			n++
		}
	}
	return n
}

// onJWT is an edge whose pods present a JWT that its operator can make again.
func onJWT(t *testing.T) []apifake.Object {
	t.Helper()
	token := newMint(t).token(t, time.Hour)
	b, err := json.Marshal(apifake.Edge("eu"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("MUTUAL_TLS", "JWT", `"xcp-edge-cert"`, `"xcp-edge-central-auth-token"`).Replace(string(b))
	var objects []apifake.Object
	if err := json.Unmarshal([]byte(text), &objects); err != nil {
		t.Fatal(err)
	}
	return append(objects, apifake.Secret("istio-system", "xcp-edge-central-auth-token", map[string]string{"jwt": token}),
		apifake.Secret("istio-system", "oap-token", map[string]string{"token": token}),
		apifake.Secret("istio-system", "cluster-service-account",
			map[string]string{"clusterFqn": "organizations/o/clusters/eu", "jwk": `{"kty":"EC","d":"x"}`}))
}

// Every verb asks for every right that it will need, its way back included, before it writes anything. One that is
// missing in the hub ends it; one that is missing in a member's cluster leaves that member out, and nothing is
// written there.
func TestEveryVerbAsksForEveryRightBeforeItWrites(t *testing.T) {
	tsb := func(edge func(*testing.T) []apifake.Object) func(*testing.T) map[string]*apifake.Server {
		return func(t *testing.T) map[string]*apifake.Server {
			return map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub("eu")...), "eu": apifake.Start(edge(t)...)}
		}
	}
	mtls := func(*testing.T) []apifake.Object { return apifake.Edge("eu") }
	mesh := func(t *testing.T) map[string]*apifake.Server {
		path, key := signingKey(t)
		text, _, err := readFile(path)
		if err != nil {
			t.Fatal(err)
		}
		token, _, err := zonetoken.Issue(zonetoken.Grant{Zone: "west", ValidFor: 90 * 24 * time.Hour,
			ID: "11111111-1111-4111-8111-111111111111", KeyID: "1"}, key, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		global := append([]apifake.Object{apifake.GlobalSecret(zonetoken.KeyName("1"), string(text))},
			apifake.Global("2.13.10", map[string]bool{"west": true})...)
		west := append(apifake.Zone("2.13.10", "west", apifake.SecretVariable("KMESH_MULTIZONE_ZONE_KDS_AUTH_CP_TOKEN_INLINE",
			"cp-token", "token")),
			apifake.TokenSecret("cp-token", string(token.Reveal())))
		return map[string]*apifake.Server{"hub": apifake.Start(global...), "west": apifake.Start(west...)}
	}
	const fast = "--prove-within=50ms"
	for _, tc := range []struct {
		name  string
		fleet func(*testing.T) map[string]*apifake.Server
		args  []string
		asks  []string // some of what is asked for
	}{
		{"migrate", tsb(mtls), []string{"migrate", "-y", fast}, []string{"hub patch managementplanes.install.tetrate.io",
			"hub patch configmaps/xcpauth-journal", "hub update leases.coordination.k8s.io/xcpauth",
			"hub create edgeclusters.xcpauth.io", "hub patch edgeclusters.xcpauth.io/status"}},
		{"token rotate", tsb(onJWT), []string{"token", "rotate", "eu", "-y", fast},
			[]string{"hub patch configmaps/xcpauth-journal", "eu delete secrets/xcp-edge-central-auth-token",
				"eu create secrets", "eu get secrets/xcp-edge-central-auth-token-xcpauth-before",
				"eu patch secrets/xcp-edge-central-auth-token-xcpauth-before",
				"eu delete secrets/xcp-edge-central-auth-token-xcpauth-before"}},
		{"rollback", tsb(onJWT), []string{"rollback", "-y", fast}, []string{"hub patch configmaps/xcpauth-journal",
			"hub create leases.coordination.k8s.io"}},
		{"key rotate", mesh, []string{"key", "rotate", "-y", fast}, []string{"hub create secrets", "hub delete secrets",
			"west create secrets", "west patch deployments.apps"}},
		{"token revoke", mesh, []string{"token", "revoke", "--zone", "west", "-y", fast},
			[]string{"hub create secrets", "west create secrets", "west patch deployments.apps"}},
		{"edge register", tsb(mtls), []string{"edge", "register", "eu"}, []string{"hub create edgeclusters.xcpauth.io",
			"hub update secrets/eu", "hub create secrets",
			"eu create serviceaccounts/token/xcpauth-reader", "eu patch roles.rbac.authorization.k8s.io/xcpauth-reader",
			"eu create rolebindings.rbac.authorization.k8s.io", "eu list pods"}},
		{"edge unregister", tsb(mtls), []string{"edge", "unregister", "eu"},
			[]string{"hub patch edgeclusters.xcpauth.io/eu", "hub delete secrets/eu",
				"eu delete serviceaccounts/xcpauth-reader"}},
		{"edge publish", tsb(mtls), []string{"edge", "publish", "eu", fast},
			[]string{"hub create edgeclusters.xcpauth.io", "hub state edgeclusters.xcpauth.io/eu",
				"hub patch edgeclusters.xcpauth.io/status/eu"}},
		{"edge forget", tsb(mtls), []string{"edge", "forget", "eu", "--alive", "--reason", "gone"},
			[]string{"hub create events", "hub delete edgeclusters.xcpauth.io/eu", "hub patch configmaps/xcpauth-journal"}},
		{"migrate of a mesh", mesh, []string{"migrate", "-y", fast}, []string{"hub patch deployments.apps"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			servers := tc.fleet(t)
			g := newGate(servers)
			kubeconfig := serve(t, servers, nil)
			g.deny = func(asked) bool { return true }
			r := xcpauth(t, kubeconfig, tc.args...)
			for context, s := range servers {
				if n := written(s); n > 0 {
					t.Errorf("without any right, %d requests wrote in %s", n, context)
				}
			}
			said := strings.Join(strings.Fields(r.out+r.err), " ")
			if r.code != exitRefused || !strings.Contains(said, "nothing was written, since rights are missing in ") ||
				!strings.Contains(said, "rights are missing in hub: ") {
				t.Errorf("without any right: exit code %d\n%s%s", r.code, r.out, r.err)
			}
			all := slices.SortedFunc(maps.Keys(g.all), func(a, b asked) int {
				return strings.Compare(fmt.Sprint(a),
					fmt.Sprint(b))
			})
			for _, want := range tc.asks {
				if !slices.ContainsFunc(all, func(a asked) bool { return strings.HasPrefix(a.context+" "+a.words(), want) }) {
					t.Errorf("it does not ask for: %s\nbut for %v", want, all)
				}
			}
			for _, one := range all {
				g.deny = func(a asked) bool { return a == one }
				before := map[string]int{}
				for context, s := range servers {
					before[context] = written(s)
				}
				if one.context != "hub" {
					g.deny = func(a asked) bool {
						return a == one || a.context == "hub" && a.verb == "create" && strings.HasPrefix(a.resource, "leases")
					}
				}
				r := xcpauth(t, kubeconfig, tc.args...)
				said := strings.Join(strings.Fields(r.out+r.err), " ")
				if r.code != exitRefused || !strings.Contains(said, "rights are missing in "+one.context+": "+one.verb+" ") {
					t.Errorf("without %v: exit code %d\n%s%s", one, r.code, r.out, r.err)
				}
				for context, s := range servers {
					if written(s) != before[context] {
						t.Errorf("without %v: something was written in %s", one, context)
					}
				}
			}
		})
	}
}

// Who lets an edge go back is told while the hub refuses the certificate that it would present.
func TestForgettingALiveEdgeWarnsWhileTheHubRefusesCertificates(t *testing.T) {
	for modes, warns := range map[string]bool{`{"jwt":true,"mutualTls":false}`: true, `{"jwt":true}`: true,
		`{"jwt":true,"mutualTls":true}`: false} {
		var stanza map[string]any
		if err := json.Unmarshal([]byte(modes), &stanza); err != nil {
			t.Fatal(err)
		}
		objects := apifake.Hub("eu")
		for _, o := range objects {
			if o["kind"] == "ManagementPlane" {
				o["spec"] = apifake.Object{"components": apifake.Object{"xcp": apifake.Object{"centralAuthModes": stanza}}}
			}
		}
		kubeconfig := serve(t, map[string]*apifake.Server{"hub": apifake.Start(objects...)}, nil)
		r := xcpauth(t, kubeconfig, "edge", "forget", "eu", "--alive", "--reason", "its team goes back")
		if got := strings.Contains(r.err, "once eu presents one again, it is cut off"); got != warns {
			t.Errorf("%s: warned: %v, want %v\n%s", modes, got, warns, r.err)
		}
	}
}
