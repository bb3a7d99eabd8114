package state

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbobjects"
)

func TestReadManifest(t *testing.T) {
	ours, theirs := tsbobjects.NewCA(t, "ours"), tsbobjects.NewCA(t, "theirs")
	good, old := tsbobjects.JwtUntil(t, tsbobjects.Noon.Add(time.Hour)), tsbobjects.JwtUntil(t,
		tsbobjects.Noon.Add(-time.Hour))
	encoded := func(v string) string { return base64.StdEncoding.EncodeToString([]byte(v)) }
	token := func(v string) string {
		return tsbobjects.Document(SecretToken, "istio-system", map[string]string{"jwt": v})
	}
	account := func(fqn, jwk string) string {
		return tsbobjects.Document(SecretServiceAccount, "istio-system", map[string]string{"clusterFqn": fqn, "jwk": jwk})
	}
	ca := func(name, v string) string {
		return tsbobjects.Document(name, "istio-system", map[string]string{"ca.crt": v})
	}
	raw := func(name, data string) string {
		return "---\napiVersion: v1\nkind: Secret\nmetadata: {name: " + name + ", namespace: istio-system}\n" + data + "\n"
	}
	everything := tsbobjects.Document("elastic-credentials", "istio-system",
		map[string]string{"password": tsbobjects.Canary}) + ca("es-certs", "x") + ca(SecretCA, string(ours.PEM)) +
		ca(SecretMPCA, string(theirs.PEM)) + account(tsbobjects.Fqn1, tsbobjects.PrivateJWK()) + token(good)
	for _, tc := range []struct {
		name, text string
		change     func(*plan.Supply)
		took       []string
		ignored    []string
		wrong      string
	}{
		{name: "only the secrets of XCP are taken", text: everything, took: []string{SecretServiceAccount, SecretMPCA,
			SecretCA, SecretToken}, ignored: []string{"Secret elastic-credentials", "Secret es-certs"}},
		{name: "what is there already is left alone", text: everything, change: func(s *plan.Supply) {
			s.Wants,
				s.Adds = []string{SecretToken}, nil
		},
			took: []string{SecretToken}, ignored: []string{"Secret elastic-credentials", "Secret es-certs", "Secret " + SecretCA,
				"Secret mp-certs", "Secret " + SecretServiceAccount}},
		{name: "other kinds are left alone", text: "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: edge}\n" +
			token(good), took: []string{SecretToken}, ignored: []string{"Deployment edge"}},
		{name: "a list counts as its items",
			text: `{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Secret","metadata":{"name":"` +
				SecretToken + `"},"data":{"jwt":"` + encoded(good) + `"}}]}`, took: []string{SecretToken}},
		{name: "stringData wins over data",
			text: raw(SecretToken, "data: {jwt: "+encoded(old)+"}\nstringData: {jwt: "+good+"}"), took: []string{SecretToken}},
		{name: "further keys are left alone",
			text: raw(SecretToken, "stringData: {jwt: "+good+", note: "+tsbobjects.Canary+"}"), took: []string{SecretToken},
			ignored: []string{"key note of Secret " + SecretToken}},
		{name: "comments and empty documents", text: "# from the platform team\n---\n---\n" + token(good) + "---\n",
			took: []string{SecretToken}},
		{name: "another cluster's account", text: account("organizations/example/clusters/edge-2", tsbobjects.PrivateJWK()),
			wrong: `clusterFqn is "organizations/example/clusters/edge-2", and this cluster is "` + tsbobjects.Fqn1 +
				`"; take the manifest of this cluster`},
		{name: "another organization's account", text: account("organizations/other/clusters/edge-1",
			tsbobjects.PrivateJWK()), wrong: `and this cluster is "` + tsbobjects.Fqn1 + `"`},
		{name: "any organization, when the hub was not looked at", text: account("organizations/other/clusters/edge-1",
			tsbobjects.PrivateJWK()), change: func(s *plan.Supply) { s.FullName = "" }, took: []string{SecretServiceAccount}},
		{name: "another cluster, when the hub was not looked at", text: account("organizations/other/clusters/edge-2",
			tsbobjects.PrivateJWK()), change: func(s *plan.Supply) { s.FullName = "" }, wrong: `and this cluster is "edge-1"`},
		{name: "a newline after the name", text: account(tsbobjects.Fqn1+"\n", tsbobjects.PrivateJWK()),
			wrong: "clusterFqn has white space"},
		{name: "a JWK that is not JSON", text: account(tsbobjects.Fqn1, tsbobjects.Canary),
			wrong: "jwk is not a JSON web key; make it again with: tctl install cluster-service-account --cluster edge-1"},
		{name: "a public JWK", text: account(tsbobjects.Fqn1, `{"kty":"RSA","n":"`+tsbobjects.Canary+`"}`),
			wrong: "jwk is a public key"},
		{name: "a JWK of another type", text: account(tsbobjects.Fqn1, `{"kty":"oct","k":"`+tsbobjects.Canary+`"}`),
			wrong: "jwk is not an RSA, EC or OKP key"},
		{name: "an expired token", text: token(old),
			wrong: "the token expired at 2026-01-02T11:00:00Z; make it again with: tctl install manifest control-plane-secrets --cluster edge-1"},
		{name: "a malformed token", text: token(tsbobjects.Canary), wrong: "key jwt cannot be used: it is not a JWT"},
		{name: "a trailing newline in stringData", text: token(good + "\n"),
			wrong: "key jwt cannot be used: it has white space at its start or end, such as a trailing newline"},
		{name: "a trailing newline in data", text: raw(SecretToken, "data: {jwt: "+encoded(good+"\n")+"}"),
			wrong: "such as a trailing newline"},
		{name: "an empty token", text: raw(SecretToken, "data: {jwt: ''}"), wrong: "key jwt is missing or empty"},
		{name: "data that is not base64", text: raw(SecretToken, "data: {jwt: "+good+"}"),
			wrong: "key jwt of data is not base64; text as it is goes under stringData"},
		{name: "a number for a value", text: raw(SecretToken, "data: {jwt: 7}"), wrong: "key jwt of data is not text"},
		{name: "data that is a list", text: raw(SecretToken, "data: [a]"), wrong: "data is not a map"},
		{name: "a bundle without a certificate", text: ca(SecretCA, tsbobjects.Canary),
			wrong: "secret xcp-central-ca-bundle: key ca.crt: it holds no PEM certificate; give it the CA in PEM"},
		{name: "a bundle that does not verify Central", text: ca(SecretCA, string(theirs.PEM)),
			wrong: "with it the edge would refuse Central's certificate"},
		{name: "a bundle, when Central was not looked at", text: ca(SecretCA, string(theirs.PEM)),
			change: func(s *plan.Supply) { s.Chain = nil }, took: []string{SecretCA}},
		{name: "another namespace", text: tsbobjects.Document(SecretToken, "tsb", map[string]string{"jwt": good}),
			wrong: "is for namespace tsb, and the control plane is in istio-system: make it with --controlplane istio-system"},
		{name: "twice the same", text: token(good) + token(good), wrong: "secret xcp-edge-central-auth-token is in it twice"},
		{name: "everything that is wrong at once", text: token(old) + ca(SecretCA, tsbobjects.Canary),
			wrong: "; secret xcp-central-ca-bundle: "},
		{name: "not YAML", text: "a: [" + tsbobjects.Canary, wrong: "document 1 is not YAML"},
		{name: "a key twice", text: raw(SecretToken,
			"data: {jwt: "+tsbobjects.Canary+"}\ndata: {jwt: "+tsbobjects.Canary+"}"),
			wrong: "document 1 is not YAML, or has a key twice"},
		{name: "prose", text: tsbobjects.Canary, wrong: "document 1 is not a Kubernetes object"},
		{name: "no kind", text: "a: " + tsbobjects.Canary, wrong: "document 1 is not a Kubernetes object: it has no kind"},
		{name: "nothing", text: "---\n", wrong: "it holds no object"},
		{name: "megabytes", text: strings.Repeat("#", maxManifest+1), wrong: "bytes long"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := plan.Supply{Member: "edge-1", ClusterName: "edge-1", Namespace: "istio-system", FullName: tsbobjects.Fqn1,
				Chain: ours.Leaf("tsb.example.test"),
				Wants: []string{SecretToken, SecretServiceAccount, SecretCA}, Adds: []string{SecretMPCA}}
			if tc.change != nil {
				tc.change(&s)
			}
			m, err := ReadManifest([]byte(tc.text), s, tsbobjects.Noon)
			if tc.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wrong) || len(m.Secrets) > 0 {
					t.Fatalf("error %v, want one that says %q; took %v", err, tc.wrong, names(m))
				}
				tsbobjects.Leaks(t, err.Error())
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
			tsbobjects.Leaks(t, strings.Join(m.Ignored, " "))
			for _, o := range m.Secrets {
				if got := Field(o, "data", "jwt"); got != nil && got != encoded(good) {
					t.Error("another token was taken")
				}
				if ns := Field(o, "metadata", "namespace"); ns != "istio-system" {
					t.Errorf("it is for namespace %v", ns)
				}
			}
		})
	}
}

