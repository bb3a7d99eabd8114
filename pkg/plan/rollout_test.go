package plan

import "testing"

// A rollout names the pods that it is for, which nobody knows when the plan is made; everything else must be what the plan shows.
func TestASavedPlanAllowsARolloutForOtherPods(t *testing.T) {
	patch := func(resource string, v any) []Patch {
		return []Patch{{Object: Ref{Resource: resource, Kind: "X", Name: "central"}, After: map[string]any{"spec": v}}}
	}
	for _, resource := range []string{"deployments", "managementplanes"} {
		saved := &Saved{Steps: []SavedStep{{ID: "redial/a", Writes: patch(resource, "one")}}}
		err := saved.Allows(Wave{Steps: []Step{{ID: "redial/a", Writes: patch(resource, "two")}}})
		if (err == nil) != (resource == "deployments") {
			t.Errorf("%s: %v", resource, err)
		}
	}
}
