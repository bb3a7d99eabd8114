package migration

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbfleet"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbobjects"
)

func TestFactsAccountForEveryContext(t *testing.T) {
	hub := tsbfleet.Snapshot("hub", apifake.Hub("eu", "us", "far")...)
	eu, us := tsbfleet.Snapshot("eu", apifake.Edge("eu")...), tsbfleet.Snapshot("us", apifake.Edge("us")...)
	stranger := tsbfleet.Snapshot("stranger", apifake.Edge("mars")...)
	stranger.Reads[state.ControlPlanesRead] = plan.Result{Body: []byte(strings.ReplaceAll(string(stranger.Reads[state.ControlPlanesRead].Body), "tsb.example.test", "other.example.test"))}
	down := plan.Snapshot{Context: "down", At: tsbobjects.Noon, Err: "the API server refused the connection"}
	f := state.ReadState([]plan.Snapshot{down, eu, hub, stranger, us}, plan.Selection{}, tsbobjects.Noon)

	var rows []string
	for _, m := range f.Members {
		rows = append(rows, m.Name+"@"+m.Context)
	}
	for _, o := range f.Others {
		rows = append(rows, o.State+"@"+o.Context)
	}
	if want := []string{"eu@eu", "far@", "us@us", "unreachable@down",
		"other-management-plane@stranger"}; !slices.Equal(rows, want) {
		t.Errorf("rows %v, want %v", rows, want)
	}
	if m := f.Member("far"); m == nil || m.Evidence.Presents != nil || m.Err == "" {
		t.Errorf("a cluster that only the hub lists is not unknown: %+v", m)
	}
	blockers := guard.Withdraw(guard.Hub{Accepts: map[guard.Cred]guard.Tri{state.MTLS: guard.Yes}},
		guard.Hub{Accepts: map[guard.Cred]guard.Tri{state.MTLS: guard.No}}, f.GuardMembers(), tsbobjects.Noon)
	if len(blockers) != 4 { // eu, us on mTLS; far and the context that is down, unknown
		t.Errorf("blockers %v, want 4", blockers)
	}
}

func TestUnreadableIsUnknownAndNeverAbsent(t *testing.T) {
	whole := tsbfleet.Snapshot("eu", tsbobjects.WithoutHash(apifake.Edge("eu"))...)
	hub := tsbfleet.Snapshot("hub", apifake.Hub("eu")...)
	for name, r := range map[string]plan.Read{"pods": kube.PodsRead("istio-system"),
		"replica sets": kube.ReplicaSetsRead("istio-system"), "deployment": kube.DeploymentRead("istio-system", "edge"),
		"control planes": state.ControlPlanesRead, "edge xcps": state.EdgeXcpsRead} {
		for how, result := range map[string]plan.Result{"forbidden": {Err: "forbidden (403)"},
			"cut off": {Body: []byte(`{"items":[{"metadata":`)}, "not an object": {Body: []byte(`[]`)},
			"wrong types": {Body: []byte(`{"items":7,"spec":7}`)}, "no items": {Body: state.Trim(r, []byte(`{}`))}} {
			if how == "no items" && r.Name != "" {
				continue // what is read by its name is not kept without it: see observe
			}
			t.Run(name+" "+how, func(t *testing.T) {
				s := plan.Snapshot{Context: "eu", At: tsbobjects.Noon, Reads: map[plan.Read]plan.Result{}}
				for k, v := range whole.Reads {
					s.Reads[k] = v
				}
				s.Reads[r] = result
				f := state.ReadState([]plan.Snapshot{hub, s}, plan.Selection{}, tsbobjects.Noon)
				for _, e := range f.GuardMembers() {
					if e.Name != "mpc" && e.Presents == nil {
						return // unknown, as it must be
					}
				}
				t.Errorf("nothing is unknown: %+v %+v", f.Members, f.Others)
			})
		}
	}
}

// Of a context where it is not sure that an API server answers, nothing is missing.
func TestWhereNoAPIServerAnswersForSureNothingIsAbsent(t *testing.T) {
	hub := tsbfleet.Snapshot("hub", apifake.Hub("eu")...)
	for name, tc := range map[string]struct {
		kubeSystem plan.Result
		state      string
	}{
		"every cluster has it":       {plan.Result{Missing: true}, "unreachable"},
		"it could not be read":       {plan.Result{Err: "something in front of the API server answered 404"}, "unreachable"},
		"who may not read it":        {plan.Result{Err: "forbidden (403)", Denied: true}, "no-member"},
		"a cluster without a member": {plan.Result{Body: []byte(`{"metadata":{"uid":"u"}}`)}, "no-member"},
	} {
		t.Run(name, func(t *testing.T) {
			s := plan.Snapshot{Context: "eu", At: tsbobjects.Noon, Reads: map[plan.Read]plan.Result{
				kube.KubeSystem: tc.kubeSystem, state.ControlPlanesRead: {Missing: true}}}
			f := state.ReadState([]plan.Snapshot{hub, s}, plan.Selection{}, tsbobjects.Noon)
			got := ""
			for _, o := range f.Others {
				if o.Context == "eu" {
					got = o.State
				}
			}
			if m := f.Member("eu"); m != nil && m.Context == "eu" {
				got = "unreachable" // it stands in the row of the member that it is named as
			}
			if got != tc.state {
				t.Errorf("context eu is %q, want %q: %+v", got, tc.state, f.Others)
			}
		})
	}
}

