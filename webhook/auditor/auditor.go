package auditor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/dynamic"
	coordinationv1 "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/webhook/verdict"
)

// The metrics of the replica that audits. One that does not has none of them, so that there is never an old answer beside a new one.
var (
	Refused = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "xcpauth_webhook_refused_members",
		Help: "Members known to present a credential that their hub does not surely accept, at the last audit."}, nil)
	NotKnown = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "xcpauth_webhook_unknown_members",
		Help: "Members of which it is not known whether their hub accepts all that they may present, at the last audit."}, nil)
	LastSuccess = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "xcpauth_webhook_audit_last_success_timestamp_seconds",
		Help: "When the last audit that saw and told everything ended, as Unix time."}, nil)
)

func init() { metrics.Registry.MustRegister(Refused, NotKnown, LastSuccess) }

// LeaseName is the Lease, in the webhook's namespace, that the replica holds which audits.
const LeaseName = "xcpauth-webhook-auditor"

// The lead changes hands at once when its holder ends in order, and else after leaseLife.
const (
	leaseLife  = 30 * time.Second
	leaseRenew = 20 * time.Second
	leaseRetry = 5 * time.Second
)

// auditWithin bounds one audit.
const auditWithin = 30 * time.Second

var events = schema.GroupVersionResource{Group: "events.k8s.io", Version: "v1", Resource: "events"}

// Reads are what is audited: every ManagementPlane that is stored, and who the members of the hub in a namespace are, by the very read that
// the webhook decides from.
type Reads struct {
	Hubs    func(context.Context) ([]unstructured.Unstructured, error)
	Members func(ctx context.Context, hubNamespace string) (verdict.Inventory, error)
}

// Auditor audits every interval for as long as it has the lead.
type Auditor struct {
	reads     Reads
	objects   dynamic.Interface
	leases    coordinationv1.CoordinationV1Interface
	namespace string // of the roster
	interval  time.Duration
	clock     clock.WithTicker
	log       *slog.Logger
	identity  string
	lead      chan struct{} // gets one when the lead was won

	mu    sync.Mutex
	leads bool
}

var (
	_ manager.Runnable               = (*Auditor)(nil)
	_ manager.LeaderElectionRunnable = (*Auditor)(nil)
)

// New makes an auditor of the cluster of cfg, which is the one that reads reads.
func New(cfg *rest.Config, reads Reads, namespace string, interval time.Duration, log *slog.Logger) (*Auditor, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.QPS = -1 // a statement that ends for a whole fleet is a thousand conditions at once; the API server has fairness
	objects, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("making the auditor's client: %w", err)
	}
	leases, err := coordinationv1.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("making the auditor's client for its Lease: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("naming this replica: %w", err)
	}
	return &Auditor{reads: reads, objects: objects, leases: leases, namespace: namespace, interval: interval, clock: clock.RealClock{}, log: log,
		identity: host + "_" + string(uuid.NewUUID()), lead: make(chan struct{}, 1)}, nil
}

// NeedLeaderElection is false although one replica audits at a time: the manager ends the whole process when its lead is lost, and a guard
// must not stop answering for that. The auditor holds a Lease of its own and waits when it loses it.
func (*Auditor) NeedLeaderElection() bool { return false }

// Start audits until ctx ends: at once when the lead was won, and then at every interval. In the end the lead is given back.
func (a *Auditor) Start(ctx context.Context) error {
	var campaigning sync.WaitGroup
	defer campaigning.Wait()
	campaigning.Go(func() { a.campaign(ctx) })
	tick := a.clock.NewTicker(a.interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.lead:
		case <-tick.C():
		}
		if !a.leading() {
			continue
		}
		if err := a.Audit(ctx); err != nil && ctx.Err() == nil {
			a.log.Error("audit", "error", err.Error())
		}
		if !a.leading() {
			forget() // the lead was lost meanwhile
		}
	}
}

// campaign holds the Lease, or waits for it, until ctx ends.
func (a *Auditor) campaign(ctx context.Context) {
	for ctx.Err() == nil {
		elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
			Name: LeaseName, LeaseDuration: leaseLife, RenewDeadline: leaseRenew, RetryPeriod: leaseRetry, ReleaseOnCancel: true,
			Lock: &resourcelock.LeaseLock{LeaseMeta: metav1.ObjectMeta{Namespace: a.namespace, Name: LeaseName}, Client: a.leases,
				LockConfig: resourcelock.ResourceLockConfig{Identity: a.identity}},
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: a.won, OnStoppedLeading: a.lost,
			},
		})
		if err != nil {
			a.log.Error("the auditor cannot stand for the lead", "error", err.Error())
			return
		}
		elector.Run(ctx)
	}
}

// won begins a term, unless it is over already: it is called beside lost, which comes after the end of the term's context.
func (a *Auditor) won(term context.Context) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if term.Err() != nil {
		return
	}
	a.leads = true
	select {
	case a.lead <- struct{}{}:
	default: // one waits already
	}
}

func (a *Auditor) lost() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.leads = false
	forget()
}

func (a *Auditor) leading() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.leads
}

func forget() {
	Refused.Reset()
	NotKnown.Reset()
	LastSuccess.Reset()
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
	ns, name, _ := strings.Cut(e.hub, "/")
	kind := "Normal"
	if e.warning {
		kind = "Warning"
	}
	var of unstructured.Unstructured
	for _, hub := range hubs {
		if hub.GetNamespace() == ns && hub.GetName() == name {
			of = hub
		}
	}
	a.log.Info("audit", "managementPlane", e.hub, "reason", e.reason, "changed", e.changed, "refused", e.remaining)
	doc := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "events.k8s.io/v1", "kind": "Event",
		"metadata":  map[string]any{"namespace": ns, "name": fmt.Sprintf("xcpauth-audit.%x", a.clock.Now().UnixNano())},
		"eventTime": a.clock.Now().UTC().Format(metav1.RFC3339Micro), "type": kind, "reason": e.reason, "action": "Audit", "note": e.note,
		"reportingController": "xcpauth.io/webhook-auditor", "reportingInstance": a.identity[:min(len(a.identity), 128)],
		"regarding": map[string]any{"apiVersion": of.GetAPIVersion(), "kind": "ManagementPlane", "namespace": ns, "name": name,
			"uid": string(of.GetUID()), "resourceVersion": of.GetResourceVersion()},
	}}
	if _, err := a.objects.Resource(events).Namespace(ns).Create(ctx, doc, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("writing the Event about ManagementPlane %s: %w", e.hub, err)
	}
	return nil
}

// publish writes the conditions of one roster entry and nothing else of its status. An entry that moved meanwhile is left to the next
// audit; one that is gone needs nothing.
func (a *Auditor) publish(ctx context.Context, c condition) error {
	doc, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": c.entry.UID, "resourceVersion": c.entry.ResourceVersion},
		"status":   map[string]any{"conditions": c.conditions},
	})
	if err != nil {
		return fmt.Errorf("encoding the condition of %s: %w", c.entry.Name, err)
	}
	_, err = a.objects.Resource(api.EdgeClusters).Namespace(a.namespace).Patch(ctx, c.entry.Name, types.MergePatchType, doc, metav1.PatchOptions{FieldManager: "xcpauth-webhook"}, "status")
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("writing the condition of roster entry %s/%s: %w", a.namespace, c.entry.Name, err)
	}
	return nil
}
