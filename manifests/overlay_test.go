package manifests_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/overlay"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
	"github.com/xcpauth/kubectl-xcpauth/test/cases"
)

// controlPlane is one that says JWT, with a kubeSpec or without.
func controlPlane(kubeSpec any) m {
	xcp := m{"centralAuthMode": "JWT"}
	if kubeSpec != nil {
		xcp["kubeSpec"] = kubeSpec
	}
	return m{"spec": m{"components": m{"xcp": xcp}}}
}

// managementPlane is one that accepts both modes, with a kubeSpec or without.
func managementPlane(kubeSpec any) m {
	xcp := m{"centralAuthModes": m{"jwt": true, "mutualTls": true}}
	if kubeSpec != nil {
		xcp["kubeSpec"] = kubeSpec
	}
	return m{"spec": m{"components": m{"xcp": xcp}}}
}

// One predicate: what pkg/overlay judges to reach authentication makes the hub and the edge unknown, is denied by the
// fence, and is asked about.
func TestOnePredicateJudgesEveryOverlay(t *testing.T) {
	f, c := shippedFence(t), shipped(t)
	for _, tc := range cases.Overlays() {
		t.Run(tc.Name, func(t *testing.T) {
			hub, _ := state.ReadHub(managementPlane(tc.KubeSpec))
			if known := hub.Accepts[state.MTLS] == guard.Yes; known == tc.Reaches {
				t.Errorf("the hub reads it as known %v", known)
			}
			if mode, _ := state.ReadEdge(controlPlane(tc.KubeSpec)); (mode == state.JWT) == tc.Reaches {
				t.Errorf("the edge reads it as %q", mode)
			}
			for name, old := range map[string]m{"created": nil, "added": controlPlane(nil)} {
				if admitted, err := f.admits(t, old, controlPlane(tc.KubeSpec)); admitted == tc.Reaches {
					t.Errorf("%s, the fence admits it: %v (%v)", name, admitted, err)
				}
			}
			if admitted, err := f.admits(t, controlPlane(tc.KubeSpec), controlPlane(tc.KubeSpec)); !admitted {
				t.Errorf("the fence denies it although it was there: %v", err)
			}
			if asked, err := c.calls(t, managementPlane(nil), managementPlane(tc.KubeSpec)); asked != tc.Reaches || err != nil {
				t.Errorf("asked %v (%v)", asked, err)
			}
			if asked, err := c.calls(t, managementPlane(tc.KubeSpec), managementPlane(tc.KubeSpec)); asked || err != nil {
				t.Errorf("asked %v (%v) although nothing changes", asked, err)
			}
		})
	}
}

// What was there may be put in another order, and something harmless added beside it: that is no edit, however far it
// reaches.
func TestAnUnchangedPatchIsNoEdit(t *testing.T) {
	reaches := func(path string, value any) m { return m{"path": path, "value": value} }
	a, b := reaches("spec.centralAuthMode", "JWT"), reaches("spec", m{"x": "y"})
	harmless := reaches("spec.logLevels", "x")
	over := func(name string, patches ...any) m { return m{"kind": "EdgeXcp", "name": name, "patches": patches} }
	kubeSpec := func(list ...any) m { return m{"overlays": list} }
	old := kubeSpec(over("edge-xcp", a, b), over("other", b), "odd")
	f := shippedFence(t)
	for _, tc := range []struct {
		name   string
		new    m
		no     bool // it is no edit
		reason string
	}{
		{"as it was", old, true, ""},
		{"in another order", kubeSpec("odd", over("other", b), over("edge-xcp", b, a)), true, ""},
		{"with something harmless", kubeSpec(over("edge-xcp", harmless, a, b), "odd", over("other", b), m{"kind": "Service"}),
			true, ""},
		{"in two overlays", kubeSpec(over("edge-xcp", a), over("edge-xcp", b), over("other", b), "odd"), true, ""},
		{"with another value", kubeSpec(over("edge-xcp", reaches("spec.centralAuthMode", "MUTUAL_TLS"), b), over("other", b),
			"odd"), false, "a patch"},
		{"of another name", kubeSpec(over("edge-xcp", a, b), over("other", b, a), "odd"), false, "a patch"},
		{"with another key", kubeSpec(m{"kind": "EdgeXcp", "name": "edge-xcp", "patches": []any{a, b}, "x": "y"},
			over("other", b), "odd"), false, "an overlay"},
		{"with another odd one", kubeSpec(over("edge-xcp", a, b), over("other", b), "odd", "odder"), false, "an overlay"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if admitted, err := f.admits(t, controlPlane(old), controlPlane(tc.new)); admitted != tc.no {
				t.Errorf("the fence admits it: %v (%v)", admitted, err)
			}
			before, _ := state.ReadHub(managementPlane(old))
			after, _ := state.ReadHub(managementPlane(tc.new))
			if gone := guard.Withdrawn(before, after); (len(gone) == 0) != tc.no {
				t.Errorf("withdrawn from the hub: %v", gone)
			}
		})
	}
}

