package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	coordinationv1 "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/webhook/auditor"
	"github.com/xcpauth/kubectl-xcpauth/webhook/inventory"
	"github.com/xcpauth/kubectl-xcpauth/webhook/live"
)

// LeaseName is the Lease, in the namespace of the roster, that the replica holds which audits.
const LeaseName = "xcpauth-webhook-auditor"

// The lead changes hands at once when its holder ends in order, and else after leaseLife.
const (
	leaseLife  = 30 * time.Second
	leaseRenew = 20 * time.Second
	leaseRetry = 5 * time.Second
)

// RunAuditor audits until ctx ends, each interval, for as long as it holds the Lease. A nil error means that it ended
// in order; where it loses the Lease it ends with an error, to be started again.
func RunAuditor(ctx context.Context, cfg *rest.Config, o Options, interval time.Duration, log *slog.Logger) error {
	leases, err := coordinationv1.NewForConfig(cfg)
	if err != nil {
		return fmt.Errorf("making a client for the Lease: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("naming this replica: %w", err)
	}
	mgr, err := newManager(cfg, o, log, &resourcelock.LeaseLock{
		LeaseMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: LeaseName}, Client: leases,
		LockConfig: resourcelock.ResourceLockConfig{Identity: host + "_" + string(uuid.NewUUID())},
	})
	if err != nil {
		return err
	}
	members, err := inventory.NewReader(cfg, o.Namespace, o.CentralMetrics)
	if err != nil {
		return err
	}
	edges, err := live.NewReader(cfg, api.EdgesNamespace(o.Namespace), members.Roster, o.Version, log)
	if err != nil {
		return err
	}
	defer edges.Close()
	reads := auditor.Reads{Hubs: members.Hubs, Members: edges.WithLiveReads(members.Read)}
	audits, err := auditor.New(cfg, reads, o.Namespace, interval, log)
	if err != nil {
		return err
	}
	ready := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ready") })
	if err := errors.Join(mgr.Add(audits), mgr.Add(health(o.HealthAddress, ready))); err != nil {
		return fmt.Errorf("adding the auditor: %w", err)
	}
	log.Info("starting the auditor", "version", o.Version, "namespace", o.Namespace, "interval", interval)
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("running the auditor: %w", err)
	}
	return nil
}
