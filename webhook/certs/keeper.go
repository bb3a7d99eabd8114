package certs

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Objects reads and writes live: a client.Client without a cache is one. Only get and update of the two named objects are asked for.
type Objects interface {
	Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error
	Update(ctx context.Context, obj client.Object, opts ...client.UpdateOption) error
}

// Keeper carries out what the Policy decides and holds the certificate that is served. Every replica runs one: they race, one write of
// each object wins, the others read again. It takes the certificate from the Secret that it reads anyway, not from a mount: a mount
// lags by up to two minutes, and would put the CA's key into every pod's file system.
type Keeper struct {
	objects       Objects
	policy        Policy
	secret        types.NamespacedName
	configuration string
	clock         clock.PassiveClock
	log           *slog.Logger

	served  atomic.Pointer[tls.Certificate]
	ready   chan struct{} // closed once there is a certificate
	once    sync.Once
	failure atomic.Pointer[error] // of the last round
}

// New returns a keeper of the certificate in a Secret and the bundle in a ValidatingWebhookConfiguration.
func New(objects Objects, p Policy, secret types.NamespacedName, configuration string, c clock.PassiveClock, log *slog.Logger) (*Keeper, error) {
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("certificate policy: %w", err)
	}
	return &Keeper{objects: objects, policy: p, secret: secret, configuration: configuration, clock: c, log: log, ready: make(chan struct{})}, nil
}

// poll is the longest time between two looks. Looking every 10 seconds takes get on two names; a watch would need list and watch, by a
// client for each name, to see a change some seconds earlier that nobody waits for: what is served stays in memory.
const poll = 10 * time.Second

// Ready is closed once there is a certificate to serve.
func (k *Keeper) Ready() <-chan struct{} { return k.ready }

// GetCertificate is for tls.Config: what was last taken over.
func (k *Keeper) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c := k.served.Load(); c != nil {
		return c, nil
	}
	return nil, k.Failure()
}

// Failure is why there is no certificate to serve, nil once there is one.
func (k *Keeper) Failure() error {
	if k.served.Load() != nil {
		return nil
	}
	if err := k.failure.Load(); err != nil && *err != nil {
		return fmt.Errorf("no certificate to serve yet: %w", *err)
	}
	return errors.New("no certificate to serve yet")
}

// NeedLeaderElection is false: every replica serves.
func (*Keeper) NeedLeaderElection() bool { return false }

// Start keeps the certificate until ctx ends. What fails is logged once, and tried again.
func (k *Keeper) Start(ctx context.Context) error {
	longest := min(poll, k.policy.Wait/5)
	said := ""
	for {
		round, cancel := context.WithTimeout(ctx, poll) // an API server that does not answer must not end renewal
		again, err := k.Round(round)
		cancel()
		wait := max(min(longest, again.Sub(k.clock.Now())), 10*time.Millisecond)
		switch {
		case ctx.Err() != nil:
			return nil
		case apierrors.IsConflict(err): // another replica was faster
			wait = 10 * time.Millisecond
		case err != nil:
			wait = min(longest, time.Second)
			if said != err.Error() {
				said = err.Error()
				k.log.LogAttrs(ctx, slog.LevelError, "keeping the certificate", slog.String("error", said))
			}
		default:
			said = ""
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// Round looks once and returns when something becomes due. A conflict is an error: read again.
//
//  1. Read the Secret, then the configuration.
//  2. Decide.
//  3. Write the Secret, then the bundle, where they differ.
//  4. Serve the Secret's leaf, if the stored bundle vouches for it.
func (k *Keeper) Round(ctx context.Context) (again time.Time, err error) {
	defer func() { k.failure.Store(&err) }()
	var secret corev1.Secret
	if err := k.objects.Get(ctx, k.secret, &secret); err != nil {
		return again, fmt.Errorf("reading Secret %s, which the manifests bring: %w", k.secret, err)
	}
	var conf admissionregistrationv1.ValidatingWebhookConfiguration
	if err := k.objects.Get(ctx, types.NamespacedName{Name: k.configuration}, &conf); err != nil {
		return again, fmt.Errorf("reading ValidatingWebhookConfiguration %s: %w", k.configuration, err)
	}
	var published [][]byte
	for _, w := range conf.Webhooks {
		published = append(published, w.ClientConfig.CABundle)
	}
	now := k.clock.Now()
	plan, err := k.policy.Next(secret.Data, published, now)
	if err != nil {
		return again, err
	}
	if !same(secret.Data, plan.Secret) {
		secret.Data = plan.Secret
		if err := k.objects.Update(ctx, &secret); err != nil {
			return again, fmt.Errorf("writing Secret %s: %w", k.secret, err)
		}
		k.log.LogAttrs(ctx, slog.LevelInfo, "certificates changed in the Secret", slog.Time("nextChange", plan.Again))
	}
	changed := false
	for i := range conf.Webhooks {
		if !bytes.Equal(conf.Webhooks[i].ClientConfig.CABundle, plan.Bundle) {
			conf.Webhooks[i].ClientConfig.CABundle, changed = plan.Bundle, true
		}
	}
	if changed {
		if err := k.objects.Update(ctx, &conf); err != nil {
			return again, fmt.Errorf("publishing the CA bundle in ValidatingWebhookConfiguration %s: %w", k.configuration, err)
		}
		k.log.LogAttrs(ctx, slog.LevelInfo, "CA bundle published", slog.Int("authorities", len(parseCAs(plan.Bundle))))
	}
	k.serve(ctx, plan, now)
	return plan.Again, nil
}

// serve takes the planned leaf over if the bundle vouches for it, and it is not a Young one beside one in use that the bundle vouches for.
func (k *Keeper) serve(ctx context.Context, plan Plan, now time.Time) {
	believed := func(c *tls.Certificate) bool {
		return c != nil && Verify(c.Leaf, k.policy.DNSName, plan.Bundle, now) == nil
	}
	leaf, old := parseLeaf(plan.Secret[keyLeaf], plan.Secret[keyLeafKey]), k.served.Load()
	if !believed(leaf) || plan.Young && believed(old) || old != nil && old.Leaf.Equal(leaf.Leaf) {
		return
	}
	k.served.Store(leaf)
	k.once.Do(func() { close(k.ready) })
	k.log.LogAttrs(ctx, slog.LevelInfo, "serving a certificate", slog.String("sha256", fingerprint(leaf.Leaf)), slog.Time("until", leaf.Leaf.NotAfter))
}
