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
	archive, err := only(filepath.Join(dir, "kubectl-xcpauth_*"))
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "tar", "-xzf", archive, "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("unpacking %s: %v\n%s", archive, err, out)
	}
	return filepath.Join(dir, "kubectl-xcpauth")
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

// TestSameSourceGivesSameBytes builds in two checkouts at different paths.
func TestSameSourceGivesSameBytes(t *testing.T) {
	root, err := checkout(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "somewhere", "else")
	if err := copySource(root, other); err != nil {
		t.Fatal(err)
	}
	sums := func(root string) string {
		t.Helper()
		dist := t.TempDir()
		if err := Build(t.Context(), "-root", root, "-dist", dist, "-platforms", "linux/amd64", "-version", "v1.2.3",
			"-commit", "0123", "-date", "2026-01-31T10:00:00Z"); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dist, "checksums.txt"))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	here, there := sums(root), sums(other)
	if here == "" || here != there {
		t.Errorf("the same source at another path gave other bytes:\n%s%s", here, there)
	}
}

// copySource copies what a build needs: Go files, what they embed, go.mod and go.sum, the licence and the template.
func copySource(from, to string) error {
	for _, dir := range []string{"plugin", "pkg", "manifests", "krew"} {
		if err := os.CopyFS(filepath.Join(to, dir), os.DirFS(filepath.Join(from, dir))); err != nil {
			return err
		}
	}
	for _, file := range []string{"go.mod", "go.sum", "LICENSE"} {
		b, err := os.ReadFile(filepath.Join(from, file))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, file), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}