func names(m Manifest) (all []string) {
	for _, o := range m.Secrets {
		name, _ := Field(o, "metadata", "name").(string)
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

func TestAManifestMustHoldACredential(t *testing.T) {
	secret := func(name string) map[string]any { return secretObject("istio-system", name, nil) }
	for _, tc := range []struct {
		name  string
		has   []string
		wants []string
		lacks string
	}{
		{"a service account is one", []string{SecretServiceAccount}, []string{SecretToken, SecretServiceAccount}, ""},
		{"a token is one", []string{SecretToken}, []string{SecretToken, SecretServiceAccount}, ""},
		{"a CA alone is none", []string{SecretCA}, []string{SecretToken, SecretServiceAccount, SecretCA},
			"neither a secret cluster-service-account nor xcp-edge-central-auth-token"},
		{"a CA that is wanted must be there", []string{SecretToken}, []string{SecretToken, SecretCA},
			"no secret xcp-central-ca-bundle"},
		{"a CA may be all that is wanted", []string{SecretCA}, []string{SecretCA}, ""},
		{"where the account is valid, only a token helps", nil, []string{SecretToken}, `"token rotation failed"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var m Manifest
			for _, name := range tc.has {
				m.Secrets = append(m.Secrets, secret(name))
			}
			if why := m.Lacks(plan.Supply{ClusterName: "edge-1", Wants: tc.wants}); (why == "") != (tc.lacks == "") ||
				!strings.Contains(why, tc.lacks) {
				t.Errorf("lacks %q, want %q", why, tc.lacks)
			}
		})
	}
}

func TestAServiceAccountIsMadeOfAPrivateKeyAlone(t *testing.T) {
	s := plan.Supply{ClusterName: "edge-1", Namespace: "istio-system", FullName: tsbobjects.Fqn1}
	o, err := ServiceAccount([]byte(tsbobjects.PrivateJWK()+"\n"), s)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := Field(o, "data", "jwk").(string)
	if b, err := base64.StdEncoding.DecodeString(text); err != nil || string(b) != tsbobjects.PrivateJWK() {
		t.Error("the key was changed, or kept its newline")
	}
	for _, bad := range []string{"", tsbobjects.Canary, `{"kty":"RSA","n":"` + tsbobjects.Canary + `"}`} {
		if _, err := ServiceAccount([]byte(bad), s); err == nil {
			t.Errorf("%q made an account", bad)
		} else {
			tsbobjects.Leaks(t, err.Error())
		}
	}
	if _, err := ServiceAccount([]byte(tsbobjects.PrivateJWK()), plan.Supply{ClusterName: "edge-1"}); err == nil ||
		!strings.Contains(err.Error(), "names no organization") {
		t.Errorf("without a full name: %v", err)
	}
}

// No input makes ReadManifest panic, take what is not wanted, or repeat a value.
func FuzzReadManifest(f *testing.F) {
	f.Add(tsbobjects.Document(SecretToken, "istio-system", map[string]string{"jwt": "a.b.c"}))
	f.Add(tsbobjects.Document(SecretServiceAccount, "istio-system", map[string]string{"clusterFqn": tsbobjects.Fqn1,
		"jwk": "{}"}))
	f.Add("apiVersion: v1\nkind: List\nitems: [{kind: Secret}, 7]\n")
	f.Add("a: &a [x, x]\nb: [*a, *a]\n---\n!!binary x")
	f.Fuzz(func(t *testing.T, text string) {
		s := plan.Supply{ClusterName: "edge-1", Namespace: "istio-system", Wants: []string{SecretToken,
			SecretServiceAccount, SecretCA}}
		m, err := ReadManifest([]byte(text+tsbobjects.Document(SecretToken, "istio-system",
			map[string]string{"jwt": tsbobjects.Canary})), s, tsbobjects.Noon)
		if err != nil && strings.Contains(err.Error(), tsbobjects.Canary) && !strings.Contains(text, tsbobjects.Canary) {
			t.Errorf("a secret is in %q", err)
		}
		for _, name := range names(m) {
			if !slices.Contains(s.Wants, name) {
				t.Errorf("took %s", name)
			}
		}
	})
}
