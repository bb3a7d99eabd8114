package sandbox_test

import (
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
	"github.com/xcpauth/kubectl-xcpauth/test/xcpsim"
)

// TestAFleetOfEveryShapeConnects starts all that may stand beside a hub and its edges at once, since starting is what
// costs.
func TestAFleetOfEveryShapeConnects(t *testing.T) {
	s, err := sandbox.Start(t.Context(), sandbox.Options{
		Edges: []string{"edge-1"}, HubIsEdge: true, Neighbours: map[string]string{"edge-1b": "edge-1"}, Standby: true,
		CertManager: true, Tctl: "v1.6.2", Dir: t.ArtifactDir(), Log: t.Output(),
		Cadence: xcpsim.Cadence{Push: 200 * time.Millisecond},
		Installation: xcpsim.Installation{ManagementPlaneNamespace: "tse", ControlPlaneName: "control-plane",
			CertWithoutHost: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	var sessions []string
	for _, session := range s.Sim.Sessions() {
		sessions = append(sessions, session.Member+"@"+session.Hub+"="+string(session.Credential))
	}
	slices.Sort(sessions)
	if want := []string{"edge-1@hub=mtls", "edge-1b@hub=mtls", "hub@hub=mtls", "mpc@hub=mtls",
		"mpc@standby=mtls"}; !slices.Equal(sessions, want) {
		t.Errorf("sessions %v, want %v", sessions, want)
	}
	for _, c := range []struct{ name, args, want string }{
		{"ControlPlanes of one cluster", "--context=edge-1 get controlplanes -A -o name",
			"controlplane.install.tetrate.io/control-plane controlplane.install.tetrate.io/control-plane"},
		{"ManagementPlanes of the standby", "--context=standby -n tse get managementplanes -o name",
			"managementplane.install.tetrate.io/managementplane"},
		{"names of Central's Certificate",
			"--context=hub -n tse get certificate xcp-central-cert -o jsonpath={.spec.dnsNames}", `["central.xcp.tetrate.io"]`},
	} {
		run := s.Kubectl(t.Context(), strings.Fields(c.args)...)
		if got := strings.Join(strings.Fields(run.Stdout), " "); run.Code != 0 || got != c.want {
			t.Errorf("%s: got %q, want %q; %s", c.name, got, c.want, run.Stderr)
		}
	}
	same := s.Kubectl(t.Context(), "--context=hub", "-n", "tse", "get", "secret", "xcp-central-cert",
		"-o=jsonpath={.data.ca\\.crt}").Stdout
	if other := s.Kubectl(t.Context(), "--context=standby", "-n", "tse", "get", "secret", "xcp-central-cert",
		"-o=jsonpath={.data.ca\\.crt}").Stdout; same == "" || other != same {
		t.Error("the standby's Central has another CA")
	}
	if n := len(s.Sim.Refusals()); n != 0 {
		t.Errorf("%d refusals", n)
	}
	tctlLeadsToTheHub(t, s)
}

func tctlLeadsToTheHub(t *testing.T, s *sandbox.Sandbox) {
	tctl := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), filepath.Join(s.BinDir(), "tctl"), args...)
		cmd.Env = s.Env()
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("tctl %v: %v", args, err)
		}
		return string(out)
	}
	if runs, err := s.TctlRuns(); err != nil || len(runs) != 0 {
		t.Errorf("before the first run: %v, %v", runs, err)
	}
	if got := tctl("config", "profiles", "get-current"); got != "default\n" {
		t.Errorf("the current profile is %q", got)
	}
	if err := s.TctlProfile(t.Context(), "other", "standby", "other.example.test:8443"); err != nil {
		t.Fatal(err)
	}
	tctl("install", "cluster-service-account", "--cluster=new")
	for context, want := range map[string]int{"hub": 1, "standby": 0} {
		if run := s.Kubectl(t.Context(), "--context="+context, "-n", "tse", "get", "clusters.xcp.tetrate.io",
			"new"); run.Code != want {
			t.Errorf("the new cluster in %s: exit %d, want %d: %s", context, run.Code, want, run.Stderr)
		}
	}
	runs, err := s.TctlRuns()
	if want := []string{"tctl", "install", "cluster-service-account", "--cluster=new"}; err != nil ||
		!reflect.DeepEqual(runs[len(runs)-1], want) {
		t.Errorf("the last run is %v, %v; want %v", runs, err, want)
	}
}
