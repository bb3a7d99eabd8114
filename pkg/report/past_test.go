package report

import (
	"fmt"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbobjects"
)

// The roster has one statement of each member, the newest: its evidence goes with the one wave that it is of.
func TestEvidenceGoesWithTheWaveThatItIsOf(t *testing.T) {
	for name, tc := range map[string]struct {
		waves []plan.WaveRecord
		want  string // how many members have evidence, by wave
	}{
		"of the last of two that end together": {[]plan.WaveRecord{
			went(2, 100*time.Second, "canary", plan.ResultVerified, nil, "move/edge-eu"),
			went(1, time.Minute, "fences", plan.ResultVerified, nil, "fence/edge-eu", "fence/edge-us")}, "[0 2]"},
		"of none that ended long before": {[]plan.WaveRecord{
			went(90, time.Minute, "canary", plan.ResultVerified, nil, "move/edge-eu")}, "[0]"},
		"of none in which its step failed": {[]plan.WaveRecord{
			went(1, time.Minute, "canary", "put back", []string{"edge-eu"}, "move/edge-eu")}, "[0]"},
		"of none of a member that is gone": {[]plan.WaveRecord{
			went(1, time.Minute, "canary", plan.ResultVerified, nil, "move/edge-gone")}, "[0]"},
	} {
		t.Run(name, func(t *testing.T) {
			f := done()
			f.Hub.History = tc.waves
			var got []int
			for _, p := range past(f, render.NewHistory(f)) {
				got = append(got, len(p.Evidence))
			}
			if fmt.Sprint(got) != tc.want {
				t.Errorf("evidence %v, want %s", got, tc.want)
			}
		})
	}
	f := done()
	f.Hub.History = []plan.WaveRecord{{Wave: "forget", Ended: tsbobjects.Noon, Result: plan.ResultVerified}}
	if p := past(f, render.NewHistory(f))[0]; p.Took != "" || p.when() != "not known to 2026-01-02 12:00:00 UTC" {
		t.Errorf("a wave without a beginning took %q: %s", p.Took, p.when())
	}
}
