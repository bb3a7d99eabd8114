package execute

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/fleet"
	"github.com/xcpauth/kubectl-xcpauth/pkg/observe"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

// Live is the clusters of a kubeconfig.
type Live struct {
	Fleet    *fleet.Fleet
	Observer *observe.Observer
	Dialect  plan.Dialect
	Where    plan.Selection // which of the contexts hold the hub
	Supplier Supplier       // where credentials come from; nil when nowhere
	Fills    map[string]Fill

	mu     sync.Mutex
	latest map[string]plan.Snapshot
}

// Observe implements Clusters.
func (l *Live) Observe(ctx context.Context, contexts ...string) plan.Facts {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.latest == nil {
		l.latest, contexts = map[string]plan.Snapshot{}, nil // nothing was seen of the others yet
	}
	if len(contexts) == 0 {
		contexts = l.Fleet.Contexts()
	}
	for _, s := range l.Observer.All(ctx, contexts) {
		if _, known := l.latest[s.Context]; !known || ctx.Err() == nil { // an interrupted look says less than the last one
			l.latest[s.Context] = s
		}
	}
	all := make([]plan.Snapshot, 0, len(l.latest))
	for _, name := range l.Fleet.Contexts() {
		all = append(all, l.latest[name])
	}
	return l.Dialect.Facts(all, l.Where, l.Now())
}

// Now implements Clusters.
func (l *Live) Now() time.Time { return time.Now() }

// Pause implements Clusters.
func (l *Live) Pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// Write implements Clusters. A kind that it makes is served when it returns.
func (l *Live) Write(ctx context.Context, p plan.Patch, still func() error) (bool, error) {
	wrote, err := writer{fleet: l.Fleet, fills: l.Fills}.write(ctx, p, still)
	if err == nil && p.Create && p.Object.Kind == "CustomResourceDefinition" {
		err = l.served(ctx, p)
	}
	return wrote, err
}

// served waits until the API server serves the kind of a CustomResourceDefinition that was just made.
func (l *Live) served(ctx context.Context, crd plan.Patch) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	c, err := l.Fleet.Cluster(crd.Context)
	if err != nil {
		return err
	}
	list := observe.Path(plan.Read{Group: api.GroupVersion.Group, Version: api.GroupVersion.Version, Resource: api.EdgeClusters.Resource, Namespace: api.Namespace})
	for {
		err := c.REST.Get().AbsPath(list).Do(ctx).Error()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("waiting for %s in %s to be served: %s", crd.Object, crd.Context, observe.Explain(err))
		}
		l.Pause(ctx, 200*time.Millisecond)
	}
}

// Probe implements Clusters. The connection is a new one each time, since each may lead to another of a cluster's API servers.
func (l *Live) Probe(ctx context.Context, p plan.Patch) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	c, err := l.Fleet.Cluster(p.Context)
	if err != nil {
		return "", err
	}
	client, end, err := c.Fresh()
	if err != nil {
		return "", err
	}
	defer end()
	body := maps.Clone(p.After)
	body["metadata"] = map[string]any{"uid": p.Object.UID}
	doc, err := json.Marshal(body)
	if err != nil {
		return "", fmt.Errorf("encoding the probe of %s: %w", p.Object, err)
	}
	req := client.Patch(types.MergePatchType).AbsPath(objectPath(p.Object)).Body(doc)
	err = writer{dryRun: true}.options(req).Do(ctx).Error()
	var denied *DeniedError
	switch err := (writer{}).explain(p, err); {
	case errors.As(err, &denied):
		return denied.Message, nil
	default:
		return "", err
	}
}

// Publish implements Clusters.
func (l *Live) Publish(ctx context.Context, hub string, m plan.Member, st api.EdgeClusterStatus) error {
	c, err := l.Fleet.Cluster(hub)
	if err != nil {
		return err
	}
	st.Conditions = nil // the webhook's auditor writes those, even where a statement that was handed over has some
	status, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&st)
	var doc []byte
	if err == nil {
		for _, key := range []string{"rotationTime", "fence"} { // what an older statement said must not stay beside this one
			if _, said := status[key]; !said {
				status[key] = nil
			}
		}
		doc, err = json.Marshal(map[string]any{"status": status})
	}
	if err != nil {
		return fmt.Errorf("encoding the statement about %s: %w", m.Name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	err = c.REST.Patch(types.MergePatchType).AbsPath(objectPath(roster.Ref(m.Name))+"/status").
		Param("fieldManager", FieldManager).Param("fieldValidation", "Strict").Body(doc).Do(ctx).Error()
	if err != nil {
		return fmt.Errorf("publishing the statement about %s in %s: %s", m.Name, hub, observe.Explain(err))
	}
	return nil
}
