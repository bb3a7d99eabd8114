package certs

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// api is a world without pauses, in which something may fail; it tells of each call.
type api struct {
	mu     sync.Mutex
	w      *world
	fails  func(verb string, obj client.Object) error
	called chan string
}

func (a *api) call(verb string, obj client.Object, do func() error) error {
	defer func() { a.called <- verb }() // without the lock
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.fails(verb, obj); err != nil {
		return err
	}
	return do()
}

func (a *api) Get(_ context.Context, _ client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
	return a.call("get", obj, func() error { a.w.get(obj); return nil })
}

func (a *api) Update(_ context.Context, obj client.Object, _ ...client.UpdateOption) error {
	return a.call("update", obj, func() error { return a.w.update(obj) })
}

// start runs a keeper whose waits are short until the returned function is called, which returns its log.
func start(t *testing.T, a *api) (k *Keeper, stop func() string) {
	t.Helper()
	a.called = make(chan string)
	var log bytes.Buffer
	quick := Policy{DNSName: serviceName, CALifetime: CALifetime, LeafLifetime: LeafLifetime, Wait: 50 * time.Millisecond}
	k, err := New(a, quick, types.NamespacedName{Namespace: "system", Name: "cert"}, "conf", clock.RealClock{},
		slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- k.Start(ctx) }()
	return k, func() string {
		cancel()
		for {
			select {
			case <-a.called:
			case err := <-ended:
				if err != nil {
					t.Errorf("it ended with %v", err)
				}
				return log.String()
			}
		}
	}
}

func TestWhatFailsIsLoggedOnceAndTriedAgain(t *testing.T) {
	gone := apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, "cert")
	a := &api{w: newWorld(0), fails: func(_ string, obj client.Object) error {
		if _, secret := obj.(*corev1.Secret); secret {
			return gone
		}
		return nil
	}}
	k, stop := start(t, a)
	for range 5 {
		<-a.called
	}
	const says = `reading Secret system/cert, which the manifests bring: secrets "cert" not found`
	if _, err := k.GetCertificate(nil); err == nil || !strings.Contains(err.Error(),
		"no certificate to serve yet: "+says) {
		t.Errorf("GetCertificate says %v", err)
	}
	select {
	case <-k.Ready():
		t.Error("it is ready with nothing to serve")
	default:
	}
	a.mu.Lock()
	a.fails = func(string, client.Object) error { return nil }
	a.mu.Unlock()
	for ready := false; !ready; {
		select {
		case <-a.called:
		case <-k.Ready():
			ready = true
		}
	}
	if c, err := k.GetCertificate(nil); err != nil || k.Failure() != nil ||
		verify(c.Leaf, serviceName, parseCAs(a.bundle()), time.Now()) != nil {
		t.Errorf("once it can: %v, %v", err, k.Failure())
	}
	log := stop()
	if n := strings.Count(log, "level=ERROR"); n != 1 || !strings.Contains(log, "keeping the certificate") {
		t.Errorf("the failure is logged %d times, want once:\n%s", n, log)
	}
	if strings.Contains(log, "PRIVATE") {
		t.Error("a key is logged")
	}
}

func (a *api) bundle() []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.w.conf.Webhooks[0].ClientConfig.CABundle
}

func TestALostRaceIsRunAgainWithoutAWord(t *testing.T) {
	conflicts := 3
	a := &api{w: newWorld(0)}
	a.fails = func(verb string, _ client.Object) error {
		if verb == "update" && conflicts > 0 {
			conflicts--
			return apierrors.NewConflict(schema.GroupResource{}, "cert", errors.New("it changed"))
		}
		return nil
	}
	k, stop := start(t, a)
	for ready := false; !ready; {
		select {
		case <-a.called:
		case <-k.Ready():
			ready = true
		}
	}
	if log := stop(); strings.Contains(log, "level=ERROR") || conflicts != 0 {
		t.Errorf("%d conflicts are left; the log says:\n%s", conflicts, log)
	}
}

func TestACertificateGoesOnBeingServedWhenTheSecretIsGone(t *testing.T) {
	a := &api{w: newWorld(0), fails: func(string, client.Object) error { return nil }}
	k, stop := start(t, a)
	for ready := false; !ready; {
		select {
		case <-a.called:
		case <-k.Ready():
			ready = true
		}
	}
	a.mu.Lock()
	a.fails = func(string, client.Object) error { return errors.New("gone") }
	a.mu.Unlock()
	for range 5 {
		<-a.called
	}
	if _, err := k.GetCertificate(nil); err != nil || k.Failure() != nil {
		t.Errorf("%v, %v", err, k.Failure())
	}
	stop()
}
