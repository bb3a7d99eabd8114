package apply

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// handed is a supplier that has secrets at hand.
type handed struct {
	names []string
	makes bool
	err   error
}

func (h handed) From() string { return "a test" }
func (h handed) Makes() bool  { return h.makes }
func (h handed) Secrets(context.Context, plan.Supply) (all []map[string]any, said []string, err error) {
	for _, name := range h.names {
		all = append(all, map[string]any{"metadata": map[string]any{"name": name, "namespace": "ns"},
			"data": map[string]any{"jwt": "bmV3"}})
	}
	return all, []string{"it rests on this"}, h.err
}

// writes starts a server with objects, which refuses to make those that are there, and returns what is written to it,
// "METHOD name body" or, of a dry run, "METHOD name dry".
func writes(t *testing.T, forbidden string, objects ...apifake.Object) (*Live, func() []string) {
	t.Helper()
	s := apifake.Start(objects...)
	t.Cleanup(s.Close)
	var mu sync.Mutex
	var all []string
	s.Answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet {
			if forbidden != "" && strings.HasSuffix(r.URL.Path, "/"+forbidden) {
				apifake.Status(w, http.StatusForbidden, "Forbidden", `secrets "`+forbidden+`" is forbidden`)
				return true
			}
			return false
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		name := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		for _, o := range objects {
			if n, _ := o["metadata"].(apifake.Object)["name"].(string); r.Method == http.MethodPost &&
				strings.Contains(string(body), `"name":"`+n+`"`) {
				apifake.Status(w, http.StatusConflict, "AlreadyExists", n+" already exists")
				return true
			}
		}
		text := string(body)
		if r.URL.Query().Get("dryRun") == "All" {
			text = "dry"
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, r.Method+" "+name+" "+text)
		s.Written(w, r, body)
		return true
	}
	path, err := apifake.Kubeconfig(t.TempDir(), map[string]*apifake.Server{"edge": s}, nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := kubeconfig.Load(kubeconfig.Options{Kubeconfig: path})
	if err != nil {
		t.Fatal(err)
	}
	return &Live{Fleet: f}, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return all
	}
}

func TestWhatIsWantedIsReplacedAndWhatIsAddedIsNot(t *testing.T) {
	supply := plan.Supply{Member: "edge-1", Context: "edge", Namespace: "ns", Wants: []string{"token"},
		Adds: []string{"ca"}}
	live, wrote := writes(t, "", apifake.Secret("ns", "token", nil), apifake.Secret("ns", "ca", nil))
	live.Supplier = handed{names: []string{"token", "ca"}}
	said, err := live.Supply(t.Context(), supply, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{`PATCH token {"data":{"jwt":"bmV3"}}`}, wrote()); d != "" {
		t.Errorf("writes (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"it rests on this", "wrote Secret ns/token in edge from a test",
		"Secret ns/ca is in edge by now, and left as it is"}, said); d != "" {
		t.Errorf("said (-want +got):\n%s", d)
	}
	lost := errors.New("the lock is lost")
	if _, err := live.Supply(t.Context(), supply, func() error { return lost }); !errors.Is(err, lost) ||
		len(wrote()) != 1 {
		t.Errorf("without the lock: %v, wrote %v", err, wrote())
	}
}

func TestADryRunStoresNothingAndAsksNobodyWhoMakesSomething(t *testing.T) {
	supply := plan.Supply{Member: "edge-1", Context: "edge", Namespace: "ns", Wants: []string{"token"}}
	live, wrote := writes(t, "")
	for _, tc := range []struct {
		name     string
		supplier Supplier
		ok       bool
		wrote    int
		says     string
	}{
		{"files are read", handed{names: []string{"token"}}, true, 1, "wrote Secret ns/token"},
		{"who makes something is not asked", handed{names: []string{"token"}, makes: true}, true, 1,
			"not asked: a test makes something new"},
		{"what cannot be had is said", handed{err: errors.New("expired")}, false, 1,
			"getting the credentials of edge-1 from a test: expired"},
		{"no source", nil, false, 1, "pass --tctl or --secrets"},
	} {
		live.Supplier = tc.supplier
		said, ok := live.dryRunSupply(t.Context(), supply)
		if text := strings.Join(said, "\n"); ok != tc.ok || len(wrote()) != tc.wrote || !strings.Contains(text, tc.says) {
			t.Errorf("%s: %v, said %q, wrote %v", tc.name, ok, text, wrote())
		}
	}
	if wrote()[0] != "POST secrets dry" {
		t.Errorf("stored: %v", wrote())
	}
}

func TestASecretIsReplacedOnlyOnceItsCopyCanBeReadBack(t *testing.T) {
	patch := plan.Write{Context: "edge", Object: plan.Ref{Version: "v1", Resource: "secrets", Kind: "Secret",
		Namespace: "ns", Name: "cert"}, BackupAs: "cert-before", SecretField: "key",
		Before: map[string]any{"data": map[string]any{"tls.crt": "b2xk"}},
		After:  map[string]any{"data": map[string]any{"tls.crt": "bmV3"}}}
	cert := apifake.Secret("ns", "cert", map[string]string{"tls.crt": "old"})
	copyOf := func(text string) apifake.Object {
		return apifake.Secret("ns", "cert-before", map[string]string{"tls.crt": text, text: "x"})
	}
	fills := map[string]FillSecret{"key": func(after map[string]any) error {
		after["data"] = map[string]any{"tls.crt": "bmV3", "tls.key": "a2V5"}
		return nil
	}}
	for _, tc := range []struct {
		name, forbidden string
		objects         []apifake.Object
		fills           map[string]FillSecret
		wrote           []string
		says            string
	}{
		{"an older run's copy is replaced first", "", []apifake.Object{cert, copyOf("older")}, fills, []string{
			`PATCH cert-before {"data":{"older":null,"tls.crt":"b2xk"}}`,
			`PATCH cert {"data":{"tls.crt":"bmV3","tls.key":"a2V5"},"metadata":{"resourceVersion":null,"uid":"uid-cert"}}`}, ""},
		{"a copy that cannot be read is none", "cert-before", []apifake.Object{cert, copyOf("older")}, fills, nil,
			"nothing was written, since the copy of Secret ns/cert in edge could not be read back"},
		{"without the key nothing is written", "", []apifake.Object{cert, copyOf("older")}, nil, nil,
			"needs a value that this run was not given (key)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			live, wrote := writes(t, tc.forbidden, tc.objects...)
			live.SecretFields = tc.fills
			_, err := live.Write(t.Context(), patch, nil)
			if (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error %v, want %q", err, tc.says)
			}
			if d := cmp.Diff(tc.wrote, wrote()); d != "" {
				t.Errorf("writes (-want +got):\n%s", d)
			}
		})
	}
}
