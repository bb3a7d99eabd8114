package registration

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/manifests"
)

// guarding is 1 once the configuration was seen to have its entries. It has no labels, but is a vector, so that it is
// absent rather than 0 before the first look.
var guarding = prometheus.NewGaugeVec(prometheus.GaugeOpts{
	Name: "xcpauth_webhook_guarding",
	Help: "Whether the API server asks the webhook: 1 where the ValidatingWebhookConfiguration has its entries, else 0.",
}, nil)

func init() { metrics.Registry.MustRegister(guarding) }

// Objects reads and writes live: a client.Client without a cache is one. Asked for are get and update of the named
// configuration, and list of EndpointSlices in the Service's namespace.
type Objects interface {
	Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error
	List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error
	Update(ctx context.Context, obj client.Object, opts ...client.UpdateOption) error
}

// Keeper keeps the entries. Every replica runs one: they race, one write wins, and the others find it done.
type Keeper struct {
	Objects       Objects
	Configuration string // its name
	Service       Service
	Bundle        func() ([]byte, error) // the CAs that vouch for what is served; an error while nothing is
	Serving       func() error           // why this replica would not answer, nil when it would
	Log           *slog.Logger

	shipped []admissionregistrationv1.ValidatingWebhook
	said    string
}

const (
	lookEvery  = 10 * time.Second       // while the entries are there
	lookSoon   = 500 * time.Millisecond // until they are
	lookWithin = 10 * time.Second
)

// errOpen says that the entries wait for a pod of the Service.
var errOpen = errors.New("no pod of the Service is ready yet, so nothing is guarded")

// NeedLeaderElection is false: every replica keeps them.
func (*Keeper) NeedLeaderElection() bool { return false }

// Start keeps the entries until ctx ends. What fails is logged once, and tried again.
func (k *Keeper) Start(ctx context.Context) error {
	for ctx.Err() == nil {
		round, cancel := context.WithTimeout(ctx, lookWithin)
		err := k.Round(round)
		cancel()
		wait := lookEvery
		if err != nil {
			wait = lookSoon
		} else {
			k.said = ""
		}
		if err != nil && ctx.Err() == nil && !apierrors.IsConflict(err) && k.said != err.Error() {
			k.said = err.Error()
			k.Log.LogAttrs(ctx, slog.LevelWarn, "keeping the entries of the configuration", slog.String("error", k.said))
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
//  1. Read the configuration. One whose entries somebody else keeps is left alone.
//  2. While this replica would not answer, go on only when there is nothing to do.
//  3. Where nothing is guarded yet, wait for a pod of the Service: the first entry refuses what nobody answers.
//  4. Write the entries where they differ.
func (k *Keeper) Round(ctx context.Context) error {
	if err := k.read(); err != nil {
		return err
	}
	var conf admissionregistrationv1.ValidatingWebhookConfiguration
	if err := k.Objects.Get(ctx, types.NamespacedName{Name: k.Configuration}, &conf); err != nil {
		return fmt.Errorf("reading ValidatingWebhookConfiguration %s: %w", k.Configuration, err)
	}
	guards := closed(k.shipped, conf.Webhooks)
	guarding.WithLabelValues().Set(map[bool]float64{true: 1}[guards])
	if conf.Annotations[Unmanaged] == "unmanaged" {
		return nil
	}
	bundle, err := k.Bundle()
	if err != nil {
		return err
	}
	entries, differ := Next(k.shipped, conf.Webhooks, k.Service, bundle)
	if !differ {
		return nil
	}
	if err := k.Serving(); err != nil {
		return fmt.Errorf("this replica is not ready: %w", err)
	}
	if !guards {
		if err := k.awaited(ctx); err != nil {
			return err
		}
	}
	conf.Webhooks = entries
	if err := k.Objects.Update(ctx, &conf); err != nil {
		return fmt.Errorf("writing the entries of ValidatingWebhookConfiguration %s: %w", k.Configuration, err)
	}
	guarding.WithLabelValues().Set(1)
	k.Log.LogAttrs(ctx, slog.LevelInfo, "entries of the configuration written", slog.Bool("guarded-before", guards))
	return nil
}

// read decodes what is shipped, once.
func (k *Keeper) read() error {
	if k.shipped != nil {
		return nil
	}
	var conf admissionregistrationv1.ValidatingWebhookConfiguration
	if err := yaml.UnmarshalStrict(manifests.WebhookConfiguration, &conf); err != nil {
		return fmt.Errorf("reading the entries that are shipped: %w", err)
	}
	k.shipped = conf.Webhooks
	return nil
}

// awaited is nil once an endpoint of the Service is ready.
func (k *Keeper) awaited(ctx context.Context) error {
	var slices discoveryv1.EndpointSliceList
	if err := k.Objects.List(ctx, &slices, client.InNamespace(k.Service.Namespace),
		client.MatchingLabels{discoveryv1.LabelServiceName: k.Service.Name}); err != nil {
		return fmt.Errorf("listing the EndpointSlices of Service %s/%s: %w", k.Service.Namespace, k.Service.Name, err)
	}
	if !ready(slices.Items) {
		return errOpen
	}
	return nil
}
