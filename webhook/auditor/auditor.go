package auditor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/webhook/events"
	"github.com/xcpauth/kubectl-xcpauth/webhook/verdict"
)

// The metrics of the replica that audits. One that waits for its turn has none of them, so that there is never an old
// answer beside a new one.
var (
	Refused = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "xcpauth_webhook_refused_members",
		Help: "Members known to present a credential that their hub does not surely accept, at the last audit."}, nil)
	NotKnown = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "xcpauth_webhook_unknown_members",
		Help: "Members of which it is not known whether their hub accepts all that they may present, at the last audit."},
		nil)
	LastSuccess = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "xcpauth_webhook_audit_last_success_timestamp_seconds",
		Help: "When the last audit that saw and told everything ended, as Unix time."}, nil)
)

func init() { metrics.Registry.MustRegister(Refused, NotKnown, LastSuccess) }

// auditWithin bounds one audit.
const auditWithin = 30 * time.Second

// Reads are what is audited: every ManagementPlane that is stored, and who the members of the hub in a namespace are,
// by the very read that the webhook decides from.
type Reads struct {
	Hubs    func(context.Context) ([]unstructured.Unstructured, error)
	Members func(ctx context.Context, hubNamespace string) (verdict.Inventory, error)
}

// Auditor audits every interval.
type Auditor struct {
	reads     Reads
	objects   dynamic.Interface
	events    *events.Writer
	namespace string // of the roster
	interval  time.Duration
	clock     clock.WithTicker
	log       *slog.Logger
}

// New makes an auditor of the cluster of cfg, which is the one that reads reads.
func New(cfg *rest.Config, reads Reads, namespace string, interval time.Duration, log *slog.Logger) (*Auditor, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.QPS = -1 // a statement that ends for a whole fleet is a thousand conditions at once; the API server has fairness
	objects, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("making the auditor's client: %w", err)
	}
	told, err := events.NewWriter(cfg, "xcpauth.io/webhook-auditor", clock.RealClock{})
	if err != nil {
		return nil, err
	}
	return &Auditor{reads: reads, objects: objects, events: told, namespace: namespace, interval: interval,
		clock: clock.RealClock{}, log: log}, nil
}

// NeedLeaderElection is true: one replica audits.
func (*Auditor) NeedLeaderElection() bool { return true }

// Start audits at once, and then at every interval until ctx ends.
func (a *Auditor) Start(ctx context.Context) error {
	tick := a.clock.NewTicker(a.interval)
	defer tick.Stop()
	for {
		if err := a.Audit(ctx); err != nil && ctx.Err() == nil {
			a.log.Error("audit", "error", err.Error())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C():
		}
	}
}

// Audit looks once at everything that is stored, and tells what changed.
//
//  1. Read every ManagementPlane, and the inventory of each hub.
//  2. Find what is true of each member, the worst over all hubs.
//  3. Tell what changed: the Events first, since the conditions are what says that it was told.
//  4. Set the metrics.
func (a *Auditor) Audit(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, auditWithin)
	defer cancel()
	hubs, err := a.reads.Hubs(ctx)
	if err != nil {
		return err
	}
	var found []verdict.Finding
	var inv verdict.Inventory
	read := map[string]verdict.Inventory{}
	for _, hub := range hubs {
		ns := hub.GetNamespace()
		if _, done := read[ns]; !done {
			if read[ns], err = a.reads.Members(ctx, ns); err != nil {
				return fmt.Errorf("reading the members of the hub in namespace %s: %w", ns, err)
			}
		}
		inv = read[ns]
		found = append(found, verdict.Audit(hub.Object, inv, a.clock.Now())...)
	}
	if len(hubs) == 0 {
		if inv, err = a.reads.Members(ctx, a.namespace); err != nil {
			return fmt.Errorf("reading the roster: %w", err)
		}
		found = verdict.WithoutHub(inv)
	}
	found = verdict.Worst(found)
	conditions, told := changes(inv.Roster, found, a.clock.Now())
	var failed []error
	for _, e := range told {
		failed = append(failed, a.tell(ctx, e, hubs))
	}
	if err := errors.Join(failed...); err != nil {
		return err
	}
	var writes errgroup.Group // its context is not wanted: one that fails holds up no other
	writes.SetLimit(8)
	for _, c := range conditions {
		writes.Go(func() error { return a.publish(ctx, c) })
	}
	failed = append(failed, writes.Wait())
	count := map[metav1.ConditionStatus]int{}
	for _, f := range found {
		count[f.Status]++
	}
	Refused.WithLabelValues().Set(float64(count[metav1.ConditionFalse]))
	NotKnown.WithLabelValues().Set(float64(count[metav1.ConditionUnknown]))
	if err := errors.Join(failed...); err != nil {
		return err
	}
	LastSuccess.WithLabelValues().Set(float64(a.clock.Now().Unix()))
	return nil
}

// tell writes one Event about a ManagementPlane, and logs it.
func (a *Auditor) tell(ctx context.Context, e event, hubs []unstructured.Unstructured) error {
	a.log.Info("audit", "managementPlane", e.hub, "reason", e.reason, "changed", e.changed, "refused", e.remaining)
	ns, name, _ := strings.Cut(e.hub, "/")
	about := events.Event{Namespace: ns, Name: name, Action: "Audit", Reason: e.reason, Note: e.note, Normal: !e.warning}
	for _, hub := range hubs {
		if hub.GetNamespace() == ns && hub.GetName() == name {
			about.APIVersion, about.UID, about.ResourceVersion = hub.GetAPIVersion(), hub.GetUID(), hub.GetResourceVersion()
		}
	}
	if _, err := a.events.Write(ctx, about); err != nil {
		return fmt.Errorf("writing the Event about ManagementPlane %s: %w", e.hub, err)
	}
	return nil
}

// publish writes the conditions of one roster entry and nothing else of its status. An entry that moved meanwhile is
// left to the next audit; one that is gone needs nothing.
func (a *Auditor) publish(ctx context.Context, c condition) error {
	doc, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": c.entry.UID, "resourceVersion": c.entry.ResourceVersion},
		"status":   map[string]any{"conditions": c.conditions},
	})
	if err != nil {
		return fmt.Errorf("encoding the condition of %s: %w", c.entry.Name, err)
	}
	entries := a.objects.Resource(api.EdgeClusters).Namespace(a.namespace)
	_, err = entries.Patch(ctx, c.entry.Name, types.MergePatchType, doc,
		metav1.PatchOptions{FieldManager: "xcpauth-webhook"}, "status")
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("writing the condition of roster entry %s/%s: %w", a.namespace, c.entry.Name, err)
	}
	return nil
}
