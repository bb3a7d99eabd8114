package edgereader

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api/v1"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

type m = map[string]any

// canary is the value of whatever is refused: no refusal may repeat it.
const canary = "c4n4ry"

// ca is a CA in PEM.
var ca = func() []byte {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}()

func good() Kubeconfig {
	return Kubeconfig{Server: "https://edge-1.example.test:6443", CA: ca, ServerName: "kubernetes.default.svc",
		Namespace: "istio-system", Token: plan.NewSecret([]byte("eyJh.eyJz.c2ln"))}
}

// written is the good kubeconfig as an object, changed at a path.
func written(t testing.TB, change func(top, cluster, user, context m)) []byte {
	t.Helper()
	text, err := good().Encode()
	if err != nil {
		t.Fatal(err)
	}
	k, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	cluster := m{"server": k.Server, "certificate-authority-data": base64.StdEncoding.EncodeToString(k.CA),
		"tls-server-name": k.ServerName}
	user := m{"token": string(k.Token.Reveal())}
	context := m{"cluster": "c", "user": "u", "namespace": k.Namespace}
	top := m{"apiVersion": "v1", "kind": "Config", "current-context": "x",
		"clusters": []any{m{"name": "c", "cluster": cluster}}, "users": []any{m{"name": "u", "user": user}},
		"contexts": []any{m{"name": "x", "context": context}}}
	change(top, cluster, user, context)
	b, err := json.Marshal(top)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAKubeconfigIsReadAsItWasWritten(t *testing.T) {
	for name, k := range map[string]Kubeconfig{"whole": good(),
		"without a server's name": {Server: "https://[2001:db8::1]:443", CA: ca, Namespace: "istio-system",
			Token: good().Token}} {
		text, err := k.Encode()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := Parse(text)
		if err != nil || !reflect.DeepEqual(got, k) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if _, err := Parse(written(t, func(top, _, _, _ m) { top["preferences"] = m{} })); err != nil {
		t.Errorf("as kubectl writes it: %v", err)
	}
}

// Every field that a kubeconfig can have is refused but those of Kubeconfig. The fields are those of client-go's own
// types, so a field that they gain is tried too.
func TestEveryOtherFieldIsRefused(t *testing.T) {
	takes := map[string][]string{"cluster": {"server", "certificate-authority-data", "tls-server-name"}, "user": {"token"},
		"context": {"cluster", "user", "namespace"},
		"top":     {"kind", "apiVersion", "preferences", "clusters", "users", "contexts", "current-context"}}
	tried := 0
	for where, of := range map[string]any{"cluster": clientcmdapi.Cluster{}, "user": clientcmdapi.AuthInfo{},
		"context": clientcmdapi.Context{}, "top": clientcmdapi.Config{}} {
		for i := range reflect.TypeOf(of).NumField() {
			field, _, _ := strings.Cut(reflect.TypeOf(of).Field(i).Tag.Get("json"), ",")
			if field == "" || slices.Contains(takes[where], field) {
				continue
			}
			tried++
			for _, value := range []any{canary, m{"command": canary}, []any{canary}, true, false, nil} {
				text := written(t, func(top, cluster, user, context m) {
					map[string]m{"cluster": cluster, "user": user, "context": context, "top": top}[where][field] = value
				})
				_, err := Parse(text)
				if err == nil {
					t.Errorf("%s.%s = %v is taken", where, field, value)
				} else if strings.Contains(err.Error(), canary) || where != "top" && !strings.Contains(err.Error(), field) {
					t.Errorf("%s.%s is refused with %q", where, field, err)
				}
			}
		}
	}
	if tried < 21 {
		t.Errorf("only %d fields were tried", tried)
	}
}

func TestValuesThatLeadElsewhereAreRefused(t *testing.T) {
	bundle := func(kind string, der []byte) string {
		return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	for field, values := range map[string][]any{
		"server": {"", "http://c4n4ry:6443", "c4n4ry:6443", "https://", "https://c4n4ry@host", "https://u:c4n4ry@host",
			"https://host/c4n4ry", "https://host/../c4n4ry", "https://host?c4n4ry", "https://host#c4n4ry",
			"https://host:", "https://host:0", "https://host:65536", "https://host:c4n4ry", "https://c4n4ry_/",
			"https://0.0.0.0", "https://[::]", "https://224.0.0.1", "https://[fe80::1%25c4n4ry]", "https://a b", "https:host",
			"https://h\\c4n4ry",
			"file:///c4n4ry", "unix:///c4n4ry", "HTTPS//c4n4ry", 443, nil, []any{"https://host"}},
		"certificate-authority-data": {"", "c4n4ry!", base64.StdEncoding.EncodeToString([]byte("c4n4ry")),
			bundle("CERTIFICATE", []byte(canary)), bundle("PRIVATE KEY", []byte(canary)),
			base64.StdEncoding.EncodeToString(append(bytes.Clone(ca), "c4n4ry"...)),
			base64.StdEncoding.EncodeToString(bytes.Repeat(ca, maxCAs+1)), nil, 1},
		"tls-server-name": {"", "c4n4ry_", "*.c4n4ry", "c4n4ry.", "a b", "c4n4ry\n", 1, true},
		"token": {"", "c4n4ry\n", " c4n4ry", "c4n4ry\r\nX-Y: z", "c4n4ry\x00", strings.Repeat("a", maxToken+1), nil,
			1, []any{canary}},
		"namespace": {"", "c4n4ry/../kube-system", "c4n4ry_", "C4n4ry", nil, 1},
	} {
		for _, v := range values {
			text := written(t, func(_, cluster, user, context m) {
				for _, object := range []m{cluster, user, context} {
					if _, here := object[field]; here {
						object[field] = v
					}
				}
			})
			if field == "tls-server-name" && v == nil {
				continue
			}
			if k, err := Parse(text); err == nil {
				t.Errorf("%s = %#v is taken as %+v", field, v, k)
			} else if !strings.Contains(err.Error(), field) || strings.Contains(strings.ToLower(err.Error()), canary) {
				t.Errorf("%s = %#v is refused with %q", field, v, err)
			}
		}
	}
}

func TestAnAmbiguousKubeconfigIsRefused(t *testing.T) {
	text := string(written(t, func(_, _, _, _ m) {}))
	twice := func(list string) []byte {
		return written(t, func(top, _, _, _ m) { top[list] = append(top[list].([]any), top[list].([]any)[0]) })
	}
	for name, doc := range map[string][]byte{
		"empty": nil, "nothing": []byte("null"), "a list": []byte("[]"), "a text": []byte(`"c4n4ry"`),
		"no YAML": []byte("\tc4n4ry: ["), "two documents": []byte(text + "\n---\n" + text),
		"a key twice":   []byte(strings.Replace(text, `"kind":"Config"`, `"kind":"Config","kind":"Config"`, 1)),
		"too large":     []byte(text + strings.Repeat(" ", maxKubeconfig)),
		"two clusters":  twice("clusters"),
		"two users":     twice("users"),
		"two contexts":  twice("contexts"),
		"no cluster":    written(t, func(top, _, _, _ m) { top["clusters"] = []any{} }),
		"other cluster": written(t, func(_, _, _, context m) { context["cluster"] = canary }),
		"other user":    written(t, func(_, _, _, context m) { context["user"] = canary }),
		"other context": written(t, func(top, _, _, _ m) { top["current-context"] = canary }),
		"no context":    written(t, func(top, _, _, _ m) { delete(top, "current-context") }),
		"another kind":  written(t, func(top, _, _, _ m) { top["kind"] = canary }),
		"no name":       written(t, func(top, _, _, _ m) { top["clusters"].([]any)[0].(m)["name"] = "" }),
		"an alias bomb": []byte("a: &a [c4n4ry,c4n4ry]\nb: &b [*a,*a,*a]\nc: [*b,*b,*b]"),
		"an unknown key": written(t, func(top, _, _, _ m) {
			top["clusters"].([]any)[0].(m)[canary] = canary
		}),
	} {
		if _, err := Parse(doc); err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAKubeconfigPrintsNoToken(t *testing.T) {
	k := good()
	encoded, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprint(k), fmt.Sprintf("%+v %#v %s", k, k, k.Token), string(encoded)} {
		if strings.Contains(text, string(k.Token.Reveal())) {
			t.Errorf("the token is in %s", text)
		}
	}
}

// FuzzKubeconfig: whatever is taken means the same to client-go itself, which finds nothing in it that we do not take.
func FuzzKubeconfig(f *testing.F) {
	f.Add(written(f, func(_, _, _, _ m) {}))
	for field, value := range map[string]any{"exec": m{"apiVersion": "client.authentication.k8s.io/v1",
		"command": "/bin/sh"}, "tokenFile": "/etc/passwd", "username": "u", "as": "system:masters",
		"auth-provider": m{"name": "gcp"}} {
		f.Add(written(f, func(_, _, user, _ m) { user[field] = value }))
	}
	for field, value := range map[string]any{"insecure-skip-tls-verify": true, "proxy-url": "http://proxy:3128",
		"certificate-authority": "/etc/ca", "server": "https://u@h/x?y#z"} {
		f.Add(written(f, func(_, cluster, _, _ m) { cluster[field] = value }))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		k, err := Parse(text)
		if err != nil {
			return
		}
		if again, err := k.Encode(); err != nil {
			t.Fatalf("what was taken cannot be written: %v", err)
		} else if same, err := Parse(again); err != nil || !reflect.DeepEqual(same, k) {
			t.Fatalf("written, it reads otherwise: %v", err)
		}
		cfg, err := clientcmd.RESTConfigFromKubeConfig(text)
		if err != nil {
			t.Fatalf("client-go does not take it: %v", err)
		}
		if strings.TrimSuffix(cfg.Host, "/") != k.Server || cfg.BearerToken != string(k.Token.Reveal()) ||
			cfg.TLSClientConfig.ServerName != k.ServerName || !bytes.Equal(sameCAs(t, cfg.CAData), k.CA) {
			t.Fatalf("client-go reads %s otherwise", k.Server)
		}
		cfg.Host, cfg.BearerToken, cfg.TLSClientConfig.ServerName, cfg.CAData = "", "", "", nil
		left := reflect.ValueOf(*cfg)
		for i := range left.NumField() {
			if !left.Field(i).IsZero() {
				t.Fatalf("client-go finds %s in it", left.Type().Field(i).Name)
			}
		}
	})
}

// sameCAs is a bundle as Parse writes it.
func sameCAs(t *testing.T, bundle []byte) []byte {
	all, err := authorities(base64.StdEncoding.EncodeToString(bundle))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestTheRoleIsTheReadsAndItsOwnToken(t *testing.T) {
	objects := Objects("istio-system", []plan.Read{{Group: "apps", Version: "v1", Resource: "deployments",
		Namespace: "istio-system", Name: "edge"}, {Version: "v1", Resource: "pods", Namespace: "istio-system"}})
	want := []any{
		m{"apiGroups": []any{""}, "resources": []any{"serviceaccounts/token"}, "resourceNames": []any{"xcpauth-reader"},
			"verbs": []any{"create"}},
		m{"apiGroups": []any{"apps"}, "resources": []any{"deployments"}, "resourceNames": []any{"edge"},
			"verbs": []any{"get"}},
		m{"apiGroups": []any{""}, "resources": []any{"pods"}, "verbs": []any{"list"}},
	}
	if got := objects[1].Body["rules"]; !reflect.DeepEqual(got, any(want)) {
		t.Errorf("rules %v", got)
	}
	for _, o := range objects {
		if !maps.Equal(o.Body["metadata"].(m)["labels"].(m), m{"app.kubernetes.io/part-of": "xcpauth"}) ||
			o.Ref.Namespace != "istio-system" || o.Ref.Name != ReaderName {
			t.Errorf("%s: %v", o.Ref, o.Body["metadata"])
		}
	}
}
