package mesh

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/test/fault"
)

// found are check's findings: those about the mesh by the name of their rule; others by their rule, and the member that
// they are about.
func (m *mesh) found() []string {
	m.Helper()
	r := m.Kubectl(m.Context(), "xcpauth", "check", "-o", "json") // its exit code says whether anything was found
	var report struct {
		Findings []struct{ Rule, Name, Member string }
	}
	if err := json.Unmarshal([]byte(r.Stdout), &report); err != nil {
		m.Fatalf("%v\n%s%s", err, r.Stdout, r.Stderr)
	}
	var all []string
	for _, f := range report.Findings {
		if strings.HasPrefix(f.Rule, "XA1") {
			all = append(all, f.Name)
		} else {
			all = append(all, f.Rule+" "+f.Member)
		}
	}
	return all
}

func secretYAML(name, ns, kind, key string, value []byte) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: %s, namespace: %s}\ntype: %s\ndata: {%s: %s}\n",
		name, ns, kind, key, base64.StdEncoding.EncodeToString(value))
}

func (m *mesh) apply(cluster, yaml string) {
	m.Helper()
	path := filepath.Join(m.TempDir(), "object.yaml")
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		m.Fatal(err)
	}
	m.kubectl("--context", cluster, "apply", "-f", path)
}

// What would be refused, or break something, is found before anything is written; and a run is refused where a key is
// of no use.
func TestWhatIsWrongIsFoundBeforeAnythingIsWritten(t *testing.T) {
	m := start(t, nil)
	const global, ours, id = "system.kuma.io/global-secret", "zone-token-revocations",
		"33333333-3333-4333-8333-333333333333"
	pem8, pem1 := signingKeys(t)
	for _, c := range []string{"global", "west"} {
		// where another product's control plane was, say
		m.apply(c, "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+elsewhere+"}\n")
	}
	clean := m.found()
	if slices.ContainsFunc(clean, func(id string) bool { return strings.HasPrefix(id, "XA00") }) {
		t.Errorf("with the shipped roles something is amiss: %v", clean)
	}
	written := func() string { // but for the status of a Deployment
		return m.kubectl("--context", "global", "-n", namespace, "get", "deployment,secret", "-o",
			`jsonpath={range .items[*]}{.kind}/{.metadata.name}/{.metadata.generation}/{.data}{"\n"}{end}`).Stdout
	}
	refused := func() {
		t.Helper()
		before := written()
		if r := m.Xcpauth(5, append([]string{"migrate"}, quick...)...); !strings.Contains(r.Stdout,
			"zone-token-signing-key") {
			t.Errorf("it is refused with\n%s%s", r.Stdout, r.Stderr)
		}
		if after := written(); after != before {
			t.Error("a run that was refused wrote something")
		}
	}
	for _, tc := range []struct {
		id, name, ns, kind string
		value              []byte
		refused            bool
	}{
		{"key-pkcs8", "zone-token-signing-key-2", namespace, global, pem8, true},
		{"key-padded", "zone-token-signing-key-0002", namespace, global, pem1, true},
		{"key-type", "zone-token-signing-key-2", namespace, "Opaque", pem1, true},
		{"revocations-spaces", ours, namespace, global, []byte("a, " + id), false},
		{"revocations-crlf", ours, namespace, global, []byte(id + "\r\n"), false},
		{"revocations-type", ours, namespace, "Opaque", []byte(id), false},
		{"secret-misplaced", ours, elsewhere, global, []byte(id), false},
	} {
		if slices.Contains(clean, tc.id) {
			t.Errorf("%s is found before it is there: %v", tc.id, clean)
		}
		m.apply("global", secretYAML(tc.name, tc.ns, tc.kind, "value", tc.value))
		if got := m.found(); !slices.Contains(got, tc.id) {
			t.Errorf("%s is not found: %v", tc.id, got)
		}
		if tc.refused {
			refused()
		}
		m.kubectl("--context", "global", "-n", tc.ns, "delete", "secret", tc.name)
	}

	m.put("west", elsewhere, m.issue("west", "720h")) // its new pod does not start, and the one before goes on
	if got := m.found(); !slices.Contains(got, "token-missing") {
		t.Errorf("a token in another namespace is not found: %v", got)
	}
	m.kubectl("--context", "west", "-n", elsewhere, "delete", "secret", "cp-token")
	m.clocksAreCompared()

	for _, tc := range []struct{ id, zone, valid string }{{"token-zone", "east", "720h"},
		{"token-expired", "west", "1s"}} {
		m.give("west", m.issue(tc.zone, tc.valid))
		m.await(tc.id+" to be found", func() error {
			if got := m.found(); !slices.Contains(got, tc.id) {
				return fmt.Errorf("found %v", got)
			}
			return nil
		})
	}
	if got := m.found(); !slices.Contains(got, "global-open") {
		t.Errorf("a global that authenticates nobody is not found: %v", got)
	}
	// as values for production that are published
	m.kubectl("--context", "west", "-n", namespace, "set", "env", deployment, authType+"=cpToken")
	m.kubectl("--context", "west", "-n", namespace, "rollout", "status", deployment, "--timeout="+limit.String())
	if got := m.found(); !slices.Contains(got, "zone-sets-global") {
		t.Errorf("found %v", got)
	}
	m.run(0, "migrate") // a zone with a token that would be refused gets another one first
	m.withTokens(true)
}

