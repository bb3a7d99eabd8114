package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
	"github.com/xcpauth/kubectl-xcpauth/test/canary"
)

// No format of a report, and nothing in the archive, has a piece of a secret of the fleet: not of one that was read, of
// one in a variable of a pod, nor of one in the words of an API server.
func TestNoSecretOfAFleetIsInAReport(t *testing.T) {
	m := newMint(t)
	var secrets canary.Set
	jwk := `{"kty":"RSA","kid":"1","n":"AQAB","e":"AQAB","d":"` + strings.Repeat("c4n4ry", 8) + `"}`
	full := func(objects []apifake.Object, ns string, names ...string) []apifake.Object {
		for _, name := range names {
			objects = append(objects, apifake.Secret(ns, name, map[string]string{"jwt": m.token(t, time.Hour),
				"token": m.token(t, time.Hour), "tls.key": m.private, "ca.key": m.private, "private.key": m.private, "jwk": jwk,
				"password": "a-canary-of-a-password", "tls.crt": "no certificate", "ca.crt": "no certificate"}))
		}
		for _, o := range objects {
			data, _ := o["data"].(apifake.Object)
			for key, v := range data {
				value, err := base64.StdEncoding.DecodeString(v.(string))
				if err != nil {
					t.Fatal(err)
				}
				secrets.Add(key, key, value)
			}
		}
		return objects
	}
	said := m.token(t, time.Hour)
	secrets.Add("a message", "token", []byte(said))
	loud := apifake.Start()
	loud.Answer = func(w http.ResponseWriter, _ *http.Request) bool {
		apifake.Status(w, http.StatusForbidden, "Forbidden", "no backend takes "+said+" of https://ann:"+
			"canary-of-ann@proxy.example.test")
		return true
	}
	fleet := serve(t, map[string]*apifake.Server{"loud": loud,
		"hub": apifake.Start(full(apifake.Hub("eu", "us"), "tsb", "xcp-central-cert", "iam-signing-key", "admin")...),
		"eu": apifake.Start(full(apifake.Edge("eu"), "istio-system", "xcp-edge-cert", "xcp-edge-central-auth-token",
			"cluster-service-account", "oap-token", "otel-token", "xcp-central-ca-bundle")...),
		"us": apifake.Start(full(apifake.Edge("us"), "istio-system", "xcp-edge-cert", "cluster-service-account")...)}, nil)
	zones, held := meshFleet(t)
	for _, s := range held {
		secrets.Add("the mesh", "value", []byte(s))
	}
	if secrets.Len() < 100 || len(secrets.Find(said)) == 0 {
		t.Fatalf("the set looks for %d pieces", secrets.Len())
	}
	for name, kubeconfig := range map[string]string{"TSB": fleet, "zones": zones} {
		for _, args := range [][]string{{"-o", "html"}, {"-o", "markdown"}, {"-o", "junit"},
			{"--bundle", filepath.Join(t.TempDir(), "xcpauth.tar.gz")}} {
			r := xcpauth(t, kubeconfig, append([]string{"report"}, args...)...)
			text := r.out + r.err
			if args[0] == "--bundle" {
				text += strings.Join(unpacked(t, args[1]), "\n")
			}
			if len(text) < 1000 {
				t.Errorf("%s, %s: there is hardly a report: %s", name, args, text)
			}
			if found := secrets.Find(text); len(found) > 0 || strings.Contains(text, "canary") {
				t.Errorf("%s, %s: the report has pieces of %q", name, args, found)
			}
		}
	}
}

// unpacked are the files of an archive, each by its name and text.
func unpacked(t *testing.T, path string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for files := tar.NewReader(z); ; {
		head, err := files.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(files)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, head.Name+"\n"+string(text))
	}
}

func TestAnArchiveForSupportSaysWhatItHolds(t *testing.T) {
	kubeconfig := serve(t, map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub("eu")...),
		"eu": apifake.Start(apifake.Edge("eu")...)}, nil)
	path := filepath.Join(t.TempDir(), "xcpauth.tar.gz")
	r := xcpauth(t, kubeconfig, "report", "--bundle", path, "--context", "hub")
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 || r.out != "" {
		t.Fatalf("exit code %d, %v\n%s%s", r.code, err, r.out, r.err)
	}
	var names, kinds []string
	for _, file := range unpacked(t, path) {
		name, text, _ := strings.Cut(file, "\n")
		names = append(names, strings.TrimPrefix(name, "xcpauth-report/"))
		var report struct {
			Kind  string
			Flags map[string]string
		}
		if err := json.Unmarshal([]byte(text), &report); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		kinds = append(kinds, report.Kind)
		if report.Kind == "About" && report.Flags["context"] != "hub" {
			t.Errorf("the flags are %v", report.Flags)
		}
	}
	if want := []string{"About", "Status", "Plan", "Check", "History"}; !slices.Equal(kinds, want) {
		t.Errorf("it holds %v, want %v", kinds, want)
	}
	listed, _, _ := strings.Cut(r.err, "wrote "+path)
	for _, name := range names {
		if !strings.Contains(listed, name) {
			t.Errorf("%s is not listed before it is written:\n%s", name, r.err)
		}
	}
}

// What a report says is what the verbs say that it stands for.
func TestAReportSaysWhatTheVerbsSay(t *testing.T) {
	fleet := serve(t, map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub("eu", "us")...),
		"eu": apifake.Start(apifake.Edge("eu")...), "us": apifake.Start(apifake.Edge("us")...)}, nil)
	zones, _ := meshFleet(t)
	for name, kubeconfig := range map[string]string{"TSB": fleet, "zones": zones} {
		path := filepath.Join(t.TempDir(), "xcpauth.tar.gz")
		xcpauth(t, kubeconfig, "report", "--bundle", path)
		for _, file := range unpacked(t, path) {
			at, text, _ := strings.Cut(file, "\n")
			verb := strings.TrimSuffix(strings.TrimPrefix(at, "xcpauth-report/"), ".json")
			args, ok := map[string][]string{"status": {"status"}, "plan": {"plan", "--diff"}, "check": {"check"},
				"history": {"status", "--history"}}[verb]
			if !ok {
				continue
			}
			var inReport, ofVerb map[string]any
			r := xcpauth(t, kubeconfig, append(args, "-o", "json")...)
			if err := errors.Join(json.Unmarshal([]byte(text), &inReport), json.Unmarshal([]byte(r.out), &ofVerb)); err != nil {
				t.Fatal(err)
			}
			delete(inReport, "at")
			delete(ofVerb, "at")
			if d := cmp.Diff(ofVerb, inReport); d != "" {
				t.Errorf("%s, %s (-verb +report):\n%s", name, verb, d)
			}
		}
	}
}
