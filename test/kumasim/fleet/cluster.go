package fleet

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// cluster is one API server, and which zone it is; "" is the global.
type cluster struct {
	site Site
	zone string
	kube kubernetes.Interface
	dyn  dynamic.Interface
}

var (
	zones        = schema.GroupVersionResource{Group: "kuma.io", Version: "v1alpha1", Resource: "zones"}
	zoneInsights = schema.GroupVersionResource{Group: "kuma.io", Version: "v1alpha1", Resource: "zoneinsights"}
)

const (
	requestLimit = 10 * time.Second
	retryAfter   = 250 * time.Millisecond
	resync       = time.Second
)

// newCluster makes the clients of a site; it talks to nobody.
func newCluster(s Site, zone string) (*cluster, error) {
	config := rest.CopyConfig(s.Config)
	config.QPS, config.Burst, config.UserAgent = 200, 400, "kumasim"
	config.WarningHandler = rest.NoWarnings{} // of kinds that are only emptied
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a client for %s: %w", s.Name, err)
	}
	dyn, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a client for %s: %w", s.Name, err)
	}
	return &cluster{site: s, zone: zone, kube: kube, dyn: dyn}, nil
}

// clusters are those of the options, the global first.
func (o Options) clusters() ([]*cluster, error) {
	global, err := newCluster(o.Global, "")
	if err != nil {
		return nil, err
	}
	all := []*cluster{global}
	for _, z := range o.Zones {
		c, err := newCluster(z, z.Name)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// follow looks at once, and again whenever something changed since, at least once a second, until ctx ends. An API
// server that is away is asked again soon; look returns the resource version that it saw.
func follow(ctx context.Context, look func(context.Context) (string, error),
	watch func(context.Context, metav1.ListOptions) (watch.Interface, error)) {
	for ctx.Err() == nil {
		version, err := limited(ctx, look)
		if err == nil {
			err = awaitChange(ctx, version, watch)
		}
		if err != nil {
			pause(ctx, retryAfter)
		}
	}
}

// awaitChange returns at the first event behind a version, or after a second.
func awaitChange(ctx context.Context, version string, watch func(context.Context,
	metav1.ListOptions) (watch.Interface, error)) error {
	ctx, cancel := context.WithTimeout(ctx, resync)
	defer cancel()
	w, err := watch(ctx, metav1.ListOptions{ResourceVersion: version})
	if err != nil {
		return err
	}
	defer w.Stop()
	select {
	case <-ctx.Done():
	case <-w.ResultChan():
	}
	return nil
}

// limited calls f with the time that one request may take.
func limited[T any](ctx context.Context, f func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	return f(ctx)
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
