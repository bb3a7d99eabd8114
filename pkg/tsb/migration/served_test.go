package migration

import (
	"slices"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbfleet"
)

// Central is given time to serve a new certificate by itself. The time begins again when the certificate changes.
func TestCentralIsGivenTimeToServeItsCertificate(t *testing.T) {
	var now time.Time
	looks := func(d time.Duration, digest string, serves ...string) (all []plan.State) {
		f := tsbfleet.Fleet(guard.Yes, guard.Yes)
		f.Hub.Server.Digest = digest
		f.Hub.Workload.Processes = []plan.Process{{UID: "a", Started: true, Serves: &plan.Certificate{Names: serves}}}
		for end := now.Add(d); !now.After(end); now = now.Add(time.Second) {
			f.At = now
			all = append(all, f)
		}
		return all
	}
	const wanted = "central.example.com"
	quiet := quietFor(plan.Goal{})
	nearly := quiet - time.Second
	for name, tc := range map[string]struct {
		seen []plan.State
		met  bool
	}{
		"it serves it":                   {looks(0, "new", wanted), true},
		"not yet":                        {looks(nearly, "new", "old"), false},
		"it goes on with the old":        {looks(quiet, "new", "old"), true},
		"issued again meanwhile":         {slices.Concat(looks(nearly, "new", "old"), looks(0, "newer", "old")), false},
		"and for long enough after that": {slices.Concat(looks(nearly, "new", "old"), looks(quiet, "newer", "old")), true},
	} {
		if e := certificateServed("hub", []string{wanted}, plan.Goal{}).Evaluate(plan.State{}, tc.seen...); e.Met != tc.met {
			t.Errorf("%s: %+v, want %v", name, e, tc.met)
		}
	}
}
