package certs

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const serviceName = "xcpauth-webhook.xcpauth-system.svc"

// policy has a CA of a year, so that some are changed for their age within a test.
var policy = Policy{DNSName: serviceName, CALifetime: 365 * 24 * time.Hour, LeafLifetime: LeafLifetime, Wait: Wait}

// world is the two objects as a cluster keeps them, and everything that was ever published.
type world struct {
	now      time.Time
	secret   corev1.Secret
	conf     admissionregistrationv1.ValidatingWebhookConfiguration
	version  int
	history  []publication
	secrets  []map[string][]byte // every one that was stored
	replicas []*replica
}

type publication struct {
	bundle []byte
	from   time.Time
}

func newWorld(replicas int) *world {
	w := &world{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	w.secret.Name, w.conf.Name = "cert", "conf"
	w.conf.Webhooks = make([]admissionregistrationv1.ValidatingWebhook, 2)
	for range replicas {
		w.replicas = append(w.replicas, newReplica(w))
	}
	return w
}

// Now and Since make it a clock.
func (w *world) Now() time.Time                  { return w.now }
func (w *world) Since(t time.Time) time.Duration { return w.now.Sub(t) }

func (w *world) get(obj client.Object) {
	switch o := obj.(type) {
	case *corev1.Secret:
		w.secret.DeepCopyInto(o)
	case *admissionregistrationv1.ValidatingWebhookConfiguration:
		w.conf.DeepCopyInto(o)
	}
}

func (w *world) update(obj client.Object) error {
	stored := client.Object(&w.secret)
	if _, ok := obj.(*corev1.Secret); !ok {
		stored = &w.conf
	}
	if obj.GetResourceVersion() != stored.GetResourceVersion() {
		return apierrors.NewConflict(schema.GroupResource{}, obj.GetName(), errors.New("it changed"))
	}
	w.version++
	obj.SetResourceVersion(fmt.Sprint(w.version))
	switch o := obj.(type) {
	case *corev1.Secret:
		o.DeepCopyInto(&w.secret)
		w.secrets = append(w.secrets, w.secret.Data)
	case *admissionregistrationv1.ValidatingWebhookConfiguration:
		o.DeepCopyInto(&w.conf)
		w.history = append(w.history, publication{o.Webhooks[0].ClientConfig.CABundle, w.now})
	}
	return nil
}

// tamper changes the Secret as somebody with an editor does.
func (w *world) tamper(edit func(map[string][]byte)) {
	var s corev1.Secret
	w.get(&s)
	s.Data = maps.Clone(s.Data)
	if s.Data == nil {
		s.Data = map[string][]byte{}
	}
	edit(s.Data)
	w.update(&s) // the version is current
}

// replica runs a keeper that stops before and after each call to the API server, until it is stepped on.
type replica struct {
	w       *world
	keeper  *Keeper
	resume  func() (struct{}, bool)
	crash   func()
	crashed bool
	yield   func(struct{}) bool

	since time.Time // with what it took over while it had nothing valid: before, it did not serve
}

func newReplica(w *world) *replica {
	r := &replica{w: w}
	var err error
	if r.keeper, err = New(r, policy, types.NamespacedName{Name: "cert"}, "conf", w,
		slog.New(slog.DiscardHandler)); err != nil {
		panic(err)
	}
	r.resume, r.crash = iter.Pull(func(yield func(struct{}) bool) {
		r.yield = yield
		for !r.crashed {
			r.keeper.Round(context.Background())
			r.pause()
		}
	})
	return r
}

func (r *replica) pause() error {
	if !r.crashed && !r.yield(struct{}{}) {
		r.crashed = true
	}
	if r.crashed {
		return errors.New("crashed")
	}
	return nil
}

func (r *replica) Get(_ context.Context, _ client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
	if err := r.pause(); err != nil {
		return err
	}
	r.w.get(obj)
	return r.pause()
}

func (r *replica) Update(_ context.Context, obj client.Object, _ ...client.UpdateOption) error {
	if err := r.pause(); err != nil {
		return err
	}
	if err := r.w.update(obj); err != nil {
		return err
	}
	return r.pause()
}

// step lets it go on to its next call.
func (r *replica) step() {
	old := r.keeper.served.Load()
	r.resume()
	switch c := r.keeper.served.Load(); {
	case c == old:
	case old == nil || !r.w.now.Before(old.Leaf.NotAfter):
		r.since = r.w.now
	default:
		r.since = time.Time{}
	}
}

// round steps it through a whole round at least.
func (r *replica) round() {
	for range 10 {
		r.step()
	}
}

// broken is nil while the promise holds: each leaf that is served and valid is believed by every bundle that an API
// server may still use, since lag is how old a bundle it may have. A replica that has just begun to serve is held to
// the bundles since then.
func (w *world) broken(lag time.Duration) error {
	for i, r := range w.replicas {
		c := r.keeper.served.Load()
		if c == nil || !w.now.Before(c.Leaf.NotAfter) {
			continue
		}
		replaced := w.now.Add(1)
		for _, p := range slices.Backward(w.history) {
			if !replaced.After(w.now.Add(-lag)) || !replaced.After(r.since) {
				break // older ones even more so
			}
			replaced = p.from
			if err := verify(c.Leaf, serviceName, parseCAs(p.bundle), w.now); err != nil {
				return fmt.Errorf("replica %d serves a leaf valid from %s that the bundle published at %s (of %s now) does not believe: %w",
					i, c.Leaf.NotBefore, p.from, w.now, err)
			}
		}
	}
	return nil
}
