package report

import (
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbfleet"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbobjects"
)

// Unknown is never drawn as connected.
func TestAMemberIsDrawnAsItIsKnownToBe(t *testing.T) {
	edge := func(change func(*plan.Member)) plan.Member {
		m := tsbfleet.Edge("edge-1", state.JWT)
		m.Workload.Processes = []plan.Process{{Name: "edge-1-a", Ready: true, Presents: state.JWT}}
		change(&m)
		return m
	}
	for name, tc := range map[string]struct {
		m         plan.Member
		sessions  []plan.Session // nil: the hub does not tell of sessions
		connected guard.Tri
	}{
		"its pods are ready, and nothing tells": {m: edge(func(*plan.Member) {}), connected: guard.Unknown},
		"verified":                              {m: tsbfleet.Verified(edge(func(*plan.Member) {})), connected: guard.Yes},
		"verified too long ago": {m: edge(func(m *plan.Member) {
			*m = tsbfleet.Verified(*m)
			m.Statement.Until = tsbobjects.Noon
		}), connected: guard.Unknown},
		"no pod is ready": {m: edge(func(m *plan.Member) { m.Workload.Processes[0].Ready = false }), connected: guard.No},
		"the hub has just heard of it": {m: edge(func(m *plan.Member) { m.LastEvent = tsbobjects.Noon.Add(-time.Minute) }),
			connected: guard.Yes},
		"the hub heard of it yesterday": {m: edge(func(m *plan.Member) {
			m.LastEvent = tsbobjects.Noon.Add(-24 * time.Hour)
		}), connected: guard.Unknown},
		"not reached": {m: edge(func(m *plan.Member) { m.Err, m.LastEvent = "away", tsbobjects.Noon }),
			connected: guard.Unknown},
		"a session lasts": {m: edge(func(*plan.Member) {}), sessions: []plan.Session{{ID: "1"}}, connected: guard.Yes},
		"a session is over": {m: edge(func(*plan.Member) {}), sessions: []plan.Session{{ID: "1", Ended: tsbobjects.Noon}},
			connected: guard.No},
		"no session": {m: edge(func(*plan.Member) {}), sessions: []plan.Session{}, connected: guard.No},
	} {
		t.Run(name, func(t *testing.T) {
			f := tsbfleet.Fleet(guard.Yes, guard.Yes, tc.m)
			f.UsesRoster = true
			if tc.sessions != nil {
				f.TellsSessions = true
				f.Hub.Sessions = map[string][]plan.Session{"edge-1": tc.sessions}
			}
			if got := connected(f, tc.m); got != tc.connected {
				t.Errorf("connected is %v, want %v", got, tc.connected)
			}
			for _, state := range []string{"ok", "pending", "blocked", "unreachable", "forbidden"} {
				r := Member{Name: "edge-1", Role: "edge", State: state, Connected: tc.connected}
				if drawn := r.mark(f) == Connected; drawn != (state == "ok" && tc.connected == guard.Yes) {
					t.Errorf("%s is drawn as %s", state, r.mark(f))
				}
			}
		})
	}
}
