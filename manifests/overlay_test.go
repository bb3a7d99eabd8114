package manifests_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/overlay"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb"
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

// One predicate: what pkg/overlay judges to reach authentication makes the hub and the edge unknown, is denied by the fence, and is asked about.
func TestOnePredicateJudgesEveryOverlay(t *testing.T) {
	f, c := shippedFence(t), shipped(t)
	for _, tc := range cases.Overlays() {
		t.Run(tc.Name, func(t *testing.T) {
			hub, _ := tsb.ReadHub(managementPlane(tc.KubeSpec))
			if known := hub.Accepts[tsb.MTLS] == guard.Yes; known == tc.Reaches {
				t.Errorf("the hub reads it as known %v", known)
			}
			if mode, _ := tsb.ReadEdge(controlPlane(tc.KubeSpec)); (mode == tsb.JWT) == tc.Reaches {
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

// What was there may be put in another order, and something harmless added beside it: that is no edit, however far it reaches.
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
		{"with something harmless", kubeSpec(over("edge-xcp", harmless, a, b), "odd", over("other", b), m{"kind": "Service"}), true, ""},
		{"in two overlays", kubeSpec(over("edge-xcp", a), over("edge-xcp", b), over("other", b), "odd"), true, ""},
		{"with another value", kubeSpec(over("edge-xcp", reaches("spec.centralAuthMode", "MUTUAL_TLS"), b), over("other", b), "odd"), false, "a patch"},
		{"of another name", kubeSpec(over("edge-xcp", a, b), over("other", b, a), "odd"), false, "a patch"},
		{"with another key", kubeSpec(m{"kind": "EdgeXcp", "name": "edge-xcp", "patches": []any{a, b}, "x": "y"}, over("other", b), "odd"), false, "an overlay"},
		{"with another odd one", kubeSpec(over("edge-xcp", a, b), over("other", b), "odd", "odder"), false, "an overlay"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if admitted, err := f.admits(t, controlPlane(old), controlPlane(tc.new)); admitted != tc.no {
				t.Errorf("the fence admits it: %v (%v)", admitted, err)
			}
			before, _ := tsb.ReadHub(managementPlane(old))
			after, _ := tsb.ReadHub(managementPlane(tc.new))
			if gone := guard.Withdrawn(before, after); (len(gone) == 0) != tc.no {
				t.Errorf("withdrawn from the hub: %v", gone)
			}
		})
	}
}

var (
	names     = []string{"spec", "metadata", "labels", "annotations", "components", "edgeServer", "centralServer", "kubeSpec", "deployment", "env", "envFrom", "overlays", "patches", "template", "containers", "initContainers", "volumes", "args", "command", "image", "volumeMounts", "resources", "service", "centralAuthMode", "centralAuthModes", "centralAuthJwt", "centralSni", "centralCaSecret", "logLevels", "name", "value", "valueFrom", "kube_spec", "Spec", "KUBESPEC", "Overlays", `a\.b`, "x/y", "_", "", " ", "auth", "tlsMode", "0", "spec spec", "/", `\`, "é"}
	selectors = []string{"[0]", "[-1]", "[name:A]", "[name:CENTRAL_AUTH]", `[name="B"]`, "[name:'C']", `[name:"C']`, "[name=A/B]", "[x:y]", "[na-me:x]", "[a.b:c]", "[]", "[", "]", "[-]", "[--1]", "[name:]", "[name:a b]"}
)

// paths draws paths near those that people write.
func paths() *rapid.Generator[string] {
	var known []string
	for _, c := range cases.Overlays() {
		kubeSpec, _ := c.KubeSpec.(m)
		list, _ := kubeSpec["overlays"].([]any)
		for _, o := range list {
			fields, _ := o.(m)
			patches, _ := fields["patches"].([]any)
			for _, p := range patches {
				fields, _ := p.(m)
				if path, ok := fields["path"].(string); ok && !slices.Contains(known, path) {
					known = append(known, path)
				}
			}
		}
	}
	return rapid.Custom(func(t *rapid.T) string {
		path := rapid.SampledFrom(known).Draw(t, "known")
		for range rapid.IntRange(0, 2).Draw(t, "changes") {
			parts := strings.Split(path, ".")
			at := rapid.IntRange(0, len(parts)-1).Draw(t, "at")
			switch rapid.IntRange(0, 6).Draw(t, "change") {
			case 0:
				parts[at] = rapid.SampledFrom(names).Draw(t, "name")
			case 1:
				parts = slices.Delete(parts, at, at+1)
			case 2:
				parts = slices.Insert(parts, at, rapid.SampledFrom(names).Draw(t, "name"))
			case 3:
				parts[at] += rapid.SampledFrom(selectors).Draw(t, "selector")
			case 4:
				parts[at] = strings.ToUpper(parts[at])
			case 5:
				parts = parts[:at]
			case 6:
				parts = append(parts, rapid.SampledFrom(names).Draw(t, "name"))
			}
			path = strings.Join(parts, ".")
		}
		return path
	})
}

// values draws values of patches and fields, which may carry whole overlays.
func values(depth int) *rapid.Generator[any] {
	leaf := rapid.SampledFrom([]any{nil, true, "x", "JWT", "CENTRAL_AUTH", int64(1), 1.5, []any{}, m{}, []any{"x"}, m{"name": "A", "value": "b"}, m{"name": "CENTRAL_AUTH_MODE", "value": "b"}, m{"name": 1}, m{"name": "A", "Name": "B"}, m{"name": "a b"}, []any{m{"name": "A", "valueFrom": m{}}}})
	if depth == 0 {
		return leaf
	}
	return rapid.Custom(func(t *rapid.T) any {
		switch rapid.IntRange(0, 4).Draw(t, "shape") {
		case 0:
			return leaf.Draw(t, "leaf")
		case 1:
			return anOverlay(depth-1).Draw(t, "overlay")
		case 2:
			return append([]any{}, rapid.SliceOfN(values(depth-1), 0, 2).Draw(t, "list")...)
		case 3:
			return kubeSpecs(depth-1).Draw(t, "kubeSpec")
		}
		fields := m{}
		for _, key := range rapid.SliceOfN(rapid.SampledFrom(names), 0, 2).Draw(t, "keys") {
			fields[key] = values(depth-1).Draw(t, "value")
		}
		return fields
	})
}

// rarely draws something else once in a while.
func rarely(t *rapid.T, what string, other *rapid.Generator[any], usual func() any) any {
	if rapid.IntRange(0, 11).Draw(t, "odd "+what) == 0 {
		return other.Draw(t, what)
	}
	return usual()
}

func anOverlay(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		odd := values(0)
		return rarely(t, "overlay", odd, func() any {
			o := m{"kind": rarely(t, "kind", odd, func() any {
				return rapid.SampledFrom([]string{"EdgeXcp", "CentralXcp", "Deployment", "Deployment", "Service", "edgexcp", " EdgeXcp", ""}).Draw(t, "kind")
			})}
			if rapid.IntRange(0, 3).Draw(t, "named") > 0 {
				o["name"] = rarely(t, "name", odd, func() any {
					return rapid.SampledFrom([]string{"edge", "xcp-edge", "edge-xcp", "central", "web", "Edge", "edge ", ""}).Draw(t, "name")
				})
			}
			if rapid.IntRange(0, 9).Draw(t, "more") == 0 {
				o[rapid.SampledFrom([]string{"apiVersion", "Kind", "patch", "Patches"}).Draw(t, "key")] = odd.Draw(t, "more")
			}
			if rapid.IntRange(0, 9).Draw(t, "without patches") > 0 {
				o["patches"] = rarely(t, "patches", odd, func() any {
					list := []any{}
					for range rapid.IntRange(0, 2).Draw(t, "patches") {
						list = append(list, rarely(t, "patch", odd, func() any {
							p := m{"path": rarely(t, "path", odd, func() any { return paths().Draw(t, "path") })}
							if rapid.IntRange(0, 9).Draw(t, "without value") > 0 {
								p["value"] = values(max(depth, 0)).Draw(t, "value")
							}
							if rapid.IntRange(0, 19).Draw(t, "with op") == 0 {
								p["op"] = "add"
							}
							return p
						}))
					}
					return list
				})
			}
			return o
		})
	})
}

func kubeSpecs(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		odd := values(0)
		return rarely(t, "kubeSpec", odd, func() any {
			k := m{}
			if rapid.IntRange(0, 2).Draw(t, "deployment") == 0 {
				k["deployment"] = rarely(t, "deployment", odd, func() any {
					d := m{}
					for _, key := range rapid.SliceOfN(rapid.SampledFrom(names), 0, 1).Draw(t, "keys") {
						d[key] = odd.Draw(t, "field")
					}
					if rapid.Bool().Draw(t, "env") {
						d["env"] = rarely(t, "env", odd, func() any { return append([]any{}, rapid.SliceOfN(odd, 0, 2).Draw(t, "env")...) })
					}
					return d
				})
			}
			if rapid.IntRange(0, 4).Draw(t, "another") == 0 {
				k[rapid.SampledFrom(names).Draw(t, "key")] = odd.Draw(t, "field")
			}
			if rapid.IntRange(0, 5).Draw(t, "overlays") > 0 {
				k["overlays"] = rarely(t, "overlays", odd, func() any {
					return append([]any{}, rapid.SliceOfN(anOverlay(max(depth, 0)), 0, 2).Draw(t, "overlays")...)
				})
			}
			return k
		})
	})
}

