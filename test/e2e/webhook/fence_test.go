//go:build linux

package webhook

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/xcpauth/kubectl-xcpauth/test/cases"
)

// The shipped fence in a real cluster lets pass what its table says, and nothing else: the same table that the API
// server's compiler is held to beside pkg/tsb.
func TestTheFenceDecidesAsItsTableSays(t *testing.T) {
	h := startHub(t)
	plane := func(ns, name string, fields m) *unstructured.Unstructured {
		o := m{"apiVersion": "install.tetrate.io/v1alpha1", "kind": "ControlPlane",
			"metadata": m{"namespace": ns, "name": name}}
		maps.Copy(o, fields)
		return copied(o)
	}
	ns := h.namespace("fenced")
	old := map[string]*unstructured.Unstructured{}
	for i, c := range cases.Fence() {
		if c.Old == nil {
			continue
		}
		made, err := h.objects.Resource(controlPlanes).Namespace(ns).Create(t.Context(),
			plane(ns, fmt.Sprintf("row-%d", i), c.Old), metav1.CreateOptions{})
		h.must(err)
		old[c.Name] = made
	}
	if out, err := h.kubectl("apply", "-k", filepath.Join("..", "..", "..", "manifests", "fence")); err != nil {
		t.Fatalf("applying the fence: %v\n%s", err, out)
	}
	dryRun := []string{metav1.DryRunAll}
	edit := func(i int, c cases.FenceCase) error {
		o := plane(ns, fmt.Sprintf("row-%d", i), c.New)
		if c.Old == nil {
			o.SetName(fmt.Sprintf("new-%d", i))
			_, err := h.objects.Resource(controlPlanes).Namespace(ns).Create(t.Context(), o,
				metav1.CreateOptions{DryRun: dryRun})
			return err
		}
		o.SetResourceVersion(old[c.Name].GetResourceVersion())
		_, err := h.objects.Resource(controlPlanes).Namespace(ns).Update(t.Context(), o, metav1.UpdateOptions{DryRun: dryRun})
		return err
	}
	h.eventually("the fence is enforced", func(context.Context) error {
		if edit(-1, cases.FenceCase{New: m{"spec": m{}}}) == nil {
			return errors.New("a ControlPlane without a mode can be created")
		}
		return nil
	})
	denied := 0
	for i, c := range cases.Fence() {
		err := edit(i, c)
		byFence := apierrors.IsForbidden(err) && strings.Contains(err.Error(),
			"ValidatingAdmissionPolicy 'xcpauth-fence' with binding 'xcpauth-fence' denied request")
		if (err == nil) != c.Admitted || (err != nil && !byFence) {
			t.Errorf("%s: %v, want admitted: %v", c.Name, err, c.Admitted)
		}
		if err != nil {
			denied++
		}
	}
	t.Logf("%d edits, %d denied", len(cases.Fence()), denied)

	// an object that is being deleted loses its finalizer, whatever it says
	leaving := plane(ns, "leaving", m{"spec": m{"components": m{"xcp": m{"centralAuthMode": "JWT"}}}})
	leaving.SetFinalizers([]string{"example.test/hold"})
	planes := h.objects.Resource(controlPlanes).Namespace(ns)
	_, err := planes.Create(t.Context(), leaving, metav1.CreateOptions{})
	h.must(err)
	h.must(planes.Delete(t.Context(), "leaving", metav1.DeleteOptions{}))
	h.must(h.mergePatch(controlPlanes, ns, "leaving", m{"metadata": m{"finalizers": nil}, "spec": m{"components": nil}}))
}
