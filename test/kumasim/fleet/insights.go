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

// insights writes what globals tell of streams: a Zone for each that connects, and its ZoneInsight (Kuma
// pkg/kds/status/status_tracker.go and status_sink.go, api/system/v1alpha1/zone_insight_helpers.go, pkg/gc/finalizer.go
// at v2.14.3).
type insights struct {
	c     *cluster
	store *kumasim.Store // where they are written instead of the cluster, of a global that keeps its state there
	pace  Pace
	wake  chan struct{}
	logf  func(who, format string, args ...any)

	mu      sync.Mutex
	pending map[string][]subscription // to be written, by zone
	late    map[string]bool
}

// subscription is what a global writes of a stream.
type subscription struct {
	object  map[string]any
	compact bool // what is over keeps no configuration (metrics.zone.compactFinishedSubscriptions, false)
}

func newInsights(c *cluster, pace Pace, logf func(string, string, ...any)) *insights {
	return &insights{
		c: c, pace: pace, wake: make(chan struct{}, 1), logf: logf,
		pending: map[string][]subscription{}, late: map[string]bool{},
	}
}

// opened notes a stream, once it has lasted for a while and from then on whenever its generation is a new one; the
// returned function notes its end, or that nobody does, and then the leader of the globals ends it much later.
func (i *insights) opened(
	ctx context.Context, s kumasim.Subscription, global string, compact bool,
) (ended func(killed bool)) {
	id, connected := string(uuid.NewUUID()), stamp(s.Since)
	note := func(generation int, disconnected string) {
		sub := map[string]any{
			"id": id, "globalInstanceId": global, "connectTime": connected,
			"status": map[string]any{"lastUpdateTime": stamp(time.Now()), "total": map[string]any{}},
		}
		if s.AuthTokenProvided {
			sub["authTokenProvided"] = true
		}
		for key, value := range map[string]string{
			"zoneInstanceId": s.Instance, "config": s.Config, "disconnectTime": disconnected,
		} {
			if value != "" {
				sub[key] = value
			}
		}
		if generation > 0 {
			sub["generation"] = int64(generation)
		}
		i.mu.Lock()
		i.pending[s.Zone] = append(i.pending[s.Zone], subscription{sub, compact})
		i.mu.Unlock()
		i.poke()
	}
	open, end := context.WithCancel(ctx)
	var flushing sync.WaitGroup
	generation := 0
	flushing.Go(func() {
		pause(open, i.pace.FlushEvery)
		for open.Err() == nil {
			note(generation, "")
			if pause(open, i.pace.IdleAfter/2); open.Err() == nil {
				generation++
			}
		}
	})
	return func(killed bool) {
		end()
		flushing.Wait()
		if !killed {
			note(generation, stamp(time.Now()))
			return
		}
		go func() {
			if pause(ctx, i.pace.IdleAfter); ctx.Err() == nil {
				note(generation, stamp(time.Now()))
			}
		}()
	}
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
			if _, err := limited(ctx, func(ctx context.Context) (any, error) { return nil, i.write(ctx, zone) }); err != nil &&
				ctx.Err() == nil {
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
	if i.store != nil {
		i.store.Tell(zone, func(old []any) []any { return merge(old, news, time.Now()) })
		i.written(zone, len(news))
		return nil
	}
	_, err := i.c.dyn.Resource(zones).Create(ctx, object("Zone", zone, map[string]any{"enabled": true}),
		metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create Zone %s: %w", zone, err)
	}
	client := i.c.dyn.Resource(zoneInsights)
	o, err := client.Get(ctx, zone, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		spec := map[string]any{"subscriptions": merge(nil, news, time.Now())}
		_, err = client.Create(ctx, object("ZoneInsight", zone, spec), metav1.CreateOptions{})
	} else if err == nil {
		old, _, _ := unstructured.NestedSlice(o.Object, "spec", "subscriptions")
		o.Object["spec"] = map[string]any{"subscriptions": merge(old, news, time.Now())}
		_, err = client.Update(ctx, o, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("write ZoneInsight %s: %w", zone, err)
	}
	i.written(zone, len(news))
	return nil
}

// written takes off what was pending of a zone so much as was written.
func (i *insights) written(zone string, news int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.pending[zone] = i.pending[zone][news:]; len(i.pending[zone]) == 0 {
		delete(i.pending, zone)
	}
}

func object(kind, name string, spec map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "kuma.io/v1alpha1", "kind": kind,
		"metadata": map[string]any{"name": name}, "spec": spec}}
}

// merge replaces a subscription by its id; a new one ends those that are open, and the last ones are kept.
func merge(old []any, news []subscription, now time.Time) []any {
	compact := false
	for _, sub := range news {
		compact = sub.compact
		at := slices.IndexFunc(old, func(o any) bool { m, _ := o.(map[string]any); return m["id"] == sub.object["id"] })
		if at >= 0 {
			old[at] = sub.object
			continue
		}
		for _, o := range old {
			if m, ok := o.(map[string]any); ok && m["disconnectTime"] == nil {
				m["disconnectTime"] = stamp(now)
			}
		}
		old = append(old, sub.object)
	}
	old = old[max(0, len(old)-kept):]
	for n, o := range old {
		if m, ok := o.(map[string]any); ok && compact && n < len(old)-1 {
			delete(m, "config")
		}
	}
	return old
}
