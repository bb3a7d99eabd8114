package e2e

import (
	"strings"
	"testing"

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
	before := ""
	for _, said := range []string{
		"wrote CustomResourceDefinition",
		"wrote EdgeCluster xcpauth-system/edge-1",
		"wrote Certificate tsb/xcp-central-cert-xcpauth-rehearsal", // asked for
		"wrote Certificate tsb/xcp-central-cert in",
		"wrote Secret tsb/xcp-central-cert-xcpauth-rehearsal", // deleted
		"wrote Deployment tsb/central",                        // for the certificate
		"wrote ManagementPlane",                               // both modes on
		"wave: canary",                                        // the journal, and nothing else yet
		"wrote Secret istio-system/xcp-central-ca-bundle",
		"wrote ControlPlane istio-system/controlplane in edge-1",
		"edge-1: verified: EdgeXcp says JWT", // the statement, and not the end of the wave in the journal
		"edge-1: waiting: a token lives",
		"wrote Deployment tsb/central", // so that the canary connects again
		"wrote ControlPlane istio-system/controlplane in edge-2",
		"wrote ValidatingAdmissionPolicy xcpauth-fence in edge-1",
		"wrote ValidatingAdmissionPolicyBinding xcpauth-fence in edge-1",
		"wrote ManagementPlane", // mTLS off
		"wrote Certificate tsb/",
		"wrote Secret istio-system/xcp-edge-cert",
	} {
		if strings.Contains(before, said) || f.wasFaster(said) {
			continue // the run before was killed after that write too
		}
		before = f.killedAt(said, "migrate", "--cleanup")
		if strings.Contains(said, "ControlPlane") {
			f.promiseKept()
		}
	}
	f.migrate(0, "--cleanup")
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

// wasFaster says whether the run before has done already, before its kill arrived, what the next was to be killed at.
func (f fleet) wasFaster(said string) bool {
	there := func(context, ns, name string) bool {
		return f.Kubectl(f.Context(), "--context", context, "-n", ns, "get", "secret", name).Code == 0
	}
	switch said {
	case "wrote Secret tsb/xcp-central-cert-xcpauth-rehearsal":
		return !there("hub", "tsb", "xcp-central-cert-xcpauth-rehearsal")
	case "wrote ValidatingAdmissionPolicyBinding xcpauth-fence in edge-1":
		return f.Kubectl(f.Context(), "--context", "edge-1", "get", "validatingadmissionpolicybinding",
			"xcpauth-fence").Code == 0
	case "wrote Secret istio-system/xcp-central-ca-bundle":
		return there("edge-1", "istio-system", "xcp-central-ca-bundle")
	}
	return false
}
