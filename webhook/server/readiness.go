package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// expiry is the end of the certificate that our port showed at the last readiness check, whoever made it. Without
// labels, but a vector, so that it is absent rather than 0 before the first.
var expiry = prometheus.NewGaugeVec(prometheus.GaugeOpts{
	Name: "xcpauth_webhook_certificate_expiry_timestamp_seconds",
	Help: "When the serving certificate ends, as Unix time: the one that our own port showed last and the published CA bundle vouches for.",
}, nil)

func init() { metrics.Registry.MustRegister(expiry) }

// lastMoments is how long before its end a certificate is not served as ready: a minute, or a tenth of a shorter
// life. It says that renewal has failed for a third of its life; the metric tells while there is time.
func lastMoments(c *x509.Certificate) time.Duration {
	return min(time.Minute, c.NotAfter.Sub(c.NotBefore)/10)
}

// readiness judges, again and again and for nobody in particular, whether the API server, which calls us by our Service
// with the published CA bundle, would get a decision from this process. A probe gets the last evaluation, so that no
// number of probes costs a request.
type readiness struct {
	o        Options
	missing  func() error           // why there is no certificate to serve
	bundle   func() ([]byte, error) // what a new entry of the configuration will carry
	objects  client.Reader          // live, without a rate limit
	roster   func(context.Context) error
	draining *atomic.Bool
	clock    clock.WithTicker

	last atomic.Pointer[evaluation]
}

// evaluation is what was found at a time; a nil error is ready.
type evaluation struct {
	at   time.Time
	err  error
	late error // what the looks since then ended with: their time was over before they had found anything
}

const (
	judgeEvery  = 2 * time.Second  // while it is ready
	judgeSoon   = time.Second / 4  // until it is
	judgeWithin = 3 * time.Second  // how long an evaluation may take
	judgedUntil = 10 * time.Second // how long one holds
)

// NeedLeaderElection says that every replica judges itself.
func (*readiness) NeedLeaderElection() bool { return false }

// Start judges until ctx ends.
func (r *readiness) Start(ctx context.Context) error {
	for {
		wait := judgeEvery
		if r.renew(ctx) != nil {
			wait = judgeSoon
		}
		select {
		case <-r.clock.After(wait):
		case <-ctx.Done():
			return nil
		}
	}
}

// renew judges once. The time is that before it looked: what is found is no younger. A look whose time is over has
// found nothing: what was found before holds, for as long as it does.
func (r *readiness) renew(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, judgeWithin)
	defer cancel()
	found := &evaluation{at: r.clock.Now()}
	found.err = r.judge(within)
	if last := r.last.Load(); found.err != nil && within.Err() != nil && last != nil {
		found = &evaluation{at: last.at, err: last.err, late: found.err}
	}
	r.last.Store(found)
	return errors.Join(found.err, found.late)
}

// ready is nil where the process is ready by an evaluation that still holds, and else says what is wrong. It asks
// nobody.
func (r *readiness) ready() error {
	last := r.last.Load()
	switch {
	case r.draining.Load():
		return errors.New("draining")
	case last == nil:
		return errors.New("not judged yet: the first look is under way")
	case last.err != nil:
		return last.err
	}
	switch age := r.clock.Since(last.at); {
	case age <= judgedUntil:
		return nil
	case last.late != nil:
		return fmt.Errorf("not known: no look has come to an end for %s, the last one said: %w", age.Round(time.Second),
			last.late)
	default:
		return fmt.Errorf("not known: the last look began %s ago and has not been followed by another",
			age.Round(time.Second))
	}
}

// ServeHTTP answers a probe: 200, or 503 with what is wrong.
func (r *readiness) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err := r.ready(); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintf(w, "not ready: %v\n", err)
		return
	}
	fmt.Fprintln(w, "ready")
}

// judge is nil when all of these hold, and else says which does not:
//
//  1. There is a certificate to serve.
//  2. Each entry of our ValidatingWebhookConfiguration carries a CA bundle. Before it has an entry, there is the one
//     that the first will carry.
//  3. With each of them, our own port shows a certificate for our Service's name, which does not end within moments.
//  4. The roster can be read.
func (r *readiness) judge(ctx context.Context) error {
	if err := r.missing(); err != nil {
		return err
	}
	var conf admissionregistrationv1.ValidatingWebhookConfiguration
	if err := r.objects.Get(ctx, types.NamespacedName{Name: r.o.Configuration}, &conf); err != nil {
		return fmt.Errorf("reading ValidatingWebhookConfiguration %s: %w", r.o.Configuration, err)
	}
	if err := r.believed(ctx, conf); err != nil {
		return err
	}
	return r.roster(ctx)
}

// believed is nil where our own port is believed by each bundle of the configuration, or by that which its first entry
// will carry.
func (r *readiness) believed(ctx context.Context, conf admissionregistrationv1.ValidatingWebhookConfiguration) error {
	if len(conf.Webhooks) == 0 {
		bundle, err := r.bundle()
		if err == nil {
			err = r.probe(ctx, bundle)
		}
		if err != nil {
			return fmt.Errorf("ValidatingWebhookConfiguration %s has no entry yet: %w", conf.Name, err)
		}
	}
	probed := map[string]bool{}
	for _, w := range conf.Webhooks {
		if bundle := w.ClientConfig.CABundle; !probed[string(bundle)] {
			if err := r.probe(ctx, bundle); err != nil {
				return fmt.Errorf("webhook %s: %w", w.Name, err)
			}
			probed[string(bundle)] = true
		}
	}
	return nil
}

// probe connects to our own port as the API server does.
func (r *readiness) probe(ctx context.Context, bundle []byte) error {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(bundle) {
		return errors.New("no CA bundle is published yet")
	}
	host := r.o.Address
	if host == "" {
		host = "localhost"
	}
	dialer := tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: r.o.dnsName(), MinVersion: tls.VersionTLS12}}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(r.o.Port)))
	if err != nil {
		return fmt.Errorf("our own port, with the published CA bundle: %w", err)
	}
	defer conn.Close()
	leaf := conn.(*tls.Conn).ConnectionState().PeerCertificates[0]
	expiry.WithLabelValues().Set(float64(leaf.NotAfter.Unix()))
	if left := time.Until(leaf.NotAfter); left < lastMoments(leaf) {
		return fmt.Errorf("our certificate was not renewed and ends in %s, at %s", left.Round(time.Second),
			leaf.NotAfter.Format(time.RFC3339))
	}
	return nil
}
