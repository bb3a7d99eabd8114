package fleet

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/uuid"

	"github.com/xcpauth/kubectl-xcpauth/test/kumasim"
)

// kept is how many subscriptions of a zone are kept (metrics.zone.subscriptionLimit).
const kept = 10

// insights writes what globals tell of streams: a Zone for whoever connects, and its ZoneInsight (Kuma pkg/kds/status/status_tracker.go
// and api/system/v1alpha1/zone_insight_helpers.go at v2.13.5).
type insights struct {
	c    *cluster
	wake chan struct{}
	logf func(who, format string, args ...any)

	mu      sync.Mutex
	pending map[string][]map[string]any // subscriptions to be written, by zone
	late    map[string]bool
}

func newInsights(c *cluster, logf func(string, string, ...any)) *insights {
	return &insights{c: c, wake: make(chan struct{}, 1), logf: logf, pending: map[string][]map[string]any{}, late: map[string]bool{}}
}

// opened notes a stream; the returned function notes its end.
func (i *insights) opened(s kumasim.Subscription, global string) (ended func()) {
	id, connected := string(uuid.NewUUID()), stamp(s.Since)
	note := func(disconnected string) {
		sub := map[string]any{"id": id, "globalInstanceId": global, "connectTime": connected, "status": map[string]any{"lastUpdateTime": stamp(time.Now()), "total": map[string]any{}}}
		if s.AuthTokenProvided {
			sub["authTokenProvided"] = true
		}
		if s.Instance != "" {
			sub["zoneInstanceId"] = s.Instance
		}
		if disconnected != "" {
			sub["disconnectTime"] = disconnected
		}
		i.mu.Lock()
		i.pending[s.Zone] = append(i.pending[s.Zone], sub)
		i.mu.Unlock()
		i.poke()
	}
	note("")
	return func() { note(stamp(time.Now())) }
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func (i *insights) poke() {
	select {
	case i.wake <- struct{}{}:
	default:
	}
}

// setLate holds back what is to be written about a zone, or lets it go.
func (i *insights) setLate(zone string, late bool) {
	i.mu.Lock()
	i.late[zone] = late
	i.mu.Unlock()
	i.poke()
}

// run writes until ctx ends.
func (i *insights) run(ctx context.Context) {
	for ctx.Err() == nil {
		i.mu.Lock()
		due := slices.Sorted(maps.Keys(i.pending))
		due = slices.DeleteFunc(due, func(zone string) bool { return i.late[zone] })
		i.mu.Unlock()
		again := resync
		for _, zone := range due {
			if _, err := limited(ctx, func(ctx context.Context) (any, error) { return nil, i.write(ctx, zone) }); err != nil && ctx.Err() == nil {
				i.logf("insights", "%v", err)
				again = retryAfter
			}
		}
		t := time.NewTimer(again)
		select {
		case <-ctx.Done():
		case <-i.wake:
		case <-t.C:
		}
		t.Stop()
	}
}

// write brings one zone's objects up to date; what it wrote is pending no more.
func (i *insights) write(ctx context.Context, zone string) error {
	i.mu.Lock()
	news := slices.Clone(i.pending[zone])
	i.mu.Unlock()
	_, err := i.c.dyn.Resource(zones).Create(ctx, object("Zone", zone, map[string]any{"enabled": true}), metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create Zone %s: %w", zone, err)
	}
	client := i.c.dyn.Resource(zoneInsights)
	o, err := client.Get(ctx, zone, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = client.Create(ctx, object("ZoneInsight", zone, map[string]any{"subscriptions": merge(nil, news)}), metav1.CreateOptions{})
	} else if err == nil {
		old, _, _ := unstructured.NestedSlice(o.Object, "spec", "subscriptions")
		o.Object["spec"] = map[string]any{"subscriptions": merge(old, news)}
		_, err = client.Update(ctx, o, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("write ZoneInsight %s: %w", zone, err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.pending[zone] = i.pending[zone][len(news):]; len(i.pending[zone]) == 0 {
		delete(i.pending, zone)
	}
	return nil
}

func object(kind, name string, spec map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "kuma.io/v1alpha1", "kind": kind, "metadata": map[string]any{"name": name}, "spec": spec}}
}

// merge replaces a subscription by its id; a new one ends those before it, and the last ones are kept.
func merge(old []any, news []map[string]any) []any {
	for _, sub := range news {
		at := slices.IndexFunc(old, func(o any) bool { m, _ := o.(map[string]any); return m["id"] == sub["id"] })
		if at >= 0 {
			old[at] = sub
			continue
		}
		for _, o := range old {
			if m, ok := o.(map[string]any); ok && m["disconnectTime"] == nil {
				m["disconnectTime"] = sub["connectTime"]
			}
		}
		old = append(old, sub)
	}
	return old[max(0, len(old)-kept):]
}