// edited draws a kubeSpec that is another one, or that one with its overlays in another order and more beside them.
func edited(t *rapid.T, old any) any {
	fields, isMap := old.(m)
	list, isList := fields["overlays"].([]any)
	if !isMap || !isList || rapid.Bool().Draw(t, "another one") {
		return kubeSpecs(2).Draw(t, "new")
	}
	fields = maps.Clone(fields)
	list = append(append([]any{}, rapid.Permutation(list).Draw(t, "order")...), rapid.SliceOfN(anOverlay(1), 0, 1).Draw(t, "added")...)
	for i, o := range list {
		if overlay, _ := o.(m); overlay != nil && rapid.Bool().Draw(t, "add a patch") {
			if patches, isList := overlay["patches"].([]any); isList {
				overlay = maps.Clone(overlay)
				overlay["patches"] = append([]any{m{"path": paths().Draw(t, "path"), "value": values(1).Draw(t, "value")}}, patches...)
				list[i] = overlay
			}
		}
	}
	fields["overlays"] = list
	return fields
}

func reachingIDs(kubeSpec any) map[string]bool {
	ids := map[string]bool{}
	for _, r := range overlay.Judge(kubeSpec) {
		ids[r.ID] = true
	}
	return ids
}

// For any two overlays whatever: the fence admits exactly the edits that bring nothing which reaches authentication, and what the webhook is not
// asked about brings nothing either.
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
			t.Fatalf("the fence admits it: %v (%v), and it brings %v\n%s\n%s", admitted, err, overlay.Judge(new), text(old), text(new))
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
