package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/test/release"
	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
)

func TestWhatKrewInstallsShowsTheStatusOfAFleet(t *testing.T) {
	t.Parallel()
	f := start(t, sandbox.Options{})
	bin, err := release.KrewInstall(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(f.Bed.Bin, "kubectl"), "xcpauth", "status")
	for _, kv := range f.Env() {
		if !strings.HasPrefix(kv, "PATH=") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	// not the sandbox's own build of it
	cmd.Env = append(cmd.Env, "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, row := range []string{"hub ", "edge-1 ", "edge-2 ", "mpc "} {
		if !strings.Contains(string(out), "\n"+row) {
			t.Errorf("no row for %s:\n%s", row, out)
		}
	}
}