// A ControlPlane that was seen, and taken for another hub's, may be the very member of which something was stated:
// what was stated is not believed then.
func TestWhatIsSeenElsewhereIsNotBelievedByItsStatement(t *testing.T) {
	for name, tc := range map[string]struct {
		uid      string // of the cluster in which one of that name is seen
		believed bool
	}{"in its own cluster": {"cluster-far", false}, "in another one": {"cluster-other", true}} {
		t.Run(name, func(t *testing.T) {
			others := []plan.OtherContext{{Context: "x", State: "other-management-plane", Claims: "far", ClusterUID: tc.uid}}
			if got := state.ClaimedElsewhere(others, "far", "cluster-far") == ""; got != tc.believed {
				t.Errorf("believed: %v", got)
			}
		})
	}
}

func TestPresentedIsTheUnionOfOldAndNew(t *testing.T) {
	objects := apifake.Edge("eu")
	for _, o := range objects {
		if o["kind"] == "ControlPlane" || o["kind"] == "EdgeXcp" {
			spec := o["spec"].(map[string]any)
			if o["kind"] == "EdgeXcp" {
				spec["centralAuthMode"] = "JWT"
				continue
			}
			spec["components"] = map[string]any{"xcp": map[string]any{"centralAuthMode": "JWT"}}
		}
	}
	f := state.ReadState([]plan.Snapshot{tsbfleet.Snapshot("hub", apifake.Hub("eu")...),
		tsbfleet.Snapshot("eu", objects...)}, plan.Selection{}, tsbobjects.Noon)
	if got := f.Member("eu").Evidence.Presents; !slices.Equal(got, []guard.Cred{state.JWT, state.MTLS}) {
		t.Errorf("set to JWT with a pod that still mounts xcp-edge-cert presents %v, want both", got)
	}
}

func TestJudgePushesWantsTheSamePodsToAdvanceTwice(t *testing.T) {
	at := func(pod string, push float64, settled bool) plan.State {
		m := tsbfleet.Edge("edge-1", state.JWT)
		m.Workload.Settled = settled
		m.Workload.Processes = []plan.Process{{Name: pod, UID: pod, Ready: true, Presents: state.JWT,
			Counters: map[string]float64{state.MetricPush: push, state.MetricConnect + `{statusLabel="ok"}`: 1}}}
		return tsbfleet.Fleet(guard.Yes, guard.Yes, m)
	}
	unread := at("a", 2, true)
	unread.Members[0].Err = "no answer"
	for _, tc := range []struct {
		name string
		seen []plan.State
		want bool
	}{
		{"once", []plan.State{at("a", 1, true), at("a", 1, true), at("a", 2, true)}, false},
		{"not read in between", []plan.State{at("a", 1, true), at("a", 1, true), unread, at("a", 2, true),
			at("a", 3, true)}, false},
		{"twice after it was not read", []plan.State{at("a", 1, true), at("a", 1, true), unread, at("a", 2, true),
			at("a", 3, true), at("a", 4, true)}, true},
		{"twice", []plan.State{at("a", 1, true), at("a", 1, true), at("a", 2, true), at("a", 3, true)}, true},
		{"before the write does not count", []plan.State{at("a", 1, true), at("a", 2, true), at("a", 3, true)}, false},
		{"two pods once each", []plan.State{at("a", 1, true), at("a", 1, true), at("a", 2, true), at("b", 3, true)}, false},
		{"during a rollout does not count", []plan.State{at("a", 1, true), at("a", 1, false), at("a", 2, false),
			at("a", 3, true)}, false},
		{"standing still", []plan.State{at("a", 1, true), at("a", 1, true), at("a", 1, true), at("a", 1, true)}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if j := pushes("edge-1", "").Evaluate(tc.seen[0], tc.seen[1:]...); j.Met != tc.want {
				t.Errorf("%+v, want %v", j, tc.want)
			}
		})
	}
}

