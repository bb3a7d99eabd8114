package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/test/e2e/runs"
	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
	"github.com/xcpauth/kubectl-xcpauth/test/xcpsim"
)

// A second run is refused with the name of the first; a dead one's lock is taken over; a saved plan is held to; what
// fails within --max-failures is put back and the others go on.
func TestRunsAreOneAtATimeAndHeldToWhatWasAsked(t *testing.T) {
	t.Parallel()
	f := start(t, sandbox.Options{Cadence: xcpsim.Cadence{Push: 200 * time.Millisecond, TokenTTL: 15 * time.Second,
		TokenRenew: 2 * time.Second}}) // a token outlives the wave that is to fail
	f.stuck("edge-1")

	first := f.Command(t.Context(), append([]string{"xcpauth", "migrate"}, quick...)...)
	begun := make(chan struct{})
	first.Stderr = runs.NewWatcher(t, "edge-1: waiting", func() { close(begun) })
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	<-begun
	second := f.migrate(5)
	if !strings.Contains(second.Stderr, "another run is at work") || !strings.Contains(second.Stderr, "/") {
		t.Errorf("the second run is told\n%s", second.Stderr)
	}
	first.Process.Signal(syscall.SIGKILL)
	first.Wait()

	// takes the dead run's lock over
	limited := f.migrate(4, "--prove-within", "12s", "--max-failures", "1", "--to=edges", "--hasty-canary", "-o", "json")
	rows := f.Rows(limited.Stdout)
	f.Is(rows, "edge-1", "state", "failed")
	f.Is(rows, "edge-2", "state", "changed")
	if got := f.edgeMode("edge-1") + f.edgeMode("edge-2"); got != "MUTUAL_TLSJWT" {
		t.Errorf("the edges are at %s", got)
	}
	f.free("edge-1")

	kept := filepath.Join(t.TempDir(), "plan.json")
	f.Xcpauth(0, "plan", "--to=edges", "--out", kept)
	if info, err := os.Stat(kept); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the saved plan: %v, %v", info, err)
	}
	f.patch("edge-1", "istio-system", "controlplane/controlplane",
		`{"spec":{"components":{"xcp":{"centralAuthMode":null}}}}`)
	stale := f.Xcpauth(5, "migrate", "-y", "--poll", "100ms", "--plan", kept)
	if !strings.Contains(stale.Stderr, "the saved plan is stale: move/edge-1 would now replace other values") {
		t.Errorf("a stale plan is told\n%s", stale.Stderr)
	}
	f.patch("edge-1", "istio-system", "controlplane/controlplane",
		`{"spec":{"components":{"xcp":{"centralAuthMode":"MUTUAL_TLS"}}}}`)
	f.Xcpauth(0, "migrate", "-y", "--poll", "100ms", "--plan", kept)
	if got := f.edgeMode("edge-1"); got != "JWT" {
		t.Errorf("edge-1 is at %s", got)
	}

	// somebody else's process on another machine, which renews its lock no more
	f.patch("hub", "xcpauth-system", "lease/xcpauth",
		`{"spec":{"holderIdentity":"ann@elsewhere/1","acquireTime":"2026-01-02T12:00:00.000000Z"}}`)
	if held := f.migrate(5); !strings.Contains(held.Stderr,
		"ann@elsewhere/1 holds the lock in hub since 2026-01-02T12:00:00.000000Z") {
		t.Errorf("the lock's holder is not named:\n%s", held.Stderr)
	}
	f.every(time.Second, "a lock that nobody renews is taken over", func() bool {
		return f.Kubectl(f.Context(), append([]string{"xcpauth", "migrate", "--to=edges"}, quick...)...).Code == 0
	})
}
