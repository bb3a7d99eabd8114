package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Uninstall takes everything away again but the kinds and the namespaces, which are empty when it returns (a
// namespace is only deleted after five seconds, and its controller is asked again and again). Call it when no Fleet
// plays any more.
func Uninstall(ctx context.Context, o Options) error {
	o = o.filled()
	all, err := o.clusters()
	if err != nil {
		return err
	}
	results := make(chan error)
	for _, c := range all {
		go func() {
			err := o.uninstall(ctx, c)
			if err != nil {
				err = fmt.Errorf("uninstall %s from %s: %w", o.deployment(), c.site.Name, err)
			}
			results <- err
		}()
	}
	var errs []error
	for range all {
		errs = append(errs, <-results)
	}
	return errors.Join(errs...)
}

// uninstall empties one cluster, after what the product's own chart has outside of the namespace:
//  1. the Zones, the ZoneInsights and the node;
//  2. what makes pods, and the pods, until no more are made;
//  3. every other kind in the namespace.
func (o Options) uninstall(ctx context.Context, c *cluster) error {
	if o.Program != nil {
		if err := o.uninstallChart(ctx, c); err != nil {
			return err
		}
	}
	for _, kind := range []schema.GroupVersionResource{zones, zoneInsights} {
		if err := c.empty(ctx, kind, ""); err != nil {
			return err
		}
	}
	if err := c.kube.CoreV1().Nodes().Delete(ctx, nodeName, metav1.DeleteOptions{}); err != nil &&
		!apierrors.IsNotFound(err) {
		return fmt.Errorf("delete the node: %w", err)
	}
	makers := []schema.GroupVersionResource{
		{Group: "apps", Version: "v1", Resource: "deployments"}, {Group: "apps", Version: "v1", Resource: "replicasets"},
		{Version: "v1", Resource: "pods"},
	}
	for left := 1; left > 0; {
		left = 0
		for _, kind := range makers {
			if err := c.empty(ctx, kind, o.Namespace); err != nil {
				return err
			}
		}
		pause(ctx, 50*time.Millisecond)
		for _, kind := range makers {
			list, err := c.dyn.Resource(kind).Namespace(o.Namespace).List(ctx, metav1.ListOptions{})
			if err != nil {
				return fmt.Errorf("list %s: %w", kind.Resource, err)
			}
			left += len(list.Items)
		}
	}
	kinds, err := c.kube.Discovery().ServerPreferredNamespacedResources()
	if err != nil {
		return fmt.Errorf("discover the kinds: %w", err)
	}
	for _, list := range kinds {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return fmt.Errorf("discover the kinds: %w", err)
		}
		for _, r := range list.APIResources {
			if !slices.Contains(r.Verbs, "deletecollection") {
				continue
			}
			if err := c.empty(ctx, version.WithResource(r.Name), o.Namespace); err != nil {
				return err
			}
		}
	}
	return nil
}

// empty deletes all of a kind in a namespace, "" for a kind that is in none; a kind that the cluster does not have
// has none.
func (c *cluster) empty(ctx context.Context, kind schema.GroupVersionResource, namespace string) error {
	now, background := int64(0), metav1.DeletePropagationBackground
	err := c.dyn.Resource(kind).Namespace(namespace).DeleteCollection(ctx,
		metav1.DeleteOptions{GracePeriodSeconds: &now, PropagationPolicy: &background}, metav1.ListOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete all %s: %w", kind.Resource, err)
	}
	return nil
}
