package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
	"github.com/xcpauth/kubectl-xcpauth/test/xcpsim"
)

func (f fleet) rollback(code int, args ...string) sandbox.Run {
	f.Helper()
	return f.Xcpauth(code, append(append([]string{"rollback"}, quickBack...), args...)...)
}

// backOnMTLS fails unless every edge presents its certificate alone, and the hub accepts that.
func (f fleet) backOnMTLS(edges ...string) {
	f.Helper()
	if got := f.hubModes(); !strings.Contains(got, `"mutualTls":true`) {
		f.Errorf("the hub's modes are %s", got)
	}
	for _, edge := range edges {
		if got := f.presents(edge); !slices.Equal(got, []xcpsim.Credential{xcpsim.MTLS}) {
			f.Errorf("%s presents %v, want its certificate alone", edge, got)
		}
		if got := f.edgeMode(edge); got != "MUTUAL_TLS" {
			f.Errorf("%s is set to %s", edge, got)
		}
	}
}

// After each stage the way back leads to where it began, and forward again from there.
func TestRollbackAfterEachStage(t *testing.T) {
	t.Parallel()
	f := start(t, sandbox.Options{Webhook: true})
	nothing := f.rollback(0)
	if !strings.Contains(nothing.Stdout, "nothing to do") {
		t.Errorf("a rollback of nothing says\n%s", nothing.Stdout)
	}
	f.migrate(0, "--to=dual")
	f.backOnMTLS("edge-1", "edge-2")
	r := f.rollback(0)
	if !strings.Contains(r.Stdout, `centralAuthModes was {"mutualTls":true} originally`) &&
		!strings.Contains(r.Stdout, "originally") {
		t.Errorf("the rollback does not say in what the hub differs from before:\n%s", r.Stdout)
	}

	f.migrate(0, "--to=edges", "--hasty-canary")
	for _, edge := range []string{"edge-1", "edge-2"} {
		if got := f.edgeMode(edge); got != "JWT" {
			t.Fatalf("%s is set to %s", edge, got)
		}
	}
	f.rollback(0, "--edge", "edge-2")
	f.backOnMTLS("edge-2")
	if got := f.edgeMode("edge-1"); got != "JWT" {
		t.Errorf("edge-1 is set to %s: one edge was to go back", got)
	}
	f.rollback(0)
	f.backOnMTLS("edge-1", "edge-2")
	if denied := f.Kubectl(t.Context(), tooEarly...); denied.Code == 0 {
		t.Error("after the rollback mTLS can be turned off")
	}

	f.migrate(0)
	if got := f.hubModes(); got != `{"jwt":true,"mutualTls":false}` {
		t.Fatalf("the hub's modes are %s", got)
	}
	tried := f.Xcpauth(0, "rollback", "--dry-run=server") // its fences deny what a rollback writes once they are gone
	if said := strings.Join(strings.Fields(tried.Stdout), " "); !strings.Contains(said,
		"its fence denies it, and is removed before it") {
		t.Errorf("a rollback that is tried says\n%s", tried.Stdout)
	}
	// its fence is removed, and nothing else yet
	back := slices.Concat([]string{"rollback"}, quickBack)
	killer := f.killer()
	killer.At("DELETE validatingadmissionpolicybindings/xcpauth-fence in edge-1", back...)
	f.rollback(0, "--wave-size", "1")
	f.backOnMTLS("edge-1", "edge-2")

	f.migrate(0, "--to=edges", "--hasty-canary")
	killer.At("PATCH edgeclusters/edge-1/status in hub", back...) // the statement is taken back
	killer.At("PATCH controlplanes/controlplane in edge-1", back...)
	f.rollback(0)
	f.backOnMTLS("edge-1", "edge-2")
}

// After the clean-up there is no way back, which is said and not tried.
func TestTheCleanUpEndsTheWayBack(t *testing.T) {
	t.Parallel()
	f := start(t, sandbox.Options{Edges: []string{"edge-1"}})
	f.migrate(0, "--cleanup")
	for _, gone := range [][2]string{{"edge-1", "istio-system/xcp-edge-cert"}, {"hub", "tsb/mpc-certs"}} {
		ns, name, _ := strings.Cut(gone[1], "/")
		if r := f.Kubectl(t.Context(), "--context", gone[0], "-n", ns, "get", "secret", name); r.Code == 0 {
			t.Errorf("secret %s of %s is still there", gone[1], gone[0])
		}
	}
	refused := f.rollback(5)
	if text := strings.Join(strings.Fields(refused.Stdout), " "); !strings.Contains(text,
		"the way back needs its certificate") || !strings.Contains(text, "tctl install cluster-certs --cluster edge-1") {
		t.Errorf("the rollback says\n%s", refused.Stdout)
	}
	if got := f.hubModes(); got != `{"jwt":true,"mutualTls":false}` {
		t.Errorf("the refused rollback left the hub at %s", got)
	}
	f.migrate(0, "--cleanup")
}
