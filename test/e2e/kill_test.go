package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/test/e2e/runs"
	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
	"github.com/xcpauth/kubectl-xcpauth/test/xcpsim"
)

// One run after the other is killed right after one kind of write; each goes on where the one before ended, and
// nobody is refused. Central's certificate is cert-manager's, lacks the name that the edges dial, and its pods keep
// what they began with.
func TestAKillAfterEachKindOfWrite(t *testing.T) {
	t.Parallel()
	f := start(t, sandbox.Options{CertManager: true, Installation: xcpsim.Installation{CertWithoutHost: true},
		Switches: xcpsim.Switches{CentralKeepsCert: true}})
	f.WereKilled(f.killer().AtEachKind(f.promiseKept, slices.Concat([]string{"migrate", "--cleanup"}, quick)...),
		"POST customresourcedefinitions/edgeclusters.xcpauth.io in hub", "POST edgeclusters/edge-1 in hub",
		"POST certificates/xcp-central-cert-xcpauth-rehearsal in hub", "PATCH certificates/xcp-central-cert in hub",
		"DELETE secrets/xcp-central-cert-xcpauth-rehearsal in hub", "PATCH deployments/central in hub",
		"PATCH managementplanes/managementplane in hub", "PATCH configmaps/xcpauth-journal in hub, in flight: canary",
		"POST secrets/xcp-central-ca-bundle in edge-1", "PATCH controlplanes/controlplane in edge-1",
		"PATCH edgeclusters/edge-1/status in hub",
		"PATCH configmaps/xcpauth-journal in hub, in flight: one edge connects again",
		"PATCH configmaps/xcpauth-journal in hub, in flight: the rest", "PATCH controlplanes/controlplane in edge-2",
		"PATCH configmaps/xcpauth-journal in hub, in flight: mTLS off")
	if got := f.hubModes(); got != `{"jwt":true,"mutualTls":false}` {
		t.Errorf("the hub's modes are %s", got)
	}
	for _, left := range []string{"certificates.cert-manager.io", "secrets"} {
		r := f.Kubectl(t.Context(), "--context", "hub", "-n", "tsb", "get", left, "-o", "name")
		for _, name := range []string{"rehearsal", "mpc-certs", "edge-cert"} {
			if r.Code != 0 || strings.Contains(r.Stdout, name) {
				t.Errorf("%s of the hub still have a %s:\n%s%s", left, name, r.Stdout, r.Stderr)
			}
		}
	}
	history := f.get("hub", "xcpauth-system", "configmap/xcpauth-journal", "{.data.history}")
	for _, said := range []string{`"wave":"canary"`, "interrupted; restored by", `"wave":"mTLS off"`,
		`"wave":"clean-up"`} {
		if !strings.Contains(history, said) {
			t.Errorf("the history does not say %s:\n%s", said, history)
		}
	}
}

// killer kills runs that reach all clusters as the tests do.
func (f fleet) killer() *runs.Killer {
	f.Helper()
	return f.NewKiller(f.Bed.Kubeconfig, f.Bed.Clusters())
}
