package e2e

import (
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
	"github.com/xcpauth/kubectl-xcpauth/test/xcpsim"
)

// ending is where a migration ends with a product that is not kind.
type ending struct {
	code  int
	modes string // what the hub accepts in the end
	edge  string // what edge-1 is set to
}

var (
	reached = ending{0, `{"jwt":true,"mutualTls":false}`, "JWT"}
	// putBack: an edge that goes on with its first token is found out by the canary, which is put back.
	putBack = ending{4, `{"jwt":true,"mutualTls":true}`, "MUTUAL_TLS"}
	// staysOpen: MPC goes on presenting a certificate, so mTLS stays on.
	staysOpen = ending{4, `{"jwt":true,"mutualTls":true}`, "JWT"}
)

// Whatever the vendor leaves open, nobody is refused but the canary for its own token: fleet_test.go looks at every
// dial.
func TestEachSwitchAloneAndAllAtOnce(t *testing.T) {
	t.Parallel()
	others := map[string]ending{"no hot reload": putBack, "mpc prefers mtls": staysOpen}
	all := append(xcpsim.Alone(), xcpsim.NamedSwitches{Name: "all kind"},
		xcpsim.NamedSwitches{Name: "all hostile", Switches: xcpsim.AllHostile()})
	others["all hostile"] = putBack
	for _, s := range all {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			want, other := others[s.Name]
			if !other {
				want = reached
			}
			f := start(t, sandbox.Options{Edges: []string{"edge-1"}, Switches: s.Switches})
			f.unset(s.Switches)
			if s.Switches.NoHotReload {
				f.mayBeRefused["edge-1"] = true
			}
			var within []string
			if want.code != 0 { // a step of it fails once its time is over
				within = []string{"--prove-within", "45s"}
			}
			f.migrate(want.code, within...)
			if got := f.hubModes(); got != want.modes {
				t.Errorf("the hub's modes are %s, want %s", got, want.modes)
			}
			if got := f.edgeMode("edge-1"); got != want.edge {
				t.Errorf("edge-1 is set to %s, want %s", got, want.edge)
			}
		})
	}
}

// unset takes away what a CR says, where the product under test means by that what is connected.
func (f fleet) unset(s xcpsim.Switches) {
	f.Helper()
	if s.HubUnset == xcpsim.UnsetMTLS {
		f.patch("hub", "tsb", "managementplane/managementplane", `{"spec":{"components":{"xcp":{"centralAuthModes":null}}}}`)
	}
	if s.EdgeUnset == xcpsim.UnsetMTLS {
		f.patch("edge-1", "istio-system", "controlplane/controlplane",
			`{"spec":{"components":{"xcp":{"centralAuthMode":null}}}}`)
	}
}

// patch is a merge patch by somebody else.
func (f fleet) patch(context, ns, object, doc string, more ...string) {
	f.Helper()
	if r := f.Kubectl(f.Context(), append([]string{"--context", context, "-n", ns, "patch", object, "--type=merge", "-p",
		doc}, more...)...); r.Code != 0 {
		f.Fatalf("patching %s of %s: %s", object, context, r.Stderr)
	}
}