// What is ten times the longest that people run fits the API server's budgets for expressions.
func TestTheExpressionsFitTheBudgetOfTheAPIServer(t *testing.T) {
	f, c := shippedFence(t), shipped(t)
	item := func(i int) m {
		return m{"name": fmt.Sprintf("ENABLE_NON_INGRESS_HOST_LEVEL_AUTHORIZATION_%d", i), "value": "true"}
	}
	over := func(patches int) any {
		var list []any
		for i := range patches {
			list = append(list, m{"path": "spec.components.edgeServer.kubeSpec.deployment.env[-1]", "value": item(i)})
		}
		return m{"apiVersion": "install.xcp.tetrate.io/v1alpha1", "kind": "EdgeXcp", "name": "edge-xcp", "patches": list}
	}
	var variables, several []any
	for i := range 1000 {
		variables = append(variables, item(i))
	}
	for range 20 {
		several = append(several, over(20))
	}
	for name, kubeSpec := range map[string]m{
		"20 overlays of 20 patches": {"overlays": several},
		"1000 variables":            {"deployment": m{"env": variables}},
		"1000 variables in an overlay": {"overlays": []any{m{"kind": "EdgeXcp",
			"patches": []any{m{"path": "spec.components.edgeServer.kubeSpec.deployment.env", "value": variables}}}}},
	} {
		more := maps.Clone(kubeSpec)
		more["service"] = m{"type": "ClusterIP"}
		for what, old := range map[string]m{"added": controlPlane(nil), "kept": controlPlane(kubeSpec)} {
			if admitted, err := f.admits(t, old, controlPlane(more)); !admitted {
				t.Errorf("%s, %s: the fence denies it: %v", name, what, err)
			}
		}
		if asked, err := c.calls(t, managementPlane(kubeSpec), managementPlane(more)); asked || err != nil {
			t.Errorf("%s: asked %v (%v)", name, asked, err)
		}
	}
}

func reachingIDs(kubeSpec any) map[string]bool {
	ids := map[string]bool{}
	for _, r := range overlay.Judge(kubeSpec) {
		ids[r.ID] = true
	}
	return ids
}

// For any two overlays whatever: the fence admits exactly the edits that bring nothing which reaches authentication,
// and what the webhook is not asked about brings nothing either.
func TestCELAndGoJudgeAnyOverlayAlike(t *testing.T) {
	f, c := shippedFence(t), shipped(t)
	admittedAll, all, unasked := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		old := kubeSpecs(2).Draw(t, "old")
		new := edited(t, old)
		was, is := reachingIDs(old), reachingIDs(new)
		brings := 0
		for id := range is {
			if !was[id] {
				brings++
			}
		}
		all++
		admitted, err := f.admits(t, controlPlane(old), controlPlane(new))
		if admitted != (brings == 0) {
			t.Fatalf("the fence admits it: %v (%v), and it brings %v\n%s\n%s", admitted, err, overlay.Judge(new), text(old),
				text(new))
		}
		if admitted {
			admittedAll++
		}
		if created, err := f.admits(t, nil, controlPlane(new)); created != (len(is) == 0) {
			t.Fatalf("created, the fence admits it: %v (%v), and it has %v\n%s", created, err, overlay.Judge(new), text(new))
		}
		asked, err := c.calls(t, managementPlane(old), managementPlane(new))
		if err != nil {
			t.Fatalf("not total: %v\n%s\n%s", err, text(old), text(new))
		}
		if !asked {
			if unasked++; len(is) > 0 && text(old) != text(new) {
				t.Fatalf("not asked, and it has %v\n%s\n%s", overlay.Judge(new), text(old), text(new))
			}
		} else if len(is) == 0 {
			t.Fatalf("asked although nothing reaches authentication\n%s\n%s", text(old), text(new))
		}
	})
	if admittedAll == 0 || admittedAll == all || unasked == 0 || unasked == all {
		t.Errorf("of %d pairs %d were admitted and %d not asked about: this shows nothing", all, admittedAll, unasked)
	}
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
