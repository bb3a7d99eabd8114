package inspect

import (
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbfleet"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbobjects"
)

// Whose an edge is depends on who signed, never on when: else an edge of this hub would be called another's, and its
// owner told to delete it.
func TestAnEdgeIsNoOtherHubsForACertificatesTimes(t *testing.T) {
	ours, theirs := tsbobjects.NewCA(t, "a CA"), tsbobjects.NewCA(t, "a CA")
	leaf := string(ours.Leaf("tsb.example.test"))
	for _, tc := range []struct {
		name      string
		ca        []byte
		at        time.Time
		elsewhere bool
		distrust  int
	}{
		{"the CA that signed it", ours.PEM, tsbobjects.Noon, false, 0},
		{"that CA renewed under its own key, after the leaf was issued", ours.Renewed(tsbobjects.Noon.Add(-time.Minute)),
			tsbobjects.Noon, false, 0},
		{"that CA renewed after the leaf had expired", ours.Renewed(tsbobjects.Noon.Add(2 * time.Hour)),
			tsbobjects.Noon.Add(150 * time.Minute), false, 2},
		{"the leaf has expired", ours.PEM, tsbobjects.Noon.Add(3 * time.Hour), false, 0},
		{"another CA of the same name", theirs.PEM, tsbobjects.Noon, true, 0},
	} {
		hub := tsbfleet.Snapshot("hub", append(apifake.Hub("eu"),
			apifake.Secret("tsb", state.SecretCentralCert, map[string]string{"tls.crt": leaf, "ca.crt": string(tc.ca)}))...)
		edge := tsbfleet.Snapshot("eu", append(apifake.Edge("eu"),
			apifake.Secret("istio-system", state.SecretEdgeCert, map[string]string{"tls.crt": leaf,
				"ca.crt": string(tc.ca)}))...)
		f := checkState([]plan.Snapshot{hub, edge}, plan.Selection{}, tc.at)
		m := f.Member("eu")
		if m == nil {
			t.Errorf("%s: no member eu", tc.name)
			continue
		}
		if got := m.Err != "" || m.Object.Name == ""; got != tc.elsewhere {
			t.Errorf("%s: another hub's: %v, want %v: %s", tc.name, got, tc.elsewhere, m.Err)
		}
		if m.Inspection != nil && len(m.Inspection.Distrust) != tc.distrust {
			t.Errorf("%s: %d reasons to refuse, want %d: %+v", tc.name, len(m.Inspection.Distrust), tc.distrust,
				m.Inspection.Distrust)
		}
	}
}
