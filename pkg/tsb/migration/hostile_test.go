package migration

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbfleet"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbobjects"
)

// offBlockers is what stands against turning mTLS off.
func offBlockers(f plan.State) []guard.Blocker {
	return guard.Withdraw(f.Hub.Accepts, guard.Hub{Accepts: map[guard.Cred]guard.Tri{state.JWT: guard.Yes,
		state.MTLS: guard.No}}, f.GuardMembers(), tsbobjects.Noon)
}

func TestWhatIsHalfSeenStandsAgainstTurningMTLSOff(t *testing.T) {
	const ns = "istio-system"
	for _, tc := range []struct {
		name       string
		more       []apifake.Object                 // in the edge's cluster
		unreadable func() (inHub bool, r plan.Read) // answered with 403
		want       string                           // what blocks; "" = nothing
	}{
		{name: "all seen"},
		{name: "a pod that is ending, whose ReplicaSet is gone", want: "eu",
			more: []apifake.Object{{"apiVersion": "v1", "kind": "Pod",
				"metadata": apifake.Object{"name": "edge-0-old", "namespace": ns, "uid": "old",
					"deletionTimestamp": tsbobjects.Noon.Format(time.RFC3339),
					"ownerReferences":   []any{apifake.Object{"kind": "ReplicaSet", "name": "edge-0", "uid": "gone"}}},
				"spec": apifake.Object{"volumes": []any{apifake.Object{"name": "cert",
					"secret": apifake.Object{"secretName": state.SecretEdgeCert}}}},
				"status": apifake.Object{"phase": "Running", "conditions": []any{apifake.Object{"type": "Ready",
					"status": "True"}}}}}},
		{name: "two EdgeXcps that disagree", want: "eu",
			more: []apifake.Object{{"apiVersion": "install.xcp.tetrate.io/v1alpha1", "kind": "EdgeXcp",
				"metadata": apifake.Object{"name": "edge-xcp-v2", "namespace": ns, "uid": "v2"},
				"spec":     apifake.Object{"centralAuthMode": "MUTUAL_TLS"}}}},
		{name: "an inventory that is forbidden", want: "hub", unreadable: func() (bool, plan.Read) {
			return true,
				state.XcpClusters("tsb")
		}},
		{name: "ManagementPlanes that are forbidden", want: "hub", unreadable: func() (bool, plan.Read) {
			return true,
				state.ManagementPlanesRead
		}},
		{name: "a roster that is forbidden", want: "hub", unreadable: func() (bool, plan.Read) {
			return true, plan.Read{Group: api.GroupVersion.Group, Version: api.GroupVersion.Version,
				Resource: api.EdgeClusters.Resource, Namespace: api.Namespace}
		}},
		{name: "pods that are forbidden", want: "eu", unreadable: func() (bool, plan.Read) {
			return false,
				kube.PodsRead(ns)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for range 10 { // objects are listed in any order
				hub := tsbfleet.Snapshot("hub", append(tsbobjects.OpenHub("eu"), tsbobjects.Entry("eu", "uid-eu-controlplane"))...)
				eu := tsbfleet.Snapshot("eu", append(tsbobjects.OnJWT("eu"), tc.more...)...)
				if tc.unreadable != nil {
					s := eu
					inHub, r := tc.unreadable()
					if inHub {
						s = hub
					}
					if _, asked := s.Reads[r]; !asked {
						t.Fatalf("%+v is never read, so this shows nothing", r)
					}
					s.Reads[r] = plan.Result{Err: "forbidden (403)"}
				}
				f := state.ReadState([]plan.Snapshot{hub, eu}, plan.Selection{Hub: "hub"}, tsbobjects.Noon)
				wave := tsbfleet.Said(nextWave(f, plan.Goal{Pace: plan.Pace{Unrotated: []string{"eu"}, NoFence: true}}))
				if tc.want == "" {
					if b := offBlockers(f); len(b) > 0 || wave != "close" {
						t.Fatalf("blockers %v, next %q; want none and close", b, wave)
					}
					continue
				}
				if strings.Contains(wave, "close") {
					t.Fatalf("next is %q", wave)
				}
				if tc.want != "hub" && len(offBlockers(f)) == 0 {
					t.Fatal("nothing stands against turning mTLS off")
				}
			}
		})
	}
}

