package e2e

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/test/e2e/runs"
	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
	"github.com/xcpauth/kubectl-xcpauth/test/xcpsim"
)

// An installation of 1.4 has tokens that nothing renews: that is said before the others follow the canary, and done
// once it is accepted.
func TestEdgesWithTokensThatNobodyRenewsMoveOnceThatIsAccepted(t *testing.T) {
	t.Parallel()
	f := start(t, sandbox.Options{Installation: xcpsim.Installation{LongLivedTokens: true}})
	rows := f.Rows(f.migrate(4, "-o", "json").Stdout)
	if why, _ := rows["edge-1"]["why"].(string); !strings.Contains(why, "--accept-unrotated edge-1") {
		t.Errorf("what to accept is not said: %v", rows["edge-1"])
	}
	f.Is(rows, "edge-2", "state", "not attempted")
	if got := f.edgeMode("edge-2"); got != "MUTUAL_TLS" {
		t.Errorf("edge-2 followed all the same: %s", got)
	}
	f.migrate(0, "--accept-unrotated", "edge-1,edge-2")
	if got := f.hubModes(); got != `{"jwt":true,"mutualTls":false}` {
		t.Errorf("the hub's modes are %s", got)
	}
}

// Edges without credentials get them: one from a manifest that its team provided, the other from tctl. Of either
// nothing but the secrets of XCP is taken, and nothing secret is on a command line, printed or kept.
func TestEdgesWithoutCredentialsGetThemFromAManifestAndFromTctl(t *testing.T) {
	t.Parallel()
	f := start(t, sandbox.Options{Installation: xcpsim.Installation{NoCredentials: true}, Tctl: "v1.6.2"})
	if err := f.TctlProfile(t.Context(), "default", "hub", "tsb.example.test:8443"); err != nil {
		t.Fatal(err)
	}
	jwk := strings.TrimSpace(f.tctl("install", "cluster-service-account", "--cluster=edge-1"))
	dir := t.TempDir()
	handed := filepath.Join(dir, "edge-1.yaml")
	write := func(path, text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	manifest := f.tctl("install", "manifest", "control-plane-secrets", "--cluster=edge-1",
		"--cluster-service-account="+jwk)
	write(handed, manifest, 0o644)
	theirs, err := f.TctlRuns()
	if err != nil {
		t.Fatal(err)
	}
	ours := func() [][]string {
		t.Helper()
		runs, err := f.TctlRuns()
		if err != nil {
			t.Fatal(err)
		}
		return runs[len(theirs):]
	}
	installs := func() (all []string) {
		for _, args := range ours() {
			if args[1] == "install" {
				all = append(all, strings.Join(args[1:], " "))
			}
		}
		return all
	}
	var printed []string
	run := func(code int, args ...string) sandbox.Run {
		t.Helper()
		r := f.Xcpauth(code, args...)
		printed = append(printed, r.Stdout, r.Stderr)
		return r
	}
	migrate := func(code int, args ...string) sandbox.Run {
		t.Helper()
		return run(code, append(append([]string{"migrate"}, quick...), args...)...)
	}

	if r := migrate(1, "--secrets", dir); !strings.Contains(r.Stderr, "run: chmod 600") {
		t.Errorf("a manifest that others may read: %s", r.Stderr)
	}
	if err := os.Chmod(handed, 0o600); err != nil {
		t.Fatal(err)
	}
	plan := run(4, "plan", "--secrets", dir)
	for _, says := range []string{"secrets cluster-service-account, xcp-edge-central-auth-token in namespace istio-system of edge-1, from the manifest", "edge-2: no manifest was provided for it"} {
		if !strings.Contains(strings.Join(strings.Fields(plan.Stdout), " "), says) {
			t.Errorf("the plan does not say %q:\n%s", says, plan.Stdout)
		}
	}
	run(4, "migrate", "--secrets", dir, "--dry-run=server")
	if f.has("edge-1", "cluster-service-account") {
		t.Fatal("a dry run stored a secret")
	}
	first := migrate(4, "--secrets", dir, "-o", "json")
	rows := f.Rows(first.Stdout)
	f.Is(rows, "edge-1", "state", "changed")
	f.Is(rows, "edge-2", "state", "blocked")
	if !strings.Contains(first.Stderr,
		"left alone of the manifest "+dir+": Secret elastic-credentials, Secret es-certs, Secret mp-certs") {
		t.Errorf("what was left alone is not said:\n%s", first.Stderr)
	}

	if err := f.TctlProfile(t.Context(), "stage", "hub", "stage.example.test:8443"); err != nil {
		t.Fatal(err)
	}
	theirs, err = f.TctlRuns()
	if err != nil {
		t.Fatal(err)
	}
	run(0, "plan", "--tctl")
	run(0, "migrate", "--tctl", "--dry-run=server")
	if all := ours(); len(all) > 0 {
		t.Errorf("a plan, or a dry run, ran tctl: %v", all)
	}
	wrong := f.Rows(migrate(4, "--tctl", "-o", "json").Stdout)
	if why, _ := wrong["edge-2"]["why"].(string); !strings.Contains(why,
		"profile stage leads to stage.example.test:8443, and the edges dial tsb.example.test: that is another hub") {
		t.Errorf("another hub's profile: %q", why)
	}
	if all := installs(); len(all) > 0 {
		t.Errorf("it was asked for secrets all the same: %v", all)
	}
	done := migrate(0, "--tctl", "--tctl-profile", "default")
	if got := f.hubModes(); got != `{"jwt":true,"mutualTls":false}` {
		t.Errorf("the hub's modes are %s", got)
	}
	if !strings.Contains(done.Stderr,
		"tctl's profile default leads to tsb.example.test:8443, the host that edges dial too") {
		t.Errorf("what the profile's check rests on is not said:\n%s", done.Stderr)
	}
	want := []string{
		"install manifest control-plane-secrets --cluster edge-2 --controlplane istio-system --create-cluster=false --profile default",
		"install cluster-service-account --cluster edge-2 --create-cluster=false --profile default",
	}
	if got := installs(); !slices.Equal(got, want) {
		t.Errorf("tctl was run as %q, want %q", got, want)
	}
	for _, edge := range []string{"edge-1", "edge-2"} {
		for _, name := range []string{"elastic-credentials", "es-certs", "mp-certs"} {
			if f.has(edge, name) {
				t.Errorf("%s was written into %s", name, edge)
			}
		}
	}

	printed = append(printed, f.get("hub", "xcpauth-system", "configmap/xcpauth-journal", "{.data}"))
	for _, args := range ours() {
		printed = append(printed, args...)
	}
	for _, edge := range []string{"edge-1", "edge-2"} {
		key := f.privateKey(edge)
		for _, text := range printed {
			if strings.Contains(text, key) || strings.Contains(text, base64.StdEncoding.EncodeToString([]byte(key))[:40]) {
				t.Errorf("the key of %s is in %s", edge, text)
			}
		}
	}
}

// tctl runs the stand-in as another team does.
func (f fleet) tctl(args ...string) string {
	f.Helper()
	cmd := exec.CommandContext(f.Context(), filepath.Join(f.BinDir(), "tctl"), args...)
	var errOut bytes.Buffer
	cmd.Env, cmd.Stderr = f.Env(), &errOut
	out, err := cmd.Output()
	if err != nil {
		f.Fatalf("tctl %v: %v\n%s", args[:2], err, errOut.String())
	}
	return string(out)
}

// has says whether a secret lies in the edge.
func (f fleet) has(edge, name string) bool {
	f.Helper()
	return f.Kubectl(f.Context(), "--context", edge, "-n", "istio-system", "get", "secret", name, "-o", "name").Code == 0
}

// privateKey is the private part of an edge's service account.
func (f fleet) privateKey(edge string) string {
	f.Helper()
	text, err := base64.StdEncoding.DecodeString(f.get(edge, "istio-system",
		"secret/cluster-service-account", "{.data.jwk}"))
	if err != nil {
		f.Fatal(err)
	}
	var key struct{ D string }
	if err := json.Unmarshal(text, &key); err != nil || len(key.D) < 100 {
		f.Fatalf("the service account of %s has no private key: %v", edge, err)
	}
	return key.D
}

// A certificate that another team made is refused when nobody would trust it, written when everybody does, and taken
// back by the next run when the one that wrote it was killed. Edges with certificates and edges with JWTs dial
// Central all the while.
func TestCentralsCertificateComesFromFilesAndGoesBack(t *testing.T) {
	t.Parallel()
	f := start(t, sandbox.Options{Installation: xcpsim.Installation{CertWithoutHost: true}})
	secret := func(key string) string {
		return f.get("hub", "tsb", "secret/xcp-central-cert", "{.data."+strings.ReplaceAll(key, ".", `\.`)+"}")
	}
	was := secret("tls.crt") + secret("tls.key")
	decode := func(text string) []byte {
		t.Helper()
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	issuer := func(key string) []byte {
		return decode(f.get("hub", "tsb", "secret/xcp-identity-issuer", "{.data."+strings.ReplaceAll(key, ".", `\.`)+"}"))
	}
	signer, err := tls.X509KeyPair(issuer("tls.crt"), issuer("tls.key"))
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := xcpsim.NewAuthority("stranger.example.test")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name string, text []byte) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}

	made, err := stranger.Issue(xcpsim.Leaf{URI: "spiffe://xcp.tetrate.io/central",
		Names: []string{"central.xcp.tetrate.io", "tsb.example.test"}})
	if err != nil {
		t.Fatal(err)
	}
	cert, key := file("stranger.crt", made["tls.crt"]), file("stranger.key", made["tls.key"])
	refused := f.Rows(f.migrate(5, "--central-cert", cert, "--central-key", key, "-o", "json").Stdout)
	if why, _ := refused["hub"]["why"].(string); !strings.Contains(why, "would not trust the given certificate") {
		t.Errorf("a certificate that nobody trusts: %v", refused)
	}
	if f.Kubectl(t.Context(), "--context", "hub", "get", "crd", "edgeclusters.xcpauth.io").Code == 0 ||
		f.hubModes() != `{"mutualTls":true}` || secret("tls.crt")+secret("tls.key") != was {
		t.Error("something was written all the same")
	}

	key = filepath.Join(dir, "central.key")
	cert = file("central.crt", f.signed(f.Xcpauth(0, "certificate", "request", "--key-out", key).Stdout, signer))
	cmd := f.Command(t.Context(), append([]string{"xcpauth", "migrate", "--central-cert", cert, "--central-key", key},
		quick...)...)
	cmd.Stderr = runs.NewWatcher(t, "hub: wrote Secret tsb/xcp-central-cert",
		func() { cmd.Process.Signal(syscall.SIGKILL) })
	if err := cmd.Run(); err == nil {
		t.Fatal("the killed run ended well")
	}
	if secret("tls.crt")+secret("tls.key") == was {
		t.Fatal("the killed run had written nothing")
	}
	if r := f.migrate(4, "--to=edges"); !strings.Contains(r.Stderr,
		"hub: restored as it was before the interrupted wave") {
		t.Errorf("the next run does not say that it restored the pair:\n%s", r.Stderr)
	}
	if secret("tls.crt")+secret("tls.key") != was {
		t.Error("the pair is not the one from before")
	}

	saved := filepath.Join(dir, "plan.json")
	f.Xcpauth(0, "plan", "--central-cert", cert, "--prove-within", "20s", "--out", saved)
	if r := f.Xcpauth(1, "migrate", "-y", "--plan", saved); !strings.Contains(r.Stderr, "pass --central-key") {
		t.Errorf("without the key: %s", r.Stderr)
	}
	done := f.Xcpauth(0, "migrate", "-y", "--poll", "100ms", "--plan", saved, "--central-key", key)
	if got := f.hubModes(); got != `{"jwt":true,"mutualTls":false}` {
		t.Errorf("the hub's modes are %s", got)
	}
	written, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	if string(decode(secret("tls.key"))) != string(written) {
		t.Error("the key in the hub is not the one that was given")
	}
	plan, err := os.ReadFile(saved)
	if err != nil {
		t.Fatal(err)
	}
	inner := strings.Split(string(written), "\n")[1][:40]
	journal := f.get("hub", "xcpauth-system", "configmap/xcpauth-journal", "{.data}")
	for _, text := range []string{done.Stdout, done.Stderr, string(plan), journal} {
		if strings.Contains(text, inner) || strings.Contains(text, base64.StdEncoding.EncodeToString(written)[60:120]) {
			t.Errorf("the private key is in %s", text)
		}
	}
}

// signed is what a CA makes of a request: what the request asks for, no more.
func (f fleet) signed(request string, by tls.Certificate) []byte {
	f.Helper()
	block, _ := pem.Decode([]byte(request))
	if block == nil {
		f.Fatalf("no request:\n%s", request)
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		f.Fatal(err)
	}
	ca, err := x509.ParseCertificate(by.Certificate[0])
	if err != nil {
		f.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: csr.Subject, DNSNames: csr.DNSNames,
		IPAddresses: csr.IPAddresses, URIs: csr.URIs,
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth,
			x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, ca, csr.PublicKey, by.PrivateKey)
	if err != nil {
		f.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
