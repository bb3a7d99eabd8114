package release

import (
	"flag"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// platforms: cross-compiling one costs most of a minute of CPU on a cold cache, so that only one more than this
// machine's is built by default, the one that differs most: another archive format, another name of the binary.
var platforms = flag.String("platforms", strings.Join(slices.Compact([]string{runtime.GOOS + "/" + runtime.GOARCH,
	"windows/amd64"}), ","), "what to build and install with krew")

// plugin is what is read of a krew manifest.
type plugin struct {
	Metadata struct{ Name string }
	Spec     struct {
		Version, ShortDescription, Description, Caveats string
		Platforms                                       []struct{ URI, Bin string }
	}
}

func readManifest(t *testing.T, file string) plugin {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var p plugin
	if err := yaml.Unmarshal(b, &p); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return p
}

func TestKrewInstallsWhatARealKubectlRuns(t *testing.T) {
	dir := t.TempDir()
	bin, err := KrewInstall(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	tools, err := findTools(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	run := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Env = tools.env(filepath.Dir(bin))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %q: %v\n%s", name, args, err, out)
		}
		return string(out)
	}
	m := readManifest(t, filepath.Join(dir, "dist", "xcpauth.yaml"))
	if got := run(tools.kubectl, "xcpauth", "version"); !strings.HasPrefix(got,
		"kubectl-xcpauth "+m.Spec.Version+" (commit ") {
		t.Errorf("kubectl xcpauth version: got %q, want version %s", got, m.Spec.Version)
	}
	installed, err := filepath.EvalSymlinks(filepath.Join(bin, "kubectl-xcpauth"))
	if err != nil {
		t.Fatal(err)
	}
	if store := filepath.Join("store", "xcpauth", m.Spec.Version, "kubectl-xcpauth"); !strings.HasSuffix(installed,
		store) {
		t.Errorf("what kubectl ran is %s, want it in krew's %s", installed, store)
	}

	// The caveats propose one command, which makes kubectl complete the plugin's arguments.
	var proposed []string
	for _, line := range strings.Split(m.Spec.Caveats, "\n") {
		if command, indented := strings.CutPrefix(line, "  "); indented {
			proposed = append(proposed, command)
		}
	}
	if len(proposed) != 1 {
		t.Fatalf("the caveats propose %q, want one command", proposed)
	}
	before := run(tools.kubectl, "__complete", "xcpauth", "stat")
	run("sh", "-c", proposed[0])
	after := run(tools.kubectl, "__complete", "xcpauth", "stat")
	if strings.Contains(before, "status\t") || !strings.Contains(after, "status\t") {
		t.Errorf("completion of stat: got %q before the caveats' command and %q after it, want status after it only", before,
			after)
	}
}

// TestKrewsOwnValidatorAcceptsTheManifest has krew download every archive from this machine, check its sum, unpack
// it, find the binary and the licence: what the index does with a manifest.
func TestKrewsOwnValidatorAcceptsTheManifest(t *testing.T) {
	tools, err := findTools(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dist := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	const version = "v1.2.3-test.1"
	server := &http.Server{Handler: http.StripPrefix("/releases/"+version, http.FileServer(http.Dir(dist)))}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	if err := Build(t.Context(), "-dist", dist, "-platforms", *platforms, "-version", version, "-base-url",
		"http://"+l.Addr().String()+"/releases"); err != nil {
		t.Fatal(err)
	}
	validate := func() (string, error) {
		cmd := exec.CommandContext(t.Context(), tools.validate, "-manifest", filepath.Join(dist, "xcpauth.yaml"))
		cmd.Env = tools.env(t.TempDir())
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := validate()
	if err != nil {
		t.Fatalf("validate-krew-manifest: %v\n%s", err, out)
	}
	m := readManifest(t, filepath.Join(dist, "xcpauth.yaml"))
	if !strings.Contains(out, "spec.platforms installed fine") || m.Spec.Version != version {
		t.Errorf("version %s, and krew said:\n%s", m.Spec.Version, out)
	}

	if n := len(m.Spec.ShortDescription); n == 0 || n > 50 {
		t.Errorf("shortDescription has %d characters; reviewers of the index want 50 at most", n)
	}
	for _, line := range strings.Split(m.Spec.Description, "\n") {
		if len(line) > 80 {
			t.Errorf("description has a line longer than 80 characters: %q", line)
		}
	}

	archive := filepath.Join(dist, filepath.Base(m.Spec.Platforms[0].URI))
	b, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(archive, b, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := validate(); err == nil || !strings.Contains(out, "checksum") {
		t.Errorf("one bit of %s changed: got %v, want krew to refuse the checksum\n%s", filepath.Base(archive), err, out)
	}
}
