package plan

import (
	"testing"
)

// A wave that nobody saw through leaves its members to be verified; one that failed, those that it failed for.
func TestWhatWasNotSeenThroughIsUnverified(t *testing.T) {
	wave := func(result string, failed []string, steps ...string) WaveRecord {
		return WaveRecord{Result: result, Failed: failed, Steps: steps}
	}
	interrupted := wave("interrupted; restored by ann", nil, "return/east", "return/west")
	for _, tc := range []struct {
		name    string
		history []WaveRecord
		want    bool
	}{
		{"none that is known", nil, false},
		{"verified", []WaveRecord{wave(ResultVerified, nil, "return/west")}, false},
		{"interrupted", []WaveRecord{interrupted}, true},
		{"verified by the next run", []WaveRecord{interrupted, wave(ResultVerified, nil, "prove/west")}, false},
		{"another's was verified by the next run", []WaveRecord{interrupted,
			wave(ResultVerified, nil, "prove/east")}, true},
		{"failed", []WaveRecord{wave("1 of 2 failed", []string{"west"}, "return/east", "return/west")}, true},
		{"another failed", []WaveRecord{wave("1 of 2 failed", []string{"east"}, "return/east", "return/west")}, false},
	} {
		if got := Unverified(tc.history, "west"); got != tc.want {
			t.Errorf("%s: unverified is %v", tc.name, got)
		}
	}
}
