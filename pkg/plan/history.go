package plan

import (
	"slices"
	"strings"
)

// Unverified says whether the last wave with a step of a member ended without that step having been verified: the run
// was interrupted, or the step failed. Where the history tells of none, nothing is said.
func Unverified(history []WaveRecord, member string) bool {
	for _, past := range slices.Backward(history) {
		if slices.ContainsFunc(past.Steps, func(id string) bool { return strings.HasSuffix(id, "/"+member) }) {
			return past.Result != ResultVerified && (len(past.Failed) == 0 || slices.Contains(past.Failed, member))
		}
	}
	return false
}
