package migration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/manifests"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbfleet"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbobjects"
)

const deniedByOurs = "controlplanes.install.tetrate.io \"controlplane\" is forbidden: ValidatingAdmissionPolicy 'xcpauth-fence' with binding 'xcpauth-fence' denied request: this edge was verified"

func TestAFenceCountsWhenItWasSeenToDenyWithoutABreak(t *testing.T) {
	const denied, other, through, failed = deniedByOurs,
		"ValidatingAdmissionPolicy 'theirs' with binding 'xcpauth-fence' denied request", "", "!timeout"
	seen := func(words ...string) []plan.State {
		all := []plan.State{tsbfleet.Fleet(guard.Yes, guard.Yes, tsbfleet.Edge("eu", state.JWT))}
		for i, word := range words {
			m := tsbfleet.Fenceable(tsbfleet.Edge("eu", state.JWT))
			m.Fence.Current, m.Fence.Binding.UID, m.Fence.Policy.UID = true, "b1", "p1"
			f := tsbfleet.Fleet(guard.Yes, guard.Yes, m)
			p := plan.Probe{At: tsbobjects.Noon.Add(time.Duration(i) * 5 * time.Second), Denied: word}
			if word == failed {
				p.Denied, p.Err = "", "timeout"
			}
			f.Probes = map[string]plan.Probe{"eu": p}
			all = append(all, f)
		}
		return all
	}
	of := func(facts []plan.State, i int, change func(*plan.Member)) []plan.State {
		change(&facts[i].Members[0])
		return facts
	}
	for _, tc := range []struct {
		name  string
		seen  []plan.State
		holds bool
		says  string
	}{
		{"not looked at", seen(), false, "not looked at yet"},
		{"once", seen(denied), false, "must be seen to for 10s"},
		{"for long enough, and looked at after that", seen(denied, denied, denied, denied), true,
			"denied 4 dry runs of an edit in 15s"},
		{"for long enough, and not looked at since", seen(denied, denied, denied), false, "must be seen to for 10s"},
		{"not for long enough", seen(denied, denied), false, "must be seen to for 10s"},
		{"let through at first", seen(through, through, denied, denied, denied, denied), true, "denied 4 dry runs"},
		{"let through in between: another API server", seen(denied, denied, through, denied, denied, denied), false,
			"must be seen to for 10s"},
		{"let through at last", seen(denied, denied, denied, through), false, "was let through"},
		{"denied by something else", seen(denied, denied, other), false, "denied by something else"},
		{"no answer in between", seen(denied, denied, failed, denied, denied, denied), false, "must be seen to for 10s"},
		{"no answer", seen(denied, denied, denied, failed), false, "did not come to an answer: timeout"},
		{"a fence that was made again", of(seen(denied, denied, denied, denied), 1,
			func(m *plan.Member) { m.Fence.Binding.UID = "b0" }), false, "must be seen to for 10s"},
		{"a policy that was made again", of(seen(denied, denied, denied, denied), 1,
			func(m *plan.Member) { m.Fence.Policy.UID = "p0" }), false, "must be seen to for 10s"},
		{"an edge that could not be read in between", of(seen(denied, denied, denied, denied), 1,
			func(m *plan.Member) { m.Err = "no answer" }), false, "must be seen to for 10s"},
		{"a fence that was not as it should be", of(seen(denied, denied, denied, denied), 1,
			func(m *plan.Member) { m.Fence.Current = false }), false, "must be seen to for 10s"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			j := fenceDenies("eu", 10*time.Second).Evaluate(tc.seen[0], tc.seen[1:]...)
			if j.Met != tc.holds || !strings.Contains(j.Evidence, tc.says) {
				t.Errorf("holds %v: %s; want %v, %s", j.Met, j.Evidence, tc.holds, tc.says)
			}
		})
	}
}

