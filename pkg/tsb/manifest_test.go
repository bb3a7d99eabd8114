package tsb

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

const canary = "c4n4ry" // is in every secret of these tests, and may be in no message

func jwtUntil(t testing.TB, exp time.Time) string {
	t.Helper()
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"exp": exp.Unix(), "sub": canary}).SignedString([]byte(canary))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// document is a Secret in YAML, with values as they are.
func document(name, ns string, stringData map[string]string) string {
	text := "---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: " + name + "\n  namespace: " + ns + "\nstringData:\n"
	for key, v := range stringData {
		text += fmt.Sprintf("  %s: %q\n", key, v)
	}
	return text
}

const fqn1 = "organizations/example/clusters/edge-1"

func privateJWK() string { return `{"kty":"RSA","kid":"1","n":"AQAB","e":"AQAB","d":"` + canary + `"}` }

func TestReadManifest(t *testing.T) {
	ours, theirs := newTestCA(t, "ours"), newTestCA(t, "theirs")
	good, old := jwtUntil(t, noon.Add(time.Hour)), jwtUntil(t, noon.Add(-time.Hour))
	encoded := func(v string) string { return base64.StdEncoding.EncodeToString([]byte(v)) }
	token := func(v string) string { return document(secretToken, "istio-system", map[string]string{"jwt": v}) }
	account := func(fqn, jwk string) string {
		return document(secretServiceAccount, "istio-system", map[string]string{"clusterFqn": fqn, "jwk": jwk})
	}
	ca := func(name, v string) string { return document(name, "istio-system", map[string]string{"ca.crt": v}) }
	raw := func(name, data string) string {
		return "---\napiVersion: v1\nkind: Secret\nmetadata: {name: " + name + ", namespace: istio-system}\n" + data + "\n"
	}
	everything := document("elastic-credentials", "istio-system", map[string]string{"password": canary}) + ca("es-certs", "x") + ca(secretCA, string(ours.pem)) + ca(secretMPCA, string(theirs.pem)) + account(fqn1, privateJWK()) + token(good)
	for _, tc := range []struct {
		name, text string
		change     func(*plan.Supply)
		took       []string
		ignored    []string
		wrong      string
	}{
		{name: "only the secrets of XCP are taken", text: everything, took: []string{secretServiceAccount, secretMPCA, secretCA, secretToken}, ignored: []string{"Secret elastic-credentials", "Secret es-certs"}},
		{name: "what is there already is left alone", text: everything, change: func(s *plan.Supply) { s.Wants, s.Adds = []string{secretToken}, nil },
			took: []string{secretToken}, ignored: []string{"Secret elastic-credentials", "Secret es-certs", "Secret " + secretCA, "Secret mp-certs", "Secret " + secretServiceAccount}},
		{name: "other kinds are left alone", text: "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: edge}\n" + token(good), took: []string{secretToken}, ignored: []string{"Deployment edge"}},
		{name: "a list counts as its items", text: `{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Secret","metadata":{"name":"` + secretToken + `"},"data":{"jwt":"` + encoded(good) + `"}}]}`, took: []string{secretToken}},
		{name: "stringData wins over data", text: raw(secretToken, "data: {jwt: "+encoded(old)+"}\nstringData: {jwt: "+good+"}"), took: []string{secretToken}},
		{name: "further keys are left alone", text: raw(secretToken, "stringData: {jwt: "+good+", note: "+canary+"}"), took: []string{secretToken}, ignored: []string{"key note of Secret " + secretToken}},
		{name: "comments and empty documents", text: "# from the platform team\n---\n---\n" + token(good) + "---\n", took: []string{secretToken}},
		{name: "another cluster's account", text: account("organizations/example/clusters/edge-2", privateJWK()), wrong: `clusterFqn is "organizations/example/clusters/edge-2", and this cluster is "` + fqn1 + `"; take the manifest of this cluster`},
		{name: "another organization's account", text: account("organizations/other/clusters/edge-1", privateJWK()), wrong: `and this cluster is "` + fqn1 + `"`},
		{name: "any organization, when the hub was not looked at", text: account("organizations/other/clusters/edge-1", privateJWK()), change: func(s *plan.Supply) { s.FullName = "" }, took: []string{secretServiceAccount}},
		{name: "another cluster, when the hub was not looked at", text: account("organizations/other/clusters/edge-2", privateJWK()), change: func(s *plan.Supply) { s.FullName = "" }, wrong: `and this cluster is "edge-1"`},
		{name: "a newline after the name", text: account(fqn1+"\n", privateJWK()), wrong: "clusterFqn has white space"},
		{name: "a JWK that is not JSON", text: account(fqn1, canary), wrong: "jwk is not a JSON web key; make it again with: tctl install cluster-service-account --cluster edge-1"},
		{name: "a public JWK", text: account(fqn1, `{"kty":"RSA","n":"`+canary+`"}`), wrong: "jwk is a public key"},
		{name: "a JWK of another type", text: account(fqn1, `{"kty":"oct","k":"`+canary+`"}`), wrong: "jwk is not an RSA, EC or OKP key"},
		{name: "an expired token", text: token(old), wrong: "the token expired at 2026-01-02T11:00:00Z; make it again with: tctl install manifest control-plane-secrets --cluster edge-1"},
		{name: "a malformed token", text: token(canary), wrong: "key jwt cannot be used: it is not a JWT"},
		{name: "a trailing newline in stringData", text: token(good + "\n"), wrong: "key jwt cannot be used: it has white space at its start or end, such as a trailing newline"},
		{name: "a trailing newline in data", text: raw(secretToken, "data: {jwt: "+encoded(good+"\n")+"}"), wrong: "such as a trailing newline"},
		{name: "an empty token", text: raw(secretToken, "data: {jwt: ''}"), wrong: "key jwt is missing or empty"},
		{name: "data that is not base64", text: raw(secretToken, "data: {jwt: "+good+"}"), wrong: "key jwt of data is not base64; text as it is goes under stringData"},
		{name: "a number for a value", text: raw(secretToken, "data: {jwt: 7}"), wrong: "key jwt of data is not text"},
		{name: "data that is a list", text: raw(secretToken, "data: [a]"), wrong: "data is not a map"},
		{name: "a bundle without a certificate", text: ca(secretCA, canary), wrong: "secret xcp-central-ca-bundle: key ca.crt: it holds no PEM certificate; give it the CA in PEM"},
		{name: "a bundle that does not verify Central", text: ca(secretCA, string(theirs.pem)), wrong: "with it the edge would refuse Central's certificate"},
		{name: "a bundle, when Central was not looked at", text: ca(secretCA, string(theirs.pem)), change: func(s *plan.Supply) { s.Chain = nil }, took: []string{secretCA}},
		{name: "another namespace", text: document(secretToken, "tsb", map[string]string{"jwt": good}), wrong: "is for namespace tsb, and the control plane is in istio-system: make it with --controlplane istio-system"},
		{name: "twice the same", text: token(good) + token(good), wrong: "secret xcp-edge-central-auth-token is in it twice"},
		{name: "everything that is wrong at once", text: token(old) + ca(secretCA, canary), wrong: "; secret xcp-central-ca-bundle: "},
		{name: "not YAML", text: "a: [" + canary, wrong: "document 1 is not YAML"},
		{name: "a key twice", text: raw(secretToken, "data: {jwt: "+canary+"}\ndata: {jwt: "+canary+"}"), wrong: "document 1 is not YAML, or has a key twice"},
		{name: "prose", text: canary, wrong: "document 1 is not a Kubernetes object"},
		{name: "no kind", text: "a: " + canary, wrong: "document 1 is not a Kubernetes object: it has no kind"},
		{name: "nothing", text: "---\n", wrong: "it holds no object"},
		{name: "megabytes", text: strings.Repeat("#", maxManifest+1), wrong: "bytes long"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := plan.Supply{Member: "edge-1", ClusterName: "edge-1", Namespace: "istio-system", FullName: fqn1, Chain: ours.leaf("tsb.example.test"),
				Wants: []string{secretToken, secretServiceAccount, secretCA}, Adds: []string{secretMPCA}}
			if tc.change != nil {
				tc.change(&s)
			}
			m, err := ReadManifest([]byte(tc.text), s, noon)
			if tc.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wrong) || len(m.Secrets) > 0 {
					t.Fatalf("error %v, want one that says %q; took %v", err, tc.wrong, names(m))
				}
				leaks(t, err.Error())
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.took, names(m)); d != "" {
				t.Errorf("took (-want +got):\n%s", d)
			}
			if d := cmp.Diff(tc.ignored, m.Ignored); d != "" {
				t.Errorf("ignored (-want +got):\n%s", d)
			}
			leaks(t, strings.Join(m.Ignored, " "))
			for _, o := range m.Secrets {
				if got := field(o, "data", "jwt"); got != nil && got != encoded(good) {
					t.Error("another token was taken")
				}
				if ns := field(o, "metadata", "namespace"); ns != "istio-system" {
					t.Errorf("it is for namespace %v", ns)
				}
			}
		})
	}
}

