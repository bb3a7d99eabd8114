package migration

import (
	"slices"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbfleet"
)

// Central is given time to serve a new certificate by itself. The time begins again when the certificate changes.
func TestCentralIsGivenTimeToServeItsCertificate(t *testing.T) {
	looks := func(n int, digest string, serves ...string) []plan.State {
		f := tsbfleet.Fleet(guard.Yes, guard.Yes)
		f.Hub.Server.Digest = digest
		f.Hub.Workload.Processes = []plan.Process{{UID: "a", Started: true, Serves: &plan.Certificate{Names: serves}}}
		return slices.Repeat([]plan.State{f}, n)
	}
	const wanted = "central.example.com"
	for name, tc := range map[string]struct {
		seen []plan.State
		met  bool
	}{
		"it serves it":            {looks(1, "new", wanted), true},
		"not yet":                 {looks(quietPolls-1, "new", "old"), false},
		"it goes on with the old": {looks(quietPolls, "new", "old"), true},
		"issued again meanwhile": {slices.Concat(looks(quietPolls-1, "new", "old"), looks(1, "newer", "old")),
			false},
		"and for long enough after that": {slices.Concat(looks(2, "new", "old"), looks(quietPolls, "newer", "old")), true},
	} {
		if e := certificateServed("hub", []string{wanted}).Evaluate(plan.State{}, tc.seen...); e.Met != tc.met {
			t.Errorf("%s: %+v, want %v", name, e, tc.met)
		}
	}
}