// What is stored counts as our fence when it is as this version writes it, defaults of the API server aside, and
// nothing narrows it.
func TestAFenceIsOursWhenNothingNarrowsIt(t *testing.T) {
	policy, binding := state.FenceObjects()
	stored := func(o map[string]any, change func(spec map[string]any)) plan.Result {
		b, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		var c map[string]any
		if err := json.Unmarshal(b, &c); err != nil {
			t.Fatal(err)
		}
		c["metadata"].(map[string]any)["uid"] = "u-" + fmt.Sprint(o["kind"])
		change(c["spec"].(map[string]any))
		b, err = json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		return plan.Result{Body: b}
	}
	as := func(map[string]any) {}
	constraints := func(spec map[string]any) map[string]any { return spec["matchConstraints"].(map[string]any) }
	for _, tc := range []struct {
		name            string
		policy, binding func(map[string]any)
		ours            bool
	}{
		{"as shipped", as, as, true},
		{"with what an API server may add", func(s map[string]any) {
			s["auditAnnotations"], s["somethingNew"] = []any{},
				"x"
		}, func(s map[string]any) { s["matchResources"] = map[string]any{} }, true},
		{"it only warns", as, func(s map[string]any) { s["validationActions"] = []any{"Warn"} }, false},
		{"of some namespaces", as, func(s map[string]any) {
			s["matchResources"] = map[string]any{"namespaceSelector": map[string]any{"matchLabels": map[string]any{"a": "b"}}}
		}, false},
		{"it ignores failures", func(s map[string]any) { s["failurePolicy"] = "Ignore" }, as, false},
		{"some are excluded", func(s map[string]any) {
			constraints(s)["excludeResourceRules"] = []any{map[string]any{"resources": []any{"controlplanes"}}}
		}, as, false},
		{"some are selected", func(s map[string]any) {
			constraints(s)["objectSelector"] = map[string]any{"matchLabels": map[string]any{"a": "b"}}
		}, as, false},
		{"a condition was added", func(s map[string]any) {
			s["matchConditions"] = append(s["matchConditions"].([]any), map[string]any{"name": "never", "expression": "false"})
		}, as, false},
		{"a validation was weakened", func(s map[string]any) {
			s["validations"].([]any)[0].(map[string]any)["expression"] = "true"
		}, as, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := state.Fence(map[plan.Read]plan.Result{state.FencePolicyRead: stored(policy, tc.policy),
				state.FenceBindingRead: stored(binding, tc.binding)})
			if f.Current != tc.ours || f.Policy.UID == "" || f.Binding.UID == "" || f.Unavailable != "" {
				t.Errorf("%+v, want ours %v", f, tc.ours)
			}
			m := tsbfleet.Edge("eu", state.JWT)
			m.Fence = f
			writes := installFenceStep(m, plan.Goal{}).Writes
			if tc.ours != (len(writes) == 0) {
				t.Errorf("writes %+v", writes)
			}
			for _, w := range writes { // what is written makes it ours
				spec := maps.Clone(f.PolicySpec)
				if w.Object.Kind == state.FenceBindingRef.Kind {
					spec = maps.Clone(f.BindingSpec)
				}
				want := policy["spec"]
				if w.Object.Kind == state.FenceBindingRef.Kind {
					want = binding["spec"]
				}
				if merged := merge(spec, w.After["spec"].(map[string]any)); !state.Enforces(merged, want) {
					t.Errorf("after the write it is still %v", merged)
				}
			}
		})
	}
	none := state.Fence(map[plan.Read]plan.Result{state.FencePolicyRead: {Missing: true, NoKind: true},
		state.FenceBindingRead: {Missing: true, NoKind: true}})
	if !strings.Contains(none.Unavailable, "Kubernetes 1.30") {
		t.Errorf("without the kind: %+v", none)
	}
	unread := state.Fence(map[plan.Read]plan.Result{state.FencePolicyRead: {Err: "forbidden (403)"},
		state.FenceBindingRead: {Missing: true}})
	if unread.Current || !strings.Contains(unread.Unavailable, "forbidden (403)") {
		t.Errorf("unread: %+v", unread)
	}
}