func TestJudgeCentralWantsNoOlderPodLeft(t *testing.T) {
	at := func(lower int64, pods ...string) plan.State {
		f := tsbfleet.Fleet(guard.Yes, guard.Yes)
		f.Hub.OperatorGeneration, f.Hub.Accepts.Basis = lower, "after"
		if lower == 1 && len(pods) > 0 && pods[0] == "a" {
			f.Hub.Accepts.Basis = "before"
		}
		f.Hub.Workload = plan.Workload{Found: true, Settled: true}
		for _, p := range pods {
			f.Hub.Workload.Processes = append(f.Hub.Workload.Processes, plan.Process{UID: p, Ready: true})
		}
		return f
	}
	late := func(f plan.State) plan.State { f.Hub.Accepts.Basis = "after"; return f }
	goal := plan.Goal{Pace: plan.Pace{QuietFor: 30 * time.Second}}
	quiet, untaken := goal.QuietFor, 6*goal.QuietFor
	// looks sees a state again and again for so long, so often
	looks := func(f plan.State, every, during time.Duration) []plan.State {
		all := []plan.State{at(1, "a")}
		for d := time.Duration(0); d <= during; d += every {
			f.At = time.Unix(0, 0).Add(d)
			all = append(all, f)
		}
		return all
	}
	restless := looks(at(2, "a"), time.Second, 2*quiet)
	for i := range restless[1:] {
		restless[i+1].Hub.OperatorGeneration += int64(i / 15)
	}
	for _, tc := range []struct {
		name string
		seen []plan.State
		want bool
	}{
		{"rolled out", []plan.State{at(1, "a"), at(2, "b")}, true},
		{"an older pod is left", []plan.State{at(1, "a", "b"), at(2, "b", "c")}, false},
		{"not taken over", []plan.State{at(1, "a"), late(at(1, "a")), late(at(1, "a"))}, false},
		{"taken over and quiet for a moment", []plan.State{at(1, "a"), at(2, "a"), at(2, "a")}, false},
		{"taken over and quiet", looks(at(2, "a"), time.Second, quiet), true},
		{"taken over and nearly quiet", looks(at(2, "a"), time.Second, quiet-time.Second), false},
		{"looked at very often", looks(at(2, "a"), time.Millisecond, quiet/2), false},
		{"taken over again and again", restless, false},
		{"not taken over for as long", looks(late(at(1, "a")), time.Second, untaken-time.Second), false},
		{"not taken over for much longer", looks(late(at(1, "a")), time.Second, untaken), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if j := centralRuns("hub", goal).Evaluate(tc.seen[0], tc.seen[1:]...); j.Met != tc.want {
				t.Errorf("%+v, want %v", j, tc.want)
			}
		})
	}
}

// Whatever an API server answers, facts are made and something is decided without a panic, and what is planned never
// withdraws what may be presented.
func FuzzFacts(f *testing.F) {
	seed := tsbfleet.Snapshot("eu", apifake.Edge("eu")...)
	hub := tsbfleet.Snapshot("hub", apifake.Hub("eu")...)
	f.Add(string(seed.Reads[state.ControlPlanesRead].Body), string(seed.Reads[kube.PodsRead("istio-system")].Body),
		string(hub.Reads[state.ManagementPlanesRead].Body))
	f.Add(`{"items":[{"spec":[]}]}`, `{"items":[{}]}`,
		`{"items":[{"spec":{"components":{"xcp":{"centralAuthModes":{"jwt":"x","mutual_tls":1}}}}}]}`)
	f.Fuzz(func(t *testing.T, planes, running, mps string) {
		s := plan.Snapshot{Context: "eu", At: tsbobjects.Noon, Reads: map[plan.Read]plan.Result{}}
		for k, v := range seed.Reads {
			s.Reads[k] = v
		}
		s.Reads[state.ControlPlanesRead] = plan.Result{Body: []byte(planes)}
		s.Reads[kube.PodsRead("istio-system")] = plan.Result{Body: []byte(running)}
		h := plan.Snapshot{Context: "hub", At: tsbobjects.Noon, Reads: map[plan.Read]plan.Result{}}
		for k, v := range hub.Reads {
			h.Reads[k] = v
		}
		h.Reads[state.ManagementPlanesRead] = plan.Result{Body: []byte(mps)}
		state.Reads(s.Reads, true)
		state.Reads(h.Reads, true)
		fs := state.ReadState([]plan.Snapshot{h, s}, plan.Selection{}, tsbobjects.Noon)
		for _, step := range nextWave(fs, plan.Goal{To: state.JWT, Pace: plan.Pace{Within: time.Minute}}).Steps {
			if _, err := json.Marshal(step.Writes); err != nil {
				t.Error(err)
			}
			if step.Withdraws != nil && len(guard.Withdraw(fs.Hub.Accepts, *step.Withdraws, fs.GuardMembers(),
				tsbobjects.Noon)) > 0 {
				t.Error("the plan withdraws what may be presented")
			}
		}
	})
}
