package manifests_test

import (
	"maps"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/xcpauth/kubectl-xcpauth/test/cases"
)

var (
	names = []string{"spec", "metadata", "labels", "annotations", "components", "edgeServer", "centralServer",
		"kubeSpec", "deployment", "env", "envFrom", "overlays", "patches", "template", "containers", "initContainers",
		"volumes", "args", "command", "image", "volumeMounts", "resources", "service", "centralAuthMode", "centralAuthModes",
		"centralAuthJwt", "centralSni", "centralCaSecret", "logLevels", "name", "value", "valueFrom", "kube_spec", "Spec",
		"KUBESPEC", "Overlays", `a\.b`, "x/y", "_", "", " ", "auth", "tlsMode", "0", "spec spec", "/", `\`, "é"}
	selectors = []string{"[0]", "[-1]", "[name:A]", "[name:CENTRAL_AUTH]", `[name="B"]`, "[name:'C']", `[name:"C']`,
		"[name=A/B]", "[x:y]", "[na-me:x]", "[a.b:c]", "[]", "[", "]", "[-]", "[--1]", "[name:]", "[name:a b]"}
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
	leaf := rapid.SampledFrom([]any{nil, true, "x", "JWT", "CENTRAL_AUTH", int64(1), 1.5, []any{}, m{}, []any{"x"},
		m{"name": "A", "value": "b"}, m{"name": "CENTRAL_AUTH_MODE", "value": "b"}, m{"name": 1}, m{"name": "A", "Name": "B"},
		m{"name": "a b"}, []any{m{"name": "A", "valueFrom": m{}}}})
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
				return rapid.SampledFrom([]string{"EdgeXcp", "CentralXcp", "Deployment", "Deployment", "Service", "edgexcp",
					" EdgeXcp", ""}).Draw(t, "kind")
			})}
			if rapid.IntRange(0, 3).Draw(t, "named") > 0 {
				o["name"] = rarely(t, "name", odd, func() any {
					return rapid.SampledFrom([]string{"edge", "xcp-edge", "edge-xcp", "central", "web", "Edge", "edge ", ""}).Draw(t,
						"name")
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
						d["env"] = rarely(t, "env", odd, func() any {
							return append([]any{}, rapid.SliceOfN(odd, 0, 2).Draw(t,
								"env")...)
						})
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
	list = append(append([]any{}, rapid.Permutation(list).Draw(t, "order")...), rapid.SliceOfN(anOverlay(1), 0, 1).Draw(t,
		"added")...)
	for i, o := range list {
		if overlay, _ := o.(m); overlay != nil && rapid.Bool().Draw(t, "add a patch") {
			if patches, isList := overlay["patches"].([]any); isList {
				overlay = maps.Clone(overlay)
				overlay["patches"] = append([]any{m{"path": paths().Draw(t, "path"), "value": values(1).Draw(t, "value")}},
					patches...)
				list[i] = overlay
			}
		}
	}
	fields["overlays"] = list
	return fields
}