// The fence that the first release installed is told from one that somebody changed, and its replacement leaves nothing
// of it.
func TestAFenceOfAnotherReleaseIsToldAndReplaced(t *testing.T) {
	text, err := os.ReadFile("testdata/fence-1.yaml")
	if err != nil {
		t.Fatal(err)
	}
	result := func(text []byte, change func(map[string]any)) plan.Result {
		var o map[string]any
		if err := yaml.Unmarshal(text, &o); err != nil {
			t.Fatal(err)
		}
		o["metadata"].(map[string]any)["uid"] = "u"
		change(o["spec"].(map[string]any))
		b, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		return plan.Result{Body: b}
	}
	as := func(map[string]any) {}
	firstPolicy, firstBinding, _ := bytes.Cut(text, []byte("\n---\n"))
	policy, binding, _ := bytes.Cut(manifests.EdgeFence, []byte("\n---\n"))
	first := state.Fence(map[plan.Read]plan.Result{state.FencePolicyRead: result(firstPolicy, as),
		state.FenceBindingRead: result(firstBinding, as)})
	if first.Current ||
		first.OutdatedReason != "another release of xcpauth installed it: it is version 1, and this release has version 2" {
		t.Errorf("the first release's: %+v", first)
	}
	changed := state.Fence(map[plan.Read]plan.Result{state.FencePolicyRead: result(policy,
		func(spec map[string]any) { spec["failurePolicy"] = "Ignore" }), state.FenceBindingRead: result(binding, as)})
	if changed.Current || changed.OutdatedReason != "somebody changed it after it was installed" {
		t.Errorf("one that was changed: %+v", changed)
	}
	ours := state.Fence(map[plan.Read]plan.Result{state.FencePolicyRead: result(policy, as),
		state.FenceBindingRead: result(binding, as)})
	if !ours.Current || ours.OutdatedReason != "" {
		t.Errorf("this release's: %+v", ours)
	}
	m := tsbfleet.Edge("eu", state.JWT)
	m.Fence = first
	step := installFenceStep(m, plan.Goal{})
	if len(step.Writes) != 1 || step.Writes[0].Object.Kind != state.FencePolicyRef.Kind ||
		step.Writes[0].Op == plan.OpCreate {
		t.Fatalf("writes %+v", step.Writes)
	}
	want, _ := state.FenceObjects()
	if after := merge(first.PolicySpec, step.Writes[0].After["spec"].(map[string]any)); !state.Enforces(after,
		want["spec"]) {
		t.Errorf("after the write it is %v", after)
	}
}

// merge applies a JSON merge patch.
func merge(to, patch map[string]any) map[string]any {
	out := maps.Clone(to)
	for k, v := range patch {
		switch sub, isMap := v.(map[string]any); {
		case v == nil:
			delete(out, k)
		case isMap:
			was, _ := out[k].(map[string]any)
			out[k] = merge(was, sub)
		default:
			out[k] = v
		}
	}
	return out
}

