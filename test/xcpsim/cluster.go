package xcpsim

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// cluster is one API server as the simulator sees it: clients, and mirrors of what it acts upon.
type cluster struct {
	site    Site
	kube    kubernetes.Interface
	dyn     dynamic.Interface
	pods    *mirror[*corev1.Pod]
	secrets *mirror[*corev1.Secret]
	planes  map[schema.GroupVersionResource]*mirror[*unstructured.Unstructured]
}

// newCluster makes the clients of a site; it talks to nobody.
func newCluster(site Site) (*cluster, error) {
	cfg := rest.CopyConfig(site.Config)
	cfg.QPS, cfg.Burst = 200, 400
	cfg.UserAgent = "xcpsim"
	kube, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("client for %s: %w", site.Name, err)
	}
	dyn, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("client for %s: %w", site.Name, err)
	}
	c := &cluster{site: site, kube: kube, dyn: dyn,
		planes: map[schema.GroupVersionResource]*mirror[*unstructured.Unstructured]{}}
	c.pods = &mirror[*corev1.Pod]{
		list: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return kube.CoreV1().Pods("").List(ctx, o)
		},
		watch: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return kube.CoreV1().Pods("").Watch(ctx, o)
		},
	}
	c.secrets = &mirror[*corev1.Secret]{
		list: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return kube.CoreV1().Secrets("").List(ctx, o)
		},
		watch: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return kube.CoreV1().Secrets("").Watch(ctx, o)
		},
	}
	return c, nil
}

// plane adds a mirror of a custom resource; call it before run.
func (c *cluster) plane(gvr schema.GroupVersionResource) *mirror[*unstructured.Unstructured] {
	if m, ok := c.planes[gvr]; ok {
		return m
	}
	m := &mirror[*unstructured.Unstructured]{
		list: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return c.dyn.Resource(gvr).List(ctx, o)
		},
		watch: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return c.dyn.Resource(gvr).Watch(ctx, o)
		},
	}
	c.planes[gvr] = m
	return m
}

// only returns the one custom resource of a kind that an operator acts upon: the first by name in its namespace, none
// while it is being deleted.
func (c *cluster) only(gvr schema.GroupVersionResource, namespace string) *unstructured.Unstructured {
	all := slices.DeleteFunc(c.planes[gvr].all(),
		func(u *unstructured.Unstructured) bool { return u.GetNamespace() != namespace })
	slices.SortFunc(all, func(a, b *unstructured.Unstructured) int {
		return strings.Compare(a.GetName(), b.GetName())
	})
	if len(all) == 0 || all[0].GetDeletionTimestamp() != nil {
		return nil
	}
	return all[0]
}

// plays says whether the simulator runs the pods of a namespace: those of the planes that it operates.
func (c *cluster) plays(namespace string) bool {
	for _, gvr := range []schema.GroupVersionResource{managementPlanes, controlPlanes} {
		m, ok := c.planes[gvr]
		if !ok {
			continue
		}
		for _, p := range m.all() {
			if p.GetNamespace() == namespace {
				return true
			}
		}
	}
	return false
}

// secret returns the data of a secret as last seen.
func (c *cluster) secret(namespace, name string) (map[string][]byte, bool) {
	s, ok := c.secrets.get(namespace, name)
	if !ok {
		return nil, false
	}
	return s.Data, true
}

const writeDeadline = 10 * time.Second

// apply writes an object by server-side apply as one of the operators: what others added to it stays.
func (c *cluster) apply(ctx context.Context, gvr schema.GroupVersionResource, manager string,
	obj map[string]any) error {
	u := &unstructured.Unstructured{Object: obj}
	ctx, cancel := context.WithTimeout(ctx, writeDeadline)
	defer cancel()
	_, err := c.dyn.Resource(gvr).Namespace(u.GetNamespace()).Apply(ctx, u.GetName(), u,
		metav1.ApplyOptions{FieldManager: manager, Force: true})
	if err != nil {
		return fmt.Errorf("apply %s %s/%s: %w", gvr.Resource, u.GetNamespace(), u.GetName(), err)
	}
	return nil
}

// rolledOut says whether a Deployment runs only pods of its newest template, none of the others even ending any more
// (its status does not count those); a missing one does not.
func (c *cluster) rolledOut(ctx context.Context, namespace, name string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, writeDeadline)
	defer cancel()
	d, err := c.kube.AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return false, fmt.Errorf("read deployment %s/%s: %w", namespace, name, err)
	}
	want := int32(1)
	if d.Spec.Replicas != nil {
		want = *d.Spec.Replicas
	}
	s := d.Status
	if s.ObservedGeneration < d.Generation || s.UpdatedReplicas != want || s.Replicas != want ||
		s.AvailableReplicas != want {
		return false, nil
	}
	pods, err := c.kube.CoreV1().Pods(namespace).List(ctx,
		metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(d.Spec.Selector)})
	if err != nil {
		return false, fmt.Errorf("list pods of deployment %s/%s: %w", namespace, name, err)
	}
	return len(pods.Items) == int(want), nil
}