func TestAnOverlayUnderAnyNameOfKubeSpecIsSeen(t *testing.T) {
	plane := func(key, kind string) map[string]any {
		xcp := map[string]any{"centralAuthModes": map[string]any{"jwt": true, "mutualTls": true}}
		if key != "" {
			xcp[key] = map[string]any{"overlays": []any{map[string]any{"kind": kind, "name": "central-xcp",
				"patches": []any{map[string]any{"path": "spec.centralAuthModes.mutualTls", "value": false}}}}}
		}
		return map[string]any{"spec": map[string]any{"components": map[string]any{"xcp": xcp}}}
	}
	was, _ := state.ReadHub(plane("", ""))
	for _, key := range []string{"kubeSpec", "kube_spec"} {
		t.Run(key, func(t *testing.T) {
			if now, odd := state.ReadHub(plane(key, "CentralXcp")); len(guard.Withdrawn(was, now)) == 0 {
				t.Errorf("an overlay that turns mTLS off withdraws nothing; anomalies %v", odd)
			}
		})
	}
}

func TestAStatementIsBelievedFifteenMinutesWhateverItSays(t *testing.T) {
	for _, tc := range []struct {
		name            string
		observed, until time.Duration // after noon
		at              time.Duration
		want            bool
	}{
		{"as it is published", 0, 15 * time.Minute, 14 * time.Minute, true},
		{"after that", 0, 15 * time.Minute, 16 * time.Minute, false},
		{"valid for ten years", 0, 10 * 365 * 24 * time.Hour, 14 * time.Minute, true},
		{"valid for ten years, later", 0, 10 * 365 * 24 * time.Hour, 16 * time.Minute, false},
		{"by a clock that is a day ahead", 24 * time.Hour, 24*time.Hour + 15*time.Minute, 0, false},
		{"by a clock that is a day ahead, later", 24 * time.Hour, 24*time.Hour + 15*time.Minute, 20 * time.Hour, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := tsbobjects.Entry("far", "uid-far-controlplane")
			e["status"].(apifake.Object)["observedTime"] = tsbobjects.Noon.Add(tc.observed).Format(time.RFC3339)
			e["status"].(apifake.Object)["validUntil"] = tsbobjects.Noon.Add(tc.until).Format(time.RFC3339)
			now := tsbobjects.Noon.Add(tc.at)
			f := state.ReadState([]plan.Snapshot{tsbfleet.Snapshot("hub", append(tsbobjects.OpenHub("far"), e)...)},
				plan.Selection{Hub: "hub"}, now)
			b := guard.Withdraw(f.Hub.Accepts, guard.Hub{Accepts: map[guard.Cred]guard.Tri{state.JWT: guard.Yes,
				state.MTLS: guard.No}}, f.GuardMembers(), now)
			if believed := len(b) == 0; believed != tc.want {
				t.Errorf("believed: %v, want %v (%v)", believed, tc.want, b)
			}
		})
	}
}

func TestMPCsStreamIsNotCountedOnAPartOfCentralsPods(t *testing.T) {
	page := map[string]float64{state.MetricConnections + `{connection_type="edge_config_distribution"}`: 1,
		state.MetricConnections + `{connection_type="cluster_state"}`: 2}
	none := map[string]float64{state.MetricConnections + `{connection_type="edge_config_distribution"}`: 1,
		state.MetricConnections + `{connection_type="cluster_state"}`: 1}
	for _, tc := range []struct {
		name string
		b    plan.Process // the other pod
		want bool
	}{
		{"both read", plan.Process{Started: true, Counters: none}, true},
		{"one did not answer", plan.Process{Started: true, NoMetric: "timed out"}, false},
		{"one has not started", plan.Process{NoMetric: "not started"}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := tsbfleet.Fleet(guard.Yes, guard.Yes)
			f.Hub.Connections = state.Connections(plan.Workload{Found: true, Settled: true,
				Processes: []plan.Process{{Name: "a", UID: "a", Started: true, Counters: page}, tc.b}})
			if j := mpcStream(f.Hub.Connections, tsbfleet.Mpc(state.JWT)); j.Met != tc.want {
				t.Errorf("%+v, want %v", j, tc.want)
			}
		})
	}
}

// A ControlPlane that was re-created renews its entry once, and is verified once.
func TestARecreatedControlPlaneRenewsItsEntry(t *testing.T) {
	seen := func(uid string) plan.State {
		return state.ReadState([]plan.Snapshot{tsbfleet.Snapshot("hub", append(tsbobjects.OpenHub("eu"),
			tsbobjects.Entry("eu", uid))...), tsbfleet.Snapshot("eu", tsbobjects.OnJWT("eu")...)}, plan.Selection{Hub: "hub"},
			tsbobjects.Noon)
	}
	f := seen("uid-of-the-one-before")
	if m := f.Member("eu"); m.Verified(state.JWT, tsbobjects.Noon) {
		t.Error("eu counts as verified by a statement about a ControlPlane that is not there any more")
	}
	wave := nextWave(f, plan.Goal{})
	if got := tsbfleet.Said(wave); got != "register" {
		t.Fatalf("next is %q, want the entry renewed", got)
	}
	if writes := wave.Steps[0].Writes; len(writes) != 1 || writes[0].Op == plan.OpCreate {
		t.Errorf("writes %+v, want the entry that is there changed", writes)
	}
	if got := tsbfleet.Said(nextWave(seen("uid-eu-controlplane"), plan.Goal{Pace: plan.Pace{Unrotated: []string{"eu"},
		NoFence: true}})); got != "close" {
		t.Errorf("renewed and verified, next is %q again", got)
	}
}