func names(m Manifest) (all []string) {
	for _, o := range m.Secrets {
		name, _ := field(o, "metadata", "name").(string)
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

func leaks(t *testing.T, text string) {
	t.Helper()
	for _, secret := range []string{canary, base64.RawURLEncoding.EncodeToString([]byte(canary)), "eyJ"} {
		if strings.Contains(text, secret) {
			t.Errorf("a secret is in %q", text)
		}
	}
}

func TestAManifestMustHoldACredential(t *testing.T) {
	secret := func(name string) map[string]any { return secretObject("istio-system", name, nil) }
	for _, tc := range []struct {
		name  string
		has   []string
		wants []string
		lacks string
	}{
		{"a service account is one", []string{secretServiceAccount}, []string{secretToken, secretServiceAccount}, ""},
		{"a token is one", []string{secretToken}, []string{secretToken, secretServiceAccount}, ""},
		{"a CA alone is none", []string{secretCA}, []string{secretToken, secretServiceAccount, secretCA}, "neither a secret cluster-service-account nor xcp-edge-central-auth-token"},
		{"a CA that is wanted must be there", []string{secretToken}, []string{secretToken, secretCA}, "no secret xcp-central-ca-bundle"},
		{"a CA may be all that is wanted", []string{secretCA}, []string{secretCA}, ""},
		{"where the account is valid, only a token helps", nil, []string{secretToken}, `"token rotation failed"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var m Manifest
			for _, name := range tc.has {
				m.Secrets = append(m.Secrets, secret(name))
			}
			if why := m.Lacks(plan.Supply{ClusterName: "edge-1", Wants: tc.wants}); (why == "") != (tc.lacks == "") || !strings.Contains(why, tc.lacks) {
				t.Errorf("lacks %q, want %q", why, tc.lacks)
			}
		})
	}
}

func TestAServiceAccountIsMadeOfAPrivateKeyAlone(t *testing.T) {
	s := plan.Supply{ClusterName: "edge-1", Namespace: "istio-system", FullName: fqn1}
	o, err := ServiceAccount([]byte(privateJWK()+"\n"), s)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := field(o, "data", "jwk").(string)
	if b, err := base64.StdEncoding.DecodeString(text); err != nil || string(b) != privateJWK() {
		t.Error("the key was changed, or kept its newline")
	}
	for _, bad := range []string{"", canary, `{"kty":"RSA","n":"` + canary + `"}`} {
		if _, err := ServiceAccount([]byte(bad), s); err == nil {
			t.Errorf("%q made an account", bad)
		} else {
			leaks(t, err.Error())
		}
	}
	if _, err := ServiceAccount([]byte(privateJWK()), plan.Supply{ClusterName: "edge-1"}); err == nil || !strings.Contains(err.Error(), "names no organization") {
		t.Errorf("without a full name: %v", err)
	}
}

// No input makes ReadManifest panic, take what is not wanted, or repeat a value.
func FuzzReadManifest(f *testing.F) {
	f.Add(document(secretToken, "istio-system", map[string]string{"jwt": "a.b.c"}))
	f.Add(document(secretServiceAccount, "istio-system", map[string]string{"clusterFqn": fqn1, "jwk": "{}"}))
	f.Add("apiVersion: v1\nkind: List\nitems: [{kind: Secret}, 7]\n")
	f.Add("a: &a [x, x]\nb: [*a, *a]\n---\n!!binary x")
	f.Fuzz(func(t *testing.T, text string) {
		s := plan.Supply{ClusterName: "edge-1", Namespace: "istio-system", Wants: []string{secretToken, secretServiceAccount, secretCA}}
		m, err := ReadManifest([]byte(text+document(secretToken, "istio-system", map[string]string{"jwt": canary})), s, noon)
		if err != nil && strings.Contains(err.Error(), canary) && !strings.Contains(text, canary) {
			t.Errorf("a secret is in %q", err)
		}
		for _, name := range names(m) {
			if !slices.Contains(s.Wants, name) {
				t.Errorf("took %s", name)
			}
		}
	})
}
