package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/test/e2e/runs"
	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
	"github.com/xcpauth/kubectl-xcpauth/test/xcpsim"
)

// A run that ends before Central has taken both modes over leaves them declared: the next verifies that before any edge
// moves.
func TestBothModesLeftUnprovedAreProvedBeforeTheCanaryMoves(t *testing.T) {
	t.Parallel()
	// MPC would follow the modes, and not Central's pods
	f := start(t, sandbox.Options{Switches: xcpsim.Switches{MPCPrefersMTLS: true}})
	// a pod counts once it was ready for so many seconds
	available := func(after string) {
		t.Helper()
		patch := `{"spec":{"minReadySeconds":` + after + `}}`
		if r := f.Kubectl(t.Context(), "--context", "hub", "-n", "tsb", "patch", "deployment", "central", "--type=merge",
			"-p", patch); r.Code != 0 {
			t.Fatal(r.Stderr)
		}
	}
	available("300")
	f.migrate(4, "--prove-within", "2s") // both modes are written, and kept; Central's rollout does not end
	if got := f.hubModes(); got != `{"jwt":true,"mutualTls":true}` {
		t.Fatalf("the hub's modes are %s: the run ended too early for this test", got)
	}

	rows := f.Rows(f.migrate(4, "-o", "json", "--prove-within", "4s").Stdout)
	f.Is(rows, "hub", "state", "failed")
	f.Is(rows, "edge-1", "state", "not attempted")
	for _, edge := range []string{"edge-1", "edge-2"} {
		if got := f.edgeMode(edge); got != "MUTUAL_TLS" {
			t.Errorf("%s was moved to %s before Central was verified to accept that", edge, got)
		}
	}

	available("0")
	rows = f.Rows(f.migrate(4, "-o", "json", "--prove-within", "25s").Stdout)
	for member, want := range map[string]string{"edge-1": "changed", "edge-2": "changed", "mpc": "failed"} {
		f.Is(rows, member, "state", want)
	}
}

// A killed run's edge is not stated by a colleague, who is told whose it is. One that was stated all the same, by a
// release that did not look, and is put back by a run that is killed in its turn, is not stated any more: the webhook
// would believe it.
func TestARestoredEdgeHasNoStatementLeft(t *testing.T) {
	t.Parallel()
	f := start(t, sandbox.Options{Edges: []string{"edge-1"}, Webhook: true})
	killAt := func(text string) {
		t.Helper()
		cmd := f.Command(t.Context(), append([]string{"xcpauth", "migrate"}, quick...)...)
		cmd.Stderr = runs.NewWatcher(t, text, func() { cmd.Process.Signal(syscall.SIGKILL) })
		if err := cmd.Run(); err == nil {
			t.Fatal("the killed run ended well")
		}
	}
	stated := func() string {
		return f.get("hub", "xcpauth-system", "edgecluster/edge-1", "{.status.presents}")
	}
	f.stuck("edge-1")
	killAt("edge-1: waiting")
	f.free("edge-1")
	refused := f.Xcpauth(4, "edge", "publish", "edge-1", "--poll", "100ms", "--prove-within", "20s")
	if text := strings.Join(strings.Fields(refused.Stdout), " "); !strings.Contains(text,
		`it is in flight, so what is verified of it may be taken back: the wave "canary"`) || stated() != "" {
		t.Errorf("the roster states %q of edge-1, and the colleague is told\n%s", stated(), refused.Stdout)
	}
	now := time.Now().UTC()
	f.patch("hub", "xcpauth-system", "edgecluster/edge-1",
		fmt.Sprintf(`{"status":{"presents":["jwt"],"observedTime":%q,"validUntil":%q,"controlPlaneUID":%q}}`,
			now.Format(time.RFC3339), now.Add(10*time.Minute).Format(time.RFC3339), f.get("edge-1", "istio-system",
				"controlplane/controlplane", "{.metadata.uid}")), "--subresource=status")

	killAt("edge-1: restored as it was")
	f.eventually("edge-1 presents its certificate again", func() bool {
		return slices.Equal(f.presents("edge-1"), []xcpsim.Credential{xcpsim.MTLS})
	})
	if got := stated(); got != "" {
		t.Errorf("the roster still states %s of edge-1", got)
	}
	if denied := f.Kubectl(t.Context(), tooEarly...); denied.Code == 0 || !strings.Contains(denied.Stderr, "- edge-1: ") {
		t.Errorf("the edit that would cut edge-1 off ended with %d: %s", denied.Code, denied.Stderr)
	}
}

// A ControlPlane that is deleted and made again has another UID than the roster's entry says: that is renewed once,
// and the edge verified once.
func TestARecreatedControlPlaneIsProvedOnceAndTheGoalReached(t *testing.T) {
	t.Parallel()
	f := start(t, sandbox.Options{Edges: []string{"edge-1"}})
	f.migrate(4, "--prove-within", "1ms") // registers, and gets no further

	var plane map[string]any
	r := f.Kubectl(t.Context(), "--context", "edge-1", "-n", "istio-system", "get", "controlplane",
		"controlplane", "-o", "yaml")
	if err := yaml.Unmarshal([]byte(r.Stdout), &plane); err != nil || r.Code != 0 {
		t.Fatal(err, r.Stderr)
	}
	was := f.get("edge-1", "istio-system", "controlplane/controlplane", "{.metadata.uid}")
	plane["metadata"] = map[string]any{"name": "controlplane", "namespace": "istio-system"}
	text, err := yaml.Marshal(plane)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "controlplane.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := f.Kubectl(t.Context(), "--context", "edge-1", "replace", "--force", "-f", file); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	now := f.get("edge-1", "istio-system", "controlplane/controlplane", "{.metadata.uid}")
	if now == was {
		t.Fatal("the ControlPlane was not made again")
	}

	done := f.migrate(0)
	if n := strings.Count(done.Stderr, ": register ("); n != 1 {
		t.Errorf("registered %d times\n%s", n, done.Stderr)
	}
	if n := strings.Count(done.Stderr, ": verify what is set to JWT already ("); n > 1 {
		t.Errorf("edge-1 was verified %d times over\n%s", n, done.Stderr)
	}
	if got := f.get("hub", "xcpauth-system", "edgecluster/edge-1",
		"{.spec.controlPlane.uid} {.status.controlPlaneUID}"); got != now+" "+now {
		t.Errorf("the roster's entry is about %s, want %s", got, now)
	}
}
