package state

import (
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// The client of a standby is connected to the standby: what the first hub counts says nothing of it.
func TestTheClientOfAStandbyIsJudgedByTheStandby(t *testing.T) {
	client := func(name string) plan.Member {
		return plan.Member{Identity: plan.Identity{Name: name, Role: plan.RoleMPC}}
	}
	f := plan.State{Hub: plan.Hub{HubRunning: plan.HubRunning{Connections: &plan.Connections{Config: 2, State: 3}}},
		Standby: &plan.Hub{HubRunning: plan.HubRunning{Connections: &plan.Connections{Config: 2, State: 2}}},
		Members: []plan.Member{client(MPCName), client(StandbyMPC)}}
	addLinks(&f, time.Now())
	first, second := f.Members[0].Link.Connected, f.Members[1].Link.Connected
	if first != guard.Yes || second != guard.No {
		t.Errorf("the first hub's client is connected: %v, the standby's: %v", first, second)
	}
}

// Whether a member is connected is told by what the hub hears of it and by its own pods; what is not told is unknown,
// and a hub that was started lately has not heard of anybody yet.
func TestWhetherAMemberIsConnected(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	old := plan.Workload{Found: true, Processes: []plan.Process{{Ready: true, Since: now.Add(-time.Hour)}}}
	fresh := plan.Workload{Found: true, Processes: []plan.Process{{Ready: true, Since: now.Add(-time.Minute)}}}
	heard := func(ago time.Duration) func(*plan.Member) {
		return func(m *plan.Member) { m.LastEvent = now.Add(-ago) }
	}
	verified := func(at time.Time) func(*plan.Member) {
		return func(m *plan.Member) {
			m.Declared, m.Effective = "jwt", "jwt"
			m.Evidence = guard.Member{Name: m.Name, Presents: []guard.Cred{"jwt"}}
			m.Statement = &plan.Statement{Presents: []guard.Cred{"jwt"}, Observed: at, Until: now.Add(time.Hour)}
		}
	}
	streams := func(config, state int) *plan.Connections { return &plan.Connections{Config: config, State: state} }
	for _, tc := range []struct {
		name    string
		role    plan.Role
		change  func(*plan.Member)
		central plan.Workload
		counts  *plan.Connections
		told    bool
		want    guard.Tri
		why     string
	}{
		{"heard of lately", plan.RoleEdge, heard(time.Minute), old, nil, true, guard.Yes, "last heard of it at 2026"},
		{"heard of long ago", plan.RoleEdge, heard(40 * time.Minute), old, nil, true, guard.No, "last heard of it 40m ago"},
		{"never heard of", plan.RoleEdge, nil, old, nil, true, guard.No, "heard nothing of it"},
		{"never heard of by a hub just started", plan.RoleEdge, nil, fresh, nil, true, guard.Unknown, "started lately"},
		{"a hub whose start is not known", plan.RoleEdge, nil, plan.Workload{Processes: []plan.Process{{Ready: true}}}, nil,
			true, guard.Unknown, "started lately"},
		{"nothing is told of anybody", plan.RoleEdge, nil, old, nil, false, guard.Unknown, "do not tell"},
		{"verified lately, where nothing is told", plan.RoleEdge, verified(now.Add(-time.Minute)), old, nil, false, guard.Yes,
			"verified lately"},
		{"verified long ago", plan.RoleEdge, verified(now.Add(-13 * time.Minute)), old, nil, false, guard.Unknown,
			"do not tell"},
		{"verified lately, and not heard of", plan.RoleEdge, verified(now.Add(-time.Minute)), old, nil, true, guard.No,
			"heard nothing"},
		{"no ready pod, whatever was heard", plan.RoleEdge, func(m *plan.Member) {
			heard(time.Minute)(m)
			m.Workload.Processes[0].Ready = false
		}, old, nil, true, guard.No, "has no ready pod"},
		{"pods that could not be read", plan.RoleEdge, func(m *plan.Member) {
			heard(time.Minute)(m)
			m.Workload = plan.Workload{Err: "forbidden"}
		}, old, nil, true, guard.Yes, "heard"},
		{"a cluster out of reach that is heard of", plan.RoleEdge, func(m *plan.Member) {
			heard(time.Minute)(m)
			m.Err, m.Workload = "out of reach", plan.Workload{}
		}, old, nil, true, guard.Yes, "heard"},
		{"the hub's own client", plan.RoleMPC, nil, old, streams(2, 3), true, guard.Yes, "counts its stream"},
		{"the hub's own client, gone", plan.RoleMPC, nil, old, streams(2, 2), true, guard.No, "counts no stream"},
		{"the hub's own client, not told", plan.RoleMPC, nil, old, nil, true, guard.Unknown, "do not tell"},
	} {
		m := plan.Member{Identity: plan.Identity{Name: "edge-1", Role: tc.role},
			Workload: plan.Workload{Found: true, Processes: []plan.Process{{Ready: true}}}}
		if tc.change != nil {
			tc.change(&m)
		}
		hub := plan.Hub{HubRunning: plan.HubRunning{Workload: tc.central, Connections: tc.counts}}
		if got := linkOf(m, hub, tc.told, now); got.Connected != tc.want || !strings.Contains(got.Why, tc.why) {
			t.Errorf("%s: %v, %q; want %v, %q", tc.name, got.Connected, got.Why, tc.want, tc.why)
		}
	}
}
