package migration

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbfleet"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbobjects"
)

// Whatever is trimmed, the state is the same; and what is odd is left in it.
func TestTrimmingLosesNoFact(t *testing.T) {
	hub, eu := tsbfleet.Snapshot("hub", apifake.Hub("eu")...), tsbfleet.Snapshot("eu", apifake.Edge("eu")...)
	page := plan.Result{Body: []byte("# HELP other x\nother 1\nxcp_edge_stream_connect_count{status=\"ok\"} 3\n" +
		state.MetricPush + " 1700000000000\n")}
	eu.Reads[state.PodMetricsRead("istio-system", "edge-1-a")] = page
	trimmed := []plan.Snapshot{hub, eu}
	for i, s := range trimmed {
		reads := map[plan.Read]plan.Result{}
		for r, res := range s.Reads {
			if res.Body != nil {
				res.Body = state.Trim(r, res.Body)
			}
			reads[r] = res
		}
		trimmed[i].Reads = reads
	}
	want := state.ReadState([]plan.Snapshot{hub, eu}, plan.Selection{}, tsbobjects.Noon)
	got := state.ReadState(trimmed, plan.Selection{}, tsbobjects.Noon)
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(plan.State{})); diff != "" {
		t.Errorf("trimmed bodies give other facts (-whole +trimmed)\n%s", diff)
	}
	if m := want.Member("eu"); m == nil || len(m.Workload.Processes) != 1 || len(m.Workload.Processes[0].Counters) != 2 {
		t.Errorf("the facts that are compared say nothing: %+v", m)
	}

	whole := eu.Reads[kube.PodsRead("istio-system")].Body
	var list map[string]any
	if err := json.Unmarshal(whole, &list); err != nil {
		t.Fatal(err)
	}
	list["items"].([]any)[0].(map[string]any)["metadata"].(map[string]any)["annotations"] = map[string]any{"long": time.RFC3339}
	with, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	if string(state.Trim(kube.PodsRead("istio-system"), with)) != string(state.Trim(kube.PodsRead("istio-system"),
		whole)) {
		t.Error("an annotation of a pod is kept")
	}
	for _, odd := range []string{`{"items":[1]}`, `not JSON`, ``} {
		if got := string(state.Trim(kube.PodsRead("istio-system"), []byte(odd))); got != odd {
			t.Errorf("a body that is no list of pods, %q, became %q", odd, got)
		}
	}
}
