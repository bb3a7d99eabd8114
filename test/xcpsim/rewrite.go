package xcpsim

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// rewriter writes defaults back into one CR, as live dumps show them: what nobody set is there, written by the
// operator.
type rewriter struct {
	c        *cluster
	gvr      schema.GroupVersionResource
	defaults []fieldDefault
	own      int64 // the generation that its own last write made
}

type fieldDefault struct {
	path  []string
	value any
}

// Defaults below spec.components that dumps show; of the ManagementPlane's only the front Envoy's is documented
// beside those that both have.
var (
	edgeDefaults = append(componentDefaults, replicas("hpaAdapter"), replicas("istio"), replicas("ngac"),
		replicas("satellite"))
	hubDefaults = append(componentDefaults, fieldDefault{[]string{"frontEnvoy", "port"}, int64(8443)})

	componentDefaults = []fieldDefault{
		replicas("collector"), replicas("xcp"), replicas("oap"), {[]string{"xcp", "configProtection"}, map[string]any{}},
		{[]string{"xcp", "kubeSpec", "service", "type"}, "ClusterIP"},
	}
)

func replicas(component string) fieldDefault {
	return fieldDefault{[]string{component, "kubeSpec", "deployment", "replicaCount"}, int64(1)}
}

// follow adds the next default that is missing after each edit that is not its own, by an update of the whole object:
// whoever read the object before loses a race that he cannot see coming.
func (r *rewriter) follow(ctx context.Context, cr *unstructured.Unstructured) error {
	if cr.GetGeneration() == r.own {
		return nil
	}
	for _, d := range r.defaults {
		path := append([]string{"spec", "components"}, d.path...)
		if _, found, err := unstructured.NestedFieldNoCopy(cr.Object, path...); found || err != nil {
			continue // or what is there is not an object: not the operator's to fix
		}
		changed := cr.DeepCopy()
		if err := unstructured.SetNestedField(changed.Object, d.value, path...); err != nil {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, writeDeadline)
		defer cancel()
		stored, err := r.c.dyn.Resource(r.gvr).Namespace(cr.GetNamespace()).Update(ctx, changed,
			metav1.UpdateOptions{FieldManager: "tsb-operator"})
		if apierrors.IsConflict(err) {
			return nil // somebody was faster: what he wrote wakes the operator
		}
		if err != nil {
			return fmt.Errorf("write defaults to %s %s/%s: %w", r.gvr.Resource, cr.GetNamespace(), cr.GetName(), err)
		}
		r.own = stored.GetGeneration()
		return nil
	}
	return nil
}
