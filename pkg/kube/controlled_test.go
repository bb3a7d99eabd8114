package kube

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// A pod is found by what the Deployment controller writes. The ReplicaSets of the namespace are needed for one alone
// that does not tell whose it is, and then decide; where they are not known, neither is the Deployment.
func TestAPodTellsWhoseItIs(t *testing.T) {
	type m = map[string]any
	edge := m{"app": "edge"}
	owner := func(kind, name string) []any { return []any{m{"kind": kind, "name": name, "uid": "uid-" + name}} }
	for name, tc := range map[string]struct {
		selector any
		owners   []any
		labels   m
		phase    string
		want     string // "ours", "another's"; or of its ReplicaSet's owner alone
	}{
		"of the Deployment": {m{"matchLabels": edge}, owner("ReplicaSet", "edge-7d4"),
			m{"app": "edge", "pod-template-hash": "7d4"}, "Running", "ours"},
		"of the Deployment, which selects it no more": {m{"matchLabels": edge}, owner("ReplicaSet", "edge-7d4"),
			m{"pod-template-hash": "7d4"}, "Running", "ours"},
		"of another Deployment": {m{"matchLabels": edge}, owner("ReplicaSet", "istiod-7d4"),
			m{"app": "istiod", "pod-template-hash": "7d4"}, "Running", "another's"},
		"of one whose name begins alike": {m{"matchLabels": edge}, owner("ReplicaSet", "edge-a-7d4"),
			m{"app": "edge-a", "pod-template-hash": "7d4"}, "Running", "another's"},
		"of another's ReplicaSet, which may have been adopted": {m{"matchLabels": edge}, owner("ReplicaSet", "old-7d4"),
			m{"app": "edge", "pod-template-hash": "7d4", "more": "x"}, "Running", "asked"},
		"of another's, where the selector is not known": {nil, owner("ReplicaSet", "istiod-7d4"),
			m{"app": "istiod", "pod-template-hash": "7d4"}, "Running", "asked"},
		"of another's, where the selector has expressions alone": {m{"matchExpressions": []any{m{"key": "app",
			"operator": "In", "values": []any{"istiod"}}}}, owner("ReplicaSet", "istiod-7d4"),
			m{"app": "istiod", "pod-template-hash": "7d4"}, "Running", "asked"},
		"without the hash": {m{"matchLabels": edge}, owner("ReplicaSet", "edge-7d4"), edge, "Running", "asked"},
		"with an empty hash": {m{"matchLabels": edge}, owner("ReplicaSet", "edge-"), m{"pod-template-hash": ""},
			"Running", "asked"},
		"of a ReplicaSet that has another hash": {m{"matchLabels": edge}, owner("ReplicaSet", "edge-7d4"),
			m{"pod-template-hash": "5b7"}, "Running", "asked"},
		"of a ReplicaSet that a person made": {m{"matchLabels": edge}, owner("ReplicaSet", "mine"), nil, "Running", "asked"},
		"of a StatefulSet":                   {m{"matchLabels": edge}, owner("StatefulSet", "edge"), edge, "Running", "another's"},
		"of nobody":                          {m{"matchLabels": edge}, nil, edge, "Running", "another's"},
		"without the hash, and over": {m{"matchLabels": edge}, owner("ReplicaSet", "edge-7d4"), edge, "Succeeded",
			"another's"},
	} {
		t.Run(name, func(t *testing.T) {
			answer := func(o any) plan.Result {
				b, err := json.Marshal(o)
				if err != nil {
					t.Fatal(err)
				}
				return plan.Result{Body: b}
			}
			sets := func(deployment string) plan.Result {
				var all []any
				for _, o := range tc.owners {
					all = append(all, m{"metadata": m{"uid": o.(m)["uid"], "ownerReferences": []any{m{"uid": deployment}}}})
				}
				return answer(m{"items": append([]any{}, all...)})
			}
			c := Controlled{Namespace: "ns", Name: "edge",
				Deployment: answer(m{"metadata": m{"name": "edge", "uid": "uid-edge"}, "spec": m{"selector": tc.selector}}),
				Pods: answer(m{"items": []any{m{"metadata": m{"name": "p", "labels": tc.labels, "ownerReferences": tc.owners},
					"status": m{"phase": tc.phase}}}})}
			if needs := c.NeedsReplicaSets(); needs != (tc.want == "asked") {
				t.Errorf("needs the ReplicaSets: %t", needs)
			}
			for said, r := range map[string]plan.Result{"ours": sets("uid-edge"), "another's": sets("uid-other"),
				"": {}, "denied": {Err: "no right"}} {
				c.ReplicaSets = r
				w := c.Workload(nil, nil)
				want := tc.want
				if want == "asked" {
					want = said
				}
				if known := want == "ours" || want == "another's"; known != (w.Err == "") {
					t.Errorf("ReplicaSets %q: error %q", said, w.Err)
				} else if !known && !strings.Contains(w.Err, "ReplicaSets in ns could not be read") {
					t.Errorf("ReplicaSets %q: %s", said, w.Err)
				}
				counted := slices.ContainsFunc(w.Processes, func(p plan.Process) bool { return p.Name == "p" })
				if counted != (want == "ours") {
					t.Errorf("ReplicaSets %q: the pod is counted: %t, and is %s", said, counted, want)
				}
			}
		})
	}
}