func TestNextWithFences(t *testing.T) {
	const on = guard.Yes
	bound := func(m plan.Member) plan.Member {
		m = tsbfleet.Fenceable(tsbfleet.Verified(m))
		m.Fence.Current, m.Fence.Verified, m.Fence.Policy.UID, m.Fence.Binding.UID = true, true, "p", "b"
		m.Statement.Fence, m.Statement.Until = "b/p", tsbobjects.Noon.Add(24*time.Hour)
		return m
	}
	open := tsbfleet.Fenceable(tsbfleet.Verified(tsbfleet.Edge("edge-1", state.JWT)))
	earlier := tsbfleet.With(open, func(m *plan.Member) {
		m.Fence.Policy.UID, m.Fence.Binding.UID, m.Fence.OutdatedReason = "p", "b", "another release of xcpauth installed it"
	})
	gone := tsbfleet.With(bound(tsbfleet.Edge("edge-1", state.JWT)), func(m *plan.Member) {
		m.Fence.Verified,
			m.Fence.Binding.UID = false, ""
	})
	for _, tc := range []struct {
		name  string
		facts plan.State
		goal  plan.Goal
		want  string
	}{
		{"before mTLS off edges are fenced in", tsbfleet.Fleet(on, on, open, tsbfleet.Verified(tsbfleet.Mpc(state.JWT))),
			plan.Goal{}, "fence/edge-1"},
		{"unless that is not wanted", tsbfleet.Fleet(on, on, open, tsbfleet.Verified(tsbfleet.Mpc(state.JWT))),
			plan.Goal{Pace: plan.Pace{NoFence: true}}, "close"},
		{"or cannot be", tsbfleet.Fleet(on, on, tsbfleet.Verified(tsbfleet.Edge("edge-1", state.JWT)),
			tsbfleet.Verified(tsbfleet.Mpc(state.JWT))), plan.Goal{}, "close"},
		{"once", tsbfleet.Fleet(on, on, bound(tsbfleet.Edge("edge-1", state.JWT)),
			tsbfleet.Verified(tsbfleet.Mpc(state.JWT))),
			plan.Goal{}, "close"},
		{"not before that", tsbfleet.Fleet(on, on, open, tsbfleet.Verified(tsbfleet.Mpc(state.JWT))),
			plan.Goal{Stage: plan.Edges}, ""},
		{"one of another release is replaced after mTLS went off", tsbfleet.Fleet(guard.No, on, earlier,
			tsbfleet.Verified(tsbfleet.Mpc(state.JWT))),
			plan.Goal{}, "fence/edge-1"},
		{"and where it stays on", tsbfleet.Fleet(on, on, tsbfleet.Verified(earlier),
			tsbfleet.Verified(tsbfleet.Mpc(state.JWT))),
			plan.Goal{Stage: plan.Edges},
			"fence/edge-1"},
		{"unless that is not wanted, once more", tsbfleet.Fleet(guard.No, on, earlier,
			tsbfleet.Verified(tsbfleet.Mpc(state.JWT))), plan.Goal{Pace: plan.Pace{NoFence: true}},
			""},
		{"or the edge presents something else", tsbfleet.Fleet(guard.No, on, tsbfleet.With(earlier,
			func(m *plan.Member) { m.Evidence.Presents = nil }), tsbfleet.Verified(tsbfleet.Mpc(state.JWT))),
			plan.Goal{}, "!edge-1"},
		{"a team without the hub fences its own", tsbfleet.Fleet(on, on, open), plan.Goal{Stage: plan.Edges, NoHub: true},
			"fence/edge-1"},
		{"a statement whose fence is gone is taken back", tsbfleet.Fleet(on, on, gone,
			tsbfleet.Verified(tsbfleet.Mpc(state.JWT))), plan.Goal{}, "void/edge-1"},
		{"the way back of a team without the hub waits for the hub's word", tsbfleet.Fleet(on, on,
			tsbfleet.With(bound(tsbfleet.Edge("edge-1", state.JWT)), moved)),
			plan.Goal{RollbackTask: plan.RollbackTask{Back: true}, Stage: plan.Edges, NoHub: true}, "!edge-1"},
		{"and goes with it", tsbfleet.Fleet(on, on, tsbfleet.With(bound(tsbfleet.Edge("edge-1", state.JWT)), moved)),
			plan.Goal{RollbackTask: plan.RollbackTask{Back: true, HubAgrees: true}, Stage: plan.Edges, NoHub: true},
			"return/edge-1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.goal.To = state.JWT
			if got := tsbfleet.Said(nextWave(tc.facts, tc.goal)); got != tc.want {
				t.Errorf("next wave %q, want %q", got, tc.want)
			}
		})
	}

	// the way back takes back what relies on the fence, then removes the fence, then changes the edge
	// in the same cluster
	second := tsbfleet.With(bound(tsbfleet.Edge("edge-2", state.JWT)), func(m *plan.Member) { m.Context = "edge-1" })
	f := tsbfleet.Fleet(on, on, tsbfleet.With(bound(tsbfleet.Edge("edge-1", state.JWT)), moved), second,
		tsbfleet.Verified(tsbfleet.Mpc(state.JWT)))
	var writes []string
	for _, w := range nextWave(f, plan.Goal{To: state.JWT, RollbackTask: plan.RollbackTask{Back: true,
		Only: "edge-1"}}).Steps[0].Writes {
		writes = append(writes, fmt.Sprintf("%s %s %v", w.Object.Resource, w.Object.Name, w.Op == plan.OpDelete))
	}
	want := "edgeclusters edge-1 false, edgeclusters edge-2 false, validatingadmissionpolicybindings xcpauth-fence true, validatingadmissionpolicies xcpauth-fence true, controlplanes controlplane false"
	if got := strings.Join(writes, ", "); got != want {
		t.Errorf("writes\n%s\nwant\n%s", got, want)
	}
}

// moved marks an edge as one that a migration moved.
func moved(m *plan.Member) { m.Original = modePatch("MUTUAL_TLS") }