// clocksAreCompared shows that the clock of an API server that is ten minutes off is found; and when it is the
// global's, that it would not take a token yet that was just issued, so that a run puts its canary back.
func (m *mesh) clocksAreCompared() {
	m.Helper()
	m.give("west", m.issue("west", "720h"))
	for _, tc := range []struct {
		cluster string
		ahead   time.Duration
		want    []string
	}{
		{"west", 10 * time.Minute, []string{"XA006 west"}},
		{"global", -10 * time.Minute, []string{"XA006 hub", "token-not-yet"}},
	} {
		for _, off := range []time.Duration{0, tc.ahead} {
			stop := m.through(map[string]fault.Relay{tc.cluster: {Ahead: off}})
			got := m.found()
			for _, want := range tc.want {
				if there := slices.Contains(got, want); there != (off != 0) {
					m.Errorf("the clock of %s is %s off, and %s is found: %v, of %v", tc.cluster, off, want, there, got)
				}
			}
			if tc.cluster == "global" && off != 0 {
				r := m.Xcpauth(4, "migrate", "-y", "--poll", "100ms", "--prove-within", "2s")
				if text := strings.Join(strings.Fields(r.Stdout), " "); !strings.Contains(text, "put back") {
					m.Errorf("it ends with\n%s", r.Stdout)
				}
			}
			stop()
		}
	}
	if got := m.env("global", authType); got != "" {
		m.Errorf("the global is set to %q", got)
	}
}

// signingKeys are one that the product does not read, and one that it does.
func signingKeys(t *testing.T) (pkcs8, pkcs1 []byte) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
}

// issue has the plugin issue a token with the global's key, and returns the file.
func (m *mesh) issue(zone, valid string) string {
	m.Helper()
	dir := m.TempDir()
	text := m.kubectl("--context", "global", "-n", namespace, "get", "secret", "zone-token-signing-key-1", "-o",
		"go-template={{index .data \"value\" | base64decode}}").Stdout
	key, token := filepath.Join(dir, "key.pem"), filepath.Join(dir, "token")
	if err := os.WriteFile(key, []byte(text), 0o600); err != nil {
		m.Fatal(err)
	}
	m.Xcpauth(0, "token", "issue", "--zone", zone, "--valid-for", valid, "--key-file", key, "--kid", "1", "--out", token)
	return token
}

// elsewhere is where the product's page puts a secret that belongs into namespace.
const elsewhere = "kuma-system"

// put puts a token into a namespace of a zone's cluster, and has the zone's control plane take it, as the product's
// page says.
func (m *mesh) put(zone, ns, file string) {
	m.Helper()
	token, err := os.ReadFile(file)
	if err != nil {
		m.Fatal(err)
	}
	m.apply(zone, secretYAML("cp-token", ns, "Opaque", "token", token))
	patch := fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{"token":%q}},"spec":{"containers":[{"name":"control-plane","env":[{"name":%q,"valueFrom":{"secretKeyRef":{"name":"cp-token","key":"token"}}}]}]}}}}`, filepath.Base(filepath.Dir(file)), inline)
	m.kubectl("--context", zone, "-n", namespace, "patch", deployment, "--patch", patch)
}

// give puts a token into a zone by hand, and waits until the zone is connected with it.
func (m *mesh) give(zone, file string) {
	m.Helper()
	m.put(zone, namespace, file)
	m.kubectl("--context", zone, "-n", namespace, "rollout", "status", deployment, "--timeout="+limit.String())
	m.await("its pod to be connected", func() error {
		if s, live := m.Live()[zone]; !live || !s.AuthTokenProvided {
			return errors.New("it is not")
		}
		return nil
	})
}
