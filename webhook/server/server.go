package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/webhook/admit"
	"github.com/xcpauth/kubectl-xcpauth/webhook/events"
	"github.com/xcpauth/kubectl-xcpauth/webhook/inventory"
	"github.com/xcpauth/kubectl-xcpauth/webhook/live"
	"github.com/xcpauth/kubectl-xcpauth/webhook/registration"
	"github.com/xcpauth/kubectl-xcpauth/webhook/rights"
)

// ShutdownDelay is how long the process goes on answering by default; terminationGracePeriodSeconds of its pods is
// longer by two calls.
const ShutdownDelay = 10 * time.Second

// Options are what the flags of the binary set.
type Options struct {
	Namespace string // of the roster and of the webhook's own objects

	Address        string // to listen on; "" = all
	Port           int
	MetricsAddress string // "0" = none
	HealthAddress  string

	CertDir       string // holds tls.crt and tls.key, without Rotate
	Rotate        bool   // make and renew the certificate ourselves
	Secret        string // that the certificate is kept in, where Rotate
	CALifetime    time.Duration
	LeafLifetime  time.Duration
	PublishWait   time.Duration // how long a new CA is published before it signs
	Service       string        // by which the API server calls us
	ServicePort   int           // of that Service
	Configuration string        // the ValidatingWebhookConfiguration that says what we are asked about

	ClientCA    string   // file with the CAs of the API server's client certificates; "" = callers show none
	ClientNames []string // that such a certificate carries one of; none = any

	CentralMetrics bool // read Central's metrics at each decision, and at each audit

	MaxInFlight   int           // reviews that are decided side by side
	CallTimeout   time.Duration // what a call may take at most, whatever its caller says
	ShutdownDelay time.Duration // between the first signal and the last accepted call
	LiveInterval  time.Duration // between looks after the connections and tokens of edges that are read live
	Version       string
}

// dnsName is the name that the API server expects in the certificate.
func (o Options) dnsName() string { return o.Service + "." + o.Namespace + ".svc" }

// Run serves until ctx ends, then drains: it reports not ready, goes on answering for ShutdownDelay, so that nobody is
// sent to a closed port, and finishes the calls in flight. A nil error means that it ended in order.
//
//  1. Make the manager with metrics and health.
//  2. Make the certificate, or wait for one that is mounted.
//  3. Serve once it is there.
//  4. Report ready once the API server would reach us and the roster can be read.
//  5. Have the API server ask, once the Service has a pod that is ready.
func Run(ctx context.Context, cfg *rest.Config, o Options, log *slog.Logger) error {
	mgr, err := newManager(cfg, o, log, nil)
	if err != nil {
		return err
	}
	members, err := inventory.NewReader(cfg, o.Namespace, o.CentralMetrics)
	if err != nil {
		return err
	}
	rights, err := rights.NewAuthorizer(cfg)
	if err != nil {
		return err
	}
	writer, err := events.NewWriter(cfg, "xcpauth.io/webhook", clock.RealClock{})
	if err != nil {
		return err
	}
	recorder := events.NewQueue(writer, log)
	edges, err := live.NewReader(cfg, api.EdgesNamespace(o.Namespace), members.Roster, o.Version, log)
	if err != nil {
		return err
	}
	certificate, err := newCertificate(cfg, o, log)
	if err != nil {
		return err
	}

	var draining atomic.Bool
	mux := http.NewServeMux()
	webhook.NewServer(webhook.Options{WebhookMux: mux}).Register(admit.Path,
		admit.Serve(&admit.Handler{ // which counts calls
			Read: edges.WithLiveReads(members.Read), Stored: members.Stored, Trusted: o.ClientCA != "",
			NamespaceEnds: members.NamespaceEnds,
			MayOverride:   rights.MayOverride, Record: recorder.Record, Clock: clock.RealClock{}, Log: log, Version: o.Version},
			admit.Limits{InFlight: o.MaxInFlight, Within: o.CallTimeout, Draining: draining.Load}))
	keep := manager.RunnableFunc(func(ctx context.Context) error { edges.Keep(ctx, o.LiveInterval); return nil })
	if err := errors.Join(mgr.Add(calls{o, mux, certificate, log}), mgr.Add(certificate), mgr.Add(recorder),
		mgr.Add(keep)); err != nil {
		return fmt.Errorf("adding the webhook server: %w", err)
	}

	unlimited := rest.CopyConfig(cfg)
	unlimited.QPS = -1 // probes cost nothing, and an evaluation waits for nobody
	objects, err := client.New(unlimited, client.Options{Scheme: mgr.GetScheme()})
	if err != nil {
		return fmt.Errorf("making the client of readiness: %w", err)
	}
	ready := &readiness{o: o, missing: certificate.Failure, bundle: certificate.CABundle, objects: objects,
		roster: members.Readable, draining: &draining, clock: clock.RealClock{}}
	at := registration.Service{Namespace: o.Namespace, Name: o.Service, Port: int32(o.ServicePort)}
	entries := &registration.Keeper{Objects: objects, Configuration: o.Configuration, Service: at,
		Bundle: certificate.CABundle, Serving: ready.ready, Log: log}
	if err := errors.Join(mgr.Add(entries), mgr.Add(ready), mgr.Add(health(o.HealthAddress, ready))); err != nil {
		return fmt.Errorf("adding the health checks: %w", err)
	}

	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	context.AfterFunc(ctx, func() {
		log.Info("draining", "for", o.ShutdownDelay)
		draining.Store(true)
		time.AfterFunc(o.ShutdownDelay, stop)
	})
	log.Info("starting", "version", o.Version, "namespace", o.Namespace, "rotate", o.Rotate)
	if err := mgr.Start(serving); err != nil {
		return fmt.Errorf("running the webhook: %w", err)
	}
	return nil
}

// newManager makes what runs a program's parts and serves its metrics. With a lock, parts that need to lead wait for
// it, and the process ends where it is lost.
func newManager(cfg *rest.Config, o Options, log *slog.Logger, lock resourcelock.Interface) (manager.Manager, error) {
	ctrl.SetLogger(logr.FromSlogHandler(log.Handler()))
	klog.SetSlogLogger(log)
	mgr, err := ctrl.NewManager(cfg, manager.Options{
		Metrics:                metricsserver.Options{BindAddress: o.MetricsAddress},
		HealthProbeBindAddress: "0", // its probes do not say what is wrong
		LeaderElection:         lock != nil, LeaderElectionResourceLockInterface: lock, LeaderElectionReleaseOnCancel: true,
		LeaseDuration: new(leaseLife), RenewDeadline: new(leaseRenew), RetryPeriod: new(leaseRetry),
	})
	if err != nil {
		return nil, fmt.Errorf("making the manager: %w", err)
	}
	return mgr, nil
}

// health serves the probes: /healthz says that the process is there, /readyz what ready says.
func health(address string, ready http.Handler) manager.Runnable {
	probes := http.NewServeMux()
	probes.Handle("/readyz", ready)
	probes.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	return &manager.Server{Name: "health", Server: &http.Server{Addr: address, Handler: probes,
		ReadHeaderTimeout: helloWithin,
		ReadTimeout:       helloWithin, WriteTimeout: answerWithin, IdleTimeout: idleFor, MaxHeaderBytes: headersMax}}
}
