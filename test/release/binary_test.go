package release

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// maxSize is the budget of the stripped plugin in bytes: what is downloaded, and read at each start with a cold cache.
const maxSize = 24_000_000

// unpacked builds the release for a platform and returns the plugin from its archive.
func unpacked(t *testing.T, platform string) string {
	t.Helper()
	dir := t.TempDir()
	if err := Build(t.Context(), "-dist", dir, "-platforms", platform); err != nil {
		t.Fatal(err)
	}
	archive, err := only(filepath.Join(dir, "kubectl-xcpauth_*.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	unpackArchive(t, archive, dir)
	return filepath.Join(dir, "kubectl-xcpauth")
}

// unpackArchive unpacks a .tar.gz.
func unpackArchive(t *testing.T, archive, dir string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "tar", "-xzf", archive, "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("unpacking %s: %v\n%s", archive, err, out)
	}
}

func TestBinarySizeIsWithinItsBudget(t *testing.T) {
	st, err := os.Stat(unpacked(t, "linux/amd64"))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("kubectl-xcpauth for linux/amd64, stripped: %.1f MB", float64(st.Size())/1e6)
	if st.Size() > maxSize {
		t.Errorf("the plugin has %d bytes, %d more than its budget; go list -deps says what it links", st.Size(),
			st.Size()-maxSize)
	}
}

// TestStartUpIsPrinted measures and does not judge: CPU time depends on the machine.
func TestStartUpIsPrinted(t *testing.T) {
	plugin := unpacked(t, runtime.GOOS+"/"+runtime.GOARCH)
	var least time.Duration
	for range 10 {
		cmd := exec.CommandContext(t.Context(), plugin, "version")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s version: %v\n%s", plugin, err, out)
		}
		if spent := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(); least == 0 || spent < least {
			least = spent
		}
	}
	t.Logf("kubectl-xcpauth version: %.1f ms of CPU, the least of 10", float64(least.Microseconds())/1000)
}

func TestHeavyPackagesAreNotLinked(t *testing.T) {
	deps, err := output(t.Context(), "", "go", "list", "-deps",
		"github.com/xcpauth/kubectl-xcpauth/plugin/kubectl-xcpauth")
	if err != nil {
		t.Fatal(err)
	}
	for _, pkg := range strings.Fields(deps) {
		for _, heavy := range []string{"k8s.io/client-go/kubernetes", "k8s.io/api", "sigs.k8s.io/controller-runtime",
			"sigs.k8s.io/kustomize"} {
			if pkg == heavy || strings.HasPrefix(pkg, heavy+"/") {
				t.Errorf("the plugin links %s", pkg)
			}
		}
	}
	if !strings.Contains(deps, "k8s.io/client-go/tools/clientcmd") {
		t.Error("the plugin does not link clientcmd: is this its list of packages?")
	}
}

// TestAProgramThatNoReleaseBuiltKnowsItsVersion builds both programs with what the go tool notes in a binary alone, as
// go install of a version does.
func TestAProgramThatNoReleaseBuiltKnowsItsVersion(t *testing.T) {
	const version = "v0.9.8"
	dir := filepath.Join(t.TempDir(), "checkout")
	scratch(t, dir, version)
	bin := t.TempDir() + string(filepath.Separator)
	if _, err := output(t.Context(), dir, "go", "build", "-trimpath", "-buildvcs=true", "-ldflags=-s -w", "-o", bin,
		"./plugin/kubectl-xcpauth", "./webhook/xcpauth-webhook"); err != nil {
		t.Fatal(err)
	}
	for program, runs := range map[string]struct{ args, says string }{
		"kubectl-xcpauth": {"version", "kubectl-xcpauth v0.9.8 (commit "}, "xcpauth-webhook": {"--version", "v0.9.8\n"},
	} {
		out, err := output(t.Context(), "", bin+program, runs.args)
		if err != nil || !strings.HasPrefix(out+"\n", runs.says) {
			t.Errorf("%s %s: %q, %v; want %q", program, runs.args, out, err, runs.says)
		}
	}
}