func TestAProofEndsWhenTheControlPlaneSaysMTLSAgain(t *testing.T) {
	at := func(declared guard.Cred, push float64) plan.State {
		m := tsbfleet.Edge("edge-1", state.JWT)
		m.Declared = declared // the operator has not looked yet: EdgeXcp and the pods are still on JWT
		m.Workload.Processes = []plan.Process{{Name: "a", UID: "a", Ready: true, Presents: state.JWT,
			Counters: map[string]float64{state.MetricPush: push, state.MetricConnect + `{statusLabel="ok"}`: 1}}}
		return tsbfleet.Fleet(guard.Yes, guard.Yes, m)
	}
	for declared, want := range map[guard.Cred]bool{state.JWT: true, state.MTLS: false, "": false} {
		seen := []plan.State{at(state.JWT, 1), at(state.JWT, 1), at(state.JWT, 2), at(declared, 3)}
		missing := slices.ContainsFunc(edgeConditions(tsbfleet.Edge("edge-1", state.JWT), state.JWT, 0),
			func(c plan.Condition) bool { return !c.Evaluate(seen[0], seen[1:]...).Met })
		if missing == want {
			t.Errorf("the ControlPlane says %q in the end: verified %v, want %v", declared, !missing, want)
		}
	}
}

func TestTheNamedHubWinsAmongTheContextsOfOneCluster(t *testing.T) {
	for _, name := range []string{"admin@hub", "hub", "zz"} {
		var snaps []plan.Snapshot
		for _, context := range []string{"admin@hub", "hub", "zz"} {
			snaps = append(snaps, tsbfleet.Snapshot(context, tsbobjects.OpenHub()...))
		}
		f := state.ReadState(snaps, plan.Selection{Hub: name}, tsbobjects.Noon)
		if !f.Hub.Found || f.Hub.Context != name || len(f.Others) != 2 {
			t.Errorf("--context %s: found %v in %q (%s), others %v", name, f.Hub.Found, f.Hub.Context, f.Hub.Err, f.Others)
		}
	}
}

func TestNoMemberHasTheHubsName(t *testing.T) {
	f := state.ReadState([]plan.Snapshot{tsbfleet.Snapshot("h", tsbobjects.OpenHub("hub")...),
		tsbfleet.Snapshot("e", append(apifake.Edge("hub"), apifake.KubeSystem("e"))...)}, plan.Selection{Hub: "h"},
		tsbobjects.Noon)
	if f.Member("hub") != nil {
		t.Error("an edge is called hub: steps and outcomes are told apart by that name")
	}
	if !slices.ContainsFunc(f.Members, func(m plan.Member) bool { return m.ClusterName == "hub" }) {
		t.Errorf("cluster hub is no member: %+v", f.Others)
	}
}

func TestTheGoalIsNotReachedOnWhatIsOld(t *testing.T) {
	old := plan.Member{Identity: plan.Identity{Name: "edge-9", ClusterName: "edge-9", Role: plan.RoleEdge,
		Err: "no selected context reaches it"}, Evidence: guard.Member{Name: "edge-9", Presents: []guard.Cred{state.JWT},
		Until: tsbobjects.Noon.Add(-240 * time.Hour)}}
	for name, f := range map[string]plan.State{
		"a statement that ran out, mTLS off": tsbfleet.Fleet(guard.No, guard.Yes, old),
		"a statement that ran out, both on":  tsbfleet.Fleet(guard.Yes, guard.Yes, old),
		"MPC on mTLS under a closed hub": tsbfleet.Fleet(guard.No, guard.Yes,
			tsbfleet.Verified(tsbfleet.Edge("edge-1", state.JWT)), tsbfleet.Mpc(state.MTLS)),
	} {
		if w := nextWave(f, plan.Goal{}); len(w.Obstacles) == 0 {
			t.Errorf("%s: next is %q, want it blocked", name, tsbfleet.Said(w))
		}
	}
}
