//go:build linux

package webhook

import (
	"encoding/json"
	"fmt"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/xcpauth/kubectl-xcpauth/test/cases"
)

// way is one way to write new over an object that holds old.
type way struct {
	name  string
	write func(h *hub, client dynamic.ResourceInterface, old, new *unstructured.Unstructured) (*unstructured.Unstructured,
		error)
}

var ways = []way{
	{"merge patch", func(h *hub, client dynamic.ResourceInterface, old,
		new *unstructured.Unstructured) (*unstructured.Unstructured, error) {
		before, after := plain(h, old), plain(h, new)
		patch, err := jsonpatch.CreateMergePatch(before, after)
		h.must(err)
		return client.Patch(h.Context(), new.GetName(), types.MergePatchType, patch, metav1.PatchOptions{})
	}},
	{"JSON patch", func(h *hub, client dynamic.ResourceInterface, _,
		new *unstructured.Unstructured) (*unstructured.Unstructured, error) {
		return client.Patch(h.Context(), new.GetName(), types.JSONPatchType, replaceXCP(h, new), metav1.PatchOptions{})
	}},
	{"server-side apply", func(h *hub, client dynamic.ResourceInterface, _,
		new *unstructured.Unstructured) (*unstructured.Unstructured, error) {
		return client.Apply(h.Context(), new.GetName(), new, metav1.ApplyOptions{FieldManager: owner, Force: true})
	}},
	{"PUT", func(h *hub, client dynamic.ResourceInterface, old,
		new *unstructured.Unstructured) (*unstructured.Unstructured, error) {
		new.SetResourceVersion(old.GetResourceVersion())
		return client.Update(h.Context(), new, metav1.UpdateOptions{})
	}},
	{"dry run", func(h *hub, client dynamic.ResourceInterface, old,
		new *unstructured.Unstructured) (*unstructured.Unstructured, error) {
		return client.Patch(h.Context(), new.GetName(), types.JSONPatchType, replaceXCP(h, new),
			metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
	}},
}

// plain is the spec of an object as JSON, for the computation of a patch.
func plain(h *hub, o *unstructured.Unstructured) []byte {
	b, err := json.Marshal(m{"spec": o.Object["spec"]})
	h.must(err)
	return b
}

// replaceXCP is the JSON patch that puts the xcp of an object over another, or takes it away.
func replaceXCP(h *hub, o *unstructured.Unstructured) []byte {
	op := m{"op": "remove", "path": "/spec/components/xcp"}
	if xcp, ok, _ := unstructured.NestedFieldNoCopy(o.Object, "spec", "components", "xcp"); ok {
		op = m{"op": "add", "path": "/spec/components/xcp", "value": xcp}
	}
	b, err := json.Marshal([]any{op})
	h.must(err)
	return b
}

// everyEdit makes one object per row and way while nobody is known to be a member, then lets the fleet appear and
// edits.
func everyEdit(h *hub, n node) {
	for _, edges := range []cases.Edges{cases.OnMTLS, cases.OnJWT, cases.Unknown} {
		h.Run(string(edges), func(t *testing.T) {
			h := h.in(t)
			ns := h.namespace("edits-" + string(edges))
			h.emptyRoster()
			old := map[string]*unstructured.Unstructured{}
			for i, c := range cases.All() {
				for j := range ways {
					name := fmt.Sprintf("row-%d-way-%d", i, j)
					old[name] = h.create(managementPlanes, managementPlane(ns, name, c.Old))
				}
			}
			h.fleet(edges)
			for i, c := range cases.All() {
				for j, w := range ways {
					t.Run(c.Name+"/"+w.name, func(t *testing.T) {
						name := fmt.Sprintf("row-%d-way-%d", i, j)
						edit(h.in(t), w, old[name], managementPlane(ns, name, c.New), c.Denied[edges])
					})
				}
			}
		})
	}
}

// edit writes new over old in one way, and checks the verdict and what is stored after it.
func edit(h *hub, w way, old, new *unstructured.Unstructured, deny bool) {
	client := h.objects.Resource(managementPlanes).Namespace(new.GetNamespace())
	want := storedXCP(new)
	got, err := w.write(h, client, old, new)
	if deny {
		h.denied(err, "edge-1")
		if err := byRule(err); err != nil {
			h.Error(err)
		}
	} else {
		h.must(err)
		if storedXCP(got) != want {
			h.Errorf("the edit did not say what was meant: %s, want %s", storedXCP(got), want)
		}
	}
	if deny || w.name == "dry run" {
		after, err := client.Get(h.Context(), new.GetName(), metav1.GetOptions{})
		h.must(err)
		if after.GetResourceVersion() != old.GetResourceVersion() {
			h.Error("the object changed")
		}
	}
}

// storedXCP is the xcp of an object as text, without what is null or an empty map: a merge patch cannot write the
// one, and server-side apply takes a map away with its last entry.
func storedXCP(o *unstructured.Unstructured) string {
	xcp, _, _ := unstructured.NestedFieldNoCopy(o.Object, "spec", "components", "xcp")
	b, err := json.Marshal(withoutNothing(xcp))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func withoutNothing(v any) any {
	fields, ok := v.(m)
	if !ok {
		return v
	}
	rest := m{}
	for key, value := range fields {
		if value = withoutNothing(value); value != nil {
			rest[key] = value
		}
	}
	if len(rest) == 0 {
		return nil
	}
	return rest
}
