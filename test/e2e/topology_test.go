package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
	"github.com/xcpauth/kubectl-xcpauth/test/xcpsim"
)

// The management plane's own cluster is an edge too, another cluster has two ControlPlanes, their names and
// namespaces are not the usual ones, and a second management plane stands by: all are moved, and in the end the edges
// can fail over.
func TestAFleetOfEveryShape(t *testing.T) {
	t.Parallel()
	f := start(t, sandbox.Options{Edges: []string{"edge-1"}, HubIsEdge: true,
		Neighbours: map[string]string{"edge-1b": "edge-1"}, Standby: true,
		Installation: xcpsim.Installation{ManagementPlaneNamespace: "tse", ManagementPlaneName: "mp",
			ControlPlaneName: "control-plane"}})
	two := f.Xcpauth(1, "status")
	for _, said := range []string{"2 ManagementPlanes found: tse/mp in hub, tse/mp in standby", "--context", "--standby"} {
		if !strings.Contains(two.Stderr, said) {
			t.Errorf("two management planes are not told by %q:\n%s", said, two.Stderr)
		}
	}
	rows := f.Rows(f.migrate(0, "--context", "hub", "--standby", "standby", "-o", "json").Stdout)
	for _, member := range []string{"hub", "standby", "edge-1", "edge-1b", "hub-hub"} {
		f.Is(rows, member, "state", "changed")
	}
	for _, member := range []string{"mpc", "mpc-standby"} {
		f.Is(rows, member, "state", "ok")
	}
	for _, hub := range []string{"hub", "standby"} {
		if got := f.get(hub, "tse", "managementplane/mp",
			"{.spec.components.xcp.centralAuthModes}"); got != `{"jwt":true,"mutualTls":false}` {
			t.Errorf("%s accepts %s", hub, got)
		}
	}

	f.Sim.FailOver("standby")
	if r := f.Kubectl(t.Context(), "--context", "edge-1", "-n", "istio-system", "rollout", "restart",
		"deployment/edge"); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	f.eventually("edge-1 is connected to the standby", func() bool {
		return slices.ContainsFunc(f.Sim.Sessions(), func(s xcpsim.Session) bool {
			return s.Member == "edge-1" && s.Hub == "standby" && s.Credential == xcpsim.JWT
		})
	})
}

// cert-manager re-issues Central's certificate with one more name while an edge with a certificate and an edge with a
// JWT are connected: neither is refused and neither refuses, the secret is never gone, and it keeps its CA.
func TestCentralsCertificateIsReissuedUnderBothTrusts(t *testing.T) {
	t.Parallel()
	f := start(t, sandbox.Options{CertManager: true})
	f.migrate(4, "--to=edges", "--contexts", "^edge-2", "--hasty-canary")
	for edge, want := range map[string]xcpsim.Credential{"edge-1": xcpsim.JWT, "edge-2": xcpsim.MTLS} {
		if got := f.presents(edge); !slices.Equal(got, []xcpsim.Credential{want}) {
			t.Fatalf("%s presents %v, want %s", edge, got, want)
		}
	}
	secret := func(jsonpath string) string { return f.get("hub", "tsb", "secret/xcp-central-cert", jsonpath) }
	uid, ca, leaf := secret("{.metadata.uid}"), secret(`{.data.ca\.crt}`), secret(`{.data.tls\.crt}`)

	f.migrate(0, "--to=dual", "--central-name", "extra.example.test,198.51.100.7")
	if secret("{.metadata.uid}") != uid || secret(`{.data.ca\.crt}`) != ca {
		t.Error("the secret of Central's certificate was deleted, or has another CA")
	}
	if secret(`{.data.tls\.crt}`) == leaf {
		t.Error("the certificate was not issued again")
	}
	if got := f.get("hub", "tsb", "certificate/xcp-central-cert",
		"{.spec.dnsNames}{.spec.ipAddresses}"); !strings.Contains(got, "extra.example.test") ||
		!strings.Contains(got, "198.51.100.7") {
		t.Errorf("the Certificate asks for %s", got)
	}
	f.migrate(0)
}
