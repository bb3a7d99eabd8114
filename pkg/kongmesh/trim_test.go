package kongmesh_test

import (
	"reflect"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// What is kept of each body makes the same facts as all of it, and is a small part of what is large in life.
func TestWhatIsTrimmedIsNotRead(t *testing.T) {
	good := token(t, "west", nil)
	ca, caPEM := certificate(t, nil, 0)
	_, leaf := certificate(t, ca, 0, dialled)
	trusting := fleet{"global": withFile(mesh(good)["global"], serverCert, "kds-server", &leaf),
		"west": withFile(append(apifake.Zone("2.13.10", "west", apifake.SecretVariable(oldInline, "cp-token", "token"),
			apifake.Variable(rootCA, zoneCA)), apifake.TokenSecret("cp-token", good)), zoneCA, "kds-client", &caPEM)}
	for name, fl := range map[string]fleet{"no token": mesh(""), "a token": mesh(good), "files": trusting,
		"a list": pruning(revokedID(1), good)} {
		for _, objects := range fl { // what is large in life
			for _, o := range objects {
				switch o["kind"] {
				case "Pod", "ReplicaSet":
					o["metadata"].(apifake.Object)["annotations"] = apifake.Object{"large": good}
				}
			}
		}
		for what, d := range map[string]plan.Provider{"facts": kongmesh.Provider(), "inspection": kongmesh.CheckProvider()} {
			kept, all := 0, 0
			trim := d.Trim
			d.Trim = func(r plan.Read, body []byte) []byte {
				left := trim(r, body)
				kept, all = kept+len(left), all+len(body)
				return left
			}
			trimmed := fl.facts(t, d, nil)
			d.Trim = func(_ plan.Read, body []byte) []byte { return body }
			if whole := fl.facts(t, d, nil); !reflect.DeepEqual(trimmed, whole) {
				t.Errorf("%s of %s: trimmed\n%+v\nand whole\n%+v", what, name, trimmed, whole)
			}
			if kept >= all {
				t.Errorf("%s of %s: %d of %d bytes are kept", what, name, kept, all)
			}
		}
	}
}
