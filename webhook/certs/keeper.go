package certs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
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

// Objects reads and writes live: a client.Client without a cache is one. Only get and update of the two named objects
// are asked for.
type Objects interface {
	Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error
	Update(ctx context.Context, obj client.Object, opts ...client.UpdateOption) error
}

// Keeper carries out what the Policy decides and holds the certificate that is served. Every replica runs one: they
// race, one write of each object wins, the others read again. It takes the certificate from the Secret that it reads
// anyway, not from a mount: a mount lags by up to two minutes, and would put the CA's key into every pod's file
// system.
type Keeper struct {
	objects       Objects
	policy        Policy
	secret        types.NamespacedName
	configuration string
	clock         clock.PassiveClock
	log           *slog.Logger

	served  atomic.Pointer[tls.Certificate]
	bundle  atomic.Pointer[[]byte] // of the last round
	ready   chan struct{}          // closed once there is a certificate
	once    sync.Once
	failure atomic.Pointer[error] // of the last round
}

// New returns a keeper of the certificate in a Secret and the bundle in a ValidatingWebhookConfiguration.
func New(objects Objects, p Policy, secret types.NamespacedName, configuration string, c clock.PassiveClock,
	log *slog.Logger) (*Keeper, error) {
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("certificate policy: %w", err)
	}
	return &Keeper{objects: objects, policy: p, secret: secret, configuration: configuration, clock: c, log: log,
		ready: make(chan struct{})}, nil
}

// poll is the longest time between two looks. Looking every 10 seconds takes get on two names; a watch would need
// list and watch, by a client for each name, to see a change some seconds earlier that nobody waits for: what is
// served stays in memory.
const poll = 10 * time.Second

// Ready is closed once there is a certificate to serve.
func (k *Keeper) Ready() <-chan struct{} { return k.ready }

// GetCertificate is for tls.Config: what was last taken over.
func (k *Keeper) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return k.served.Load(), k.Failure()
}

// CABundle are the CAs that vouch for what is served, as PEM: what a new entry of the configuration begins with. It is
// an error while nothing is served.
func (k *Keeper) CABundle() ([]byte, error) {
	if bundle := k.bundle.Load(); bundle != nil {
		return *bundle, nil
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
	said := ""
	for ctx.Err() == nil {
		round, cancel := context.WithTimeout(ctx, poll) // an API server that does not answer must not end renewal
		err := k.Round(round)
		cancel()
		wait := min(poll, k.policy.Wait/5)
		switch {
		case apierrors.IsConflict(err): // another replica was faster
			wait = 10 * time.Millisecond
		case err == nil:
			said = ""
		default:
			wait = min(wait, time.Second)
			if ctx.Err() == nil && said != err.Error() {
				said = err.Error()
				k.log.LogAttrs(ctx, slog.LevelError, "keeping the certificate", slog.String("error", said))
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
	return nil
}

// Round looks once. A conflict is an error: read again.
//
//  1. Read the configuration, then the Secret, which knows what was published before.
//  2. Decide.
//  3. Write the Secret, then the bundle, where they differ.
//  4. Serve the Secret's leaf.
func (k *Keeper) Round(ctx context.Context) (err error) {
	defer func() { k.failure.Store(&err) }()
	var conf admissionregistrationv1.ValidatingWebhookConfiguration
	if err := k.objects.Get(ctx, types.NamespacedName{Name: k.configuration}, &conf); err != nil {
		return fmt.Errorf("reading ValidatingWebhookConfiguration %s: %w", k.configuration, err)
	}
	var secret corev1.Secret
	if err := k.objects.Get(ctx, k.secret, &secret); err != nil {
		return fmt.Errorf("reading Secret %s, which the manifests bring: %w", k.secret, err)
	}
	var published [][]byte
	for _, w := range conf.Webhooks {
		published = append(published, w.ClientConfig.CABundle)
	}
	now := k.clock.Now()
	plan, err := k.policy.Next(secret.Data, published, now)
	if err != nil {
		return err
	}
	if !maps.EqualFunc(secret.Data, plan.Secret, bytes.Equal) {
		secret.Data = plan.Secret
		if err := k.objects.Update(ctx, &secret); err != nil {
			return fmt.Errorf("writing Secret %s: %w", k.secret, err)
		}
		k.log.LogAttrs(ctx, slog.LevelInfo, "certificates changed in the Secret")
	}
	changed := false
	for i := range conf.Webhooks {
		if at := &conf.Webhooks[i].ClientConfig; !bytes.Equal(at.CABundle, plan.Secret[keyCAs]) {
			at.CABundle, changed = plan.Secret[keyCAs], true
		}
	}
	if changed {
		if err := k.objects.Update(ctx, &conf); err != nil {
			return fmt.Errorf("publishing the CA bundle in ValidatingWebhookConfiguration %s: %w", k.configuration, err)
		}
		k.log.LogAttrs(ctx, slog.LevelInfo, "CA bundle published", slog.Int("authorities", len(plan.Bundle)))
	}
	bundle := plan.Secret[keyCAs]
	k.bundle.Store(&bundle)
	k.serve(ctx, plan, now)
	return nil
}

// serve takes the planned leaf over, unless the plan is Young and the bundle believes the one that is served.
func (k *Keeper) serve(ctx context.Context, plan Plan, now time.Time) {
	leaf, old := parseLeaf(plan.Secret), k.served.Load()
	if leaf == nil || old != nil && (old.Leaf.Equal(leaf.Leaf) ||
		plan.Young && verify(old.Leaf, k.policy.DNSName, plan.Bundle, now) == nil) {
		return
	}
	k.served.Store(leaf)
	k.once.Do(func() { close(k.ready) })
	k.log.LogAttrs(ctx, slog.LevelInfo, "serving a certificate",
		slog.String("sha256", fmt.Sprintf("%x", sha256.Sum256(leaf.Leaf.Raw))), slog.Time("until", leaf.Leaf.NotAfter))
}
