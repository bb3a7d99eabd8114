package migration

import (
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbfleet"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbobjects"
)

// An edge's pod started at noon with a token of that minute, which lives for an hour. Nothing may say that it has
// outlived it before that.
func TestATokenIsOutlivedNoSoonerThanItExpires(t *testing.T) {
	at := func(minutes int) time.Time { return tsbobjects.Noon.Add(time.Duration(minutes) * time.Minute) }
	for _, tc := range []struct {
		name            string
		issued, written int // the token that lies there: minutes after noon
		created, since  int // the pod, and by its node's clock its container
		ours            int // this machine's clock
		skew            int // of the API server's clock to it
		want            bool
	}{
		{"renewed, and an hour has passed", 50, 50, 0, 0, 62, 0, true},
		{"renewed, and no hour has passed", 50, 50, 0, 0, 58, 0, false},
		{"not renewed, and written again for the sake of something else", 0, 50, 0, 0, 55, 0, false},
		{"not renewed, and written again at the last moment", 0, 59, 0, 0, 59, 0, false},
		{"a node's clock that is behind: the token is the one that the pod began with", 0, 0, 0, -10, 55, 0, false},
		{"this machine's clock is ahead", 50, 50, 0, 0, 62, -10, false},
		{"this machine's clock is behind: it waits longer", 50, 50, 0, 0, 55, 10, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			objects := tsbobjects.OnJWT("eu")
			for _, o := range objects {
				if o["kind"] == "Pod" {
					o["metadata"].(apifake.Object)["creationTimestamp"] = at(tc.created).Format(time.RFC3339)
					o["status"].(apifake.Object)["containerStatuses"] = []any{apifake.Object{"state": apifake.Object{"running": apifake.Object{"startedAt": at(tc.since).Format(time.RFC3339)}}}}
				}
			}
			token := apifake.Secret("istio-system", state.SecretToken, map[string]string{"jwt": tsbobjects.Hourly(t,
				at(tc.issued))})
			token["metadata"].(apifake.Object)["managedFields"] = []any{apifake.Object{"time": at(tc.written).Format(time.RFC3339), "fieldsV1": apifake.Object{"f:data": apifake.Object{"f:jwt": apifake.Object{}}}}}
			s := tsbfleet.Snapshot("eu", append(objects, token, apifake.Secret("istio-system", state.SecretServiceAccount,
				map[string]string{"jwk": "{}"}))...)
			skew := time.Duration(tc.skew) * time.Minute
			s.Skew = &skew
			m := state.ReadState([]plan.Snapshot{tsbfleet.Snapshot("hub", apifake.Hub("eu")...), s}, plan.Selection{},
				at(tc.ours)).Member("eu")
			if m == nil || m.Rotation.Static || m.Rotation.Seen != tc.want {
				t.Errorf("outlived: %+v, want %v", m.Rotation, tc.want)
			}
		})
	}
}
