package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	testclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// configuration is a reader of one ValidatingWebhookConfiguration with these bundles, or of an error.
type configuration struct {
	client.Reader
	bundles [][]byte
	err     error
}

func (c configuration) Get(_ context.Context, key client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
	conf := obj.(*admissionregistrationv1.ValidatingWebhookConfiguration)
	conf.Name = key.Name
	for _, bundle := range c.bundles {
		conf.Webhooks = append(conf.Webhooks, admissionregistrationv1.ValidatingWebhook{Name: "w.example",
			ClientConfig: admissionregistrationv1.WebhookClientConfig{CABundle: bundle}})
	}
	return c.err
}

// serve listens with a certificate for a name and returns its port and the PEM by which it is believed.
func serve(t *testing.T, name string, begin, end time.Time) (port int, bundle []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{DNSNames: []string{name}, NotBefore: begin, NotAfter: end, IsCA: true,
		BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().(*net.TCPAddr).Port, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestReadinessSaysWhatWouldKeepTheAPIServerFromADecision(t *testing.T) {
	const name = "hook.system.svc"
	now := time.Now()
	port, bundle := serve(t, name, now.Add(-time.Hour), now.Add(time.Hour))
	misnamed, itsBundle := serve(t, "other.system.svc", now.Add(-time.Hour), now.Add(time.Hour))
	ending, endingBundle := serve(t, name, now.Add(-time.Hour), now.Add(50*time.Second))
	ended, endedBundle := serve(t, name, now.Add(-time.Hour), now.Add(-time.Second))
	for _, c := range []struct {
		name     string
		port     int
		bundles  [][]byte
		first    []byte // bundle of an entry to come
		conf     error
		roster   error
		missing  error
		draining bool
		says     string
	}{
		{name: "all is well", port: port, bundles: [][]byte{bundle, bundle}},
		{name: "two CAs are published", port: port, bundles: [][]byte{append(append([]byte(nil), itsBundle...), bundle...)}},
		{name: "it drains", port: port, bundles: [][]byte{bundle}, draining: true, says: "draining"},
		{name: "there is no certificate", port: port, bundles: [][]byte{bundle},
			missing: errors.New("no certificate to serve yet: forbidden"), says: "no certificate to serve yet: forbidden"},
		{name: "the configuration cannot be read", port: port, conf: errors.New("forbidden"),
			says: "reading ValidatingWebhookConfiguration conf: forbidden"},
		{name: "the configuration has no entry yet", port: port, first: bundle},
		{name: "the first entry would not be believed", port: port, first: itsBundle,
			says: "conf has no entry yet: our own port, with the published CA bundle: tls: failed to verify"},
		{name: "the first entry would have no bundle", port: port,
			says: "ValidatingWebhookConfiguration conf has no entry yet: no CA bundle is published yet"},
		{name: "no bundle is published", port: port, bundles: [][]byte{bundle, nil},
			says: "webhook w.example: no CA bundle is published yet"},
		{name: "one bundle does not match", port: port, bundles: [][]byte{bundle, itsBundle},
			says: "webhook w.example: our own port, with the published CA bundle: tls: failed to verify certificate"},
		{name: "the certificate is for another name", port: misnamed, bundles: [][]byte{itsBundle},
			says: "certificate is valid for other.system.svc, not hook.system.svc"},
		{name: "the certificate is about to end", port: ending, bundles: [][]byte{endingBundle},
			says: "our certificate was not renewed and ends in"},
		{name: "the certificate has ended", port: ended, bundles: [][]byte{endedBundle},
			says: "has expired or is not yet valid"},
		{name: "the roster cannot be read", port: port, bundles: [][]byte{bundle},
			roster: errors.New("reading the roster: forbidden"), says: "reading the roster: forbidden"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var draining atomic.Bool
			draining.Store(c.draining)
			r := &readiness{
				o:        Options{Namespace: "system", Service: "hook", Configuration: "conf", Address: "127.0.0.1", Port: c.port},
				missing:  func() error { return c.missing },
				bundle:   func() ([]byte, error) { return c.first, nil },
				objects:  configuration{bundles: c.bundles, err: c.conf},
				roster:   func(context.Context) error { return c.roster },
				draining: &draining,
				clock:    testclock.NewFakeClock(now),
			}
			_ = r.renew(t.Context())
			if code, text := probed(r); (code == http.StatusOK) != (c.says == "") || !strings.Contains(text, c.says) {
				t.Errorf("HTTP %d: %s, want %q", code, text, c.says)
			}
		})
	}
}

// probed is what a probe of readiness gets.
func probed(r *readiness) (int, string) {
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	return w.Code, w.Body.String()
}

// A hundred probes cost no request: they get the evaluation that was made, for as long as it holds, and never an older
// one.
func TestAProbeGetsTheLastJudgementAndAsksNobody(t *testing.T) {
	now := time.Now()
	port, bundle := serve(t, "hook.system.svc", now.Add(-time.Hour), now.Add(time.Hour))
	var draining atomic.Bool
	asked, fails := 0, error(nil)
	clock := testclock.NewFakeClock(now)
	r := &readiness{o: Options{Namespace: "system", Service: "hook", Configuration: "conf", Address: "127.0.0.1",
		Port: port}, missing: func() error { return nil },
		objects: configuration{bundles: [][]byte{bundle}}, roster: func(context.Context) error { asked++; return fails },
		draining: &draining, clock: clock}
	expect := func(when string, code int, says string) {
		t.Helper()
		if got, text := probed(r); got != code || !strings.Contains(text, says) {
			t.Errorf("%s: HTTP %d: %s, want %d and %q", when, got, text, code, says)
		}
	}
	expect("before the first look", http.StatusServiceUnavailable, "not judged yet")
	_ = r.renew(t.Context())
	for range 100 {
		expect("afterwards", http.StatusOK, "ready")
	}
	if asked != 1 {
		t.Errorf("100 probes asked %d times", asked)
	}
	clock.Step(judgedUntil)
	expect("while it holds", http.StatusOK, "ready")
	clock.Step(time.Second)
	expect("when nothing followed it", http.StatusServiceUnavailable, "not known: the last look began 11s ago")
	fails = errors.New("reading the roster: forbidden")
	_ = r.renew(t.Context())
	expect("when it fails", http.StatusServiceUnavailable, "not ready: reading the roster: forbidden")
	fails = nil
	_ = r.renew(t.Context())
	draining.Store(true)
	expect("while it drains, whatever was judged", http.StatusServiceUnavailable, "draining")
}

// A look that its time ended has found nothing: what was found before holds until it is too old, and only then a probe
// fails, with what the last look said.
func TestALookThatTakesTooLongIsNoLook(t *testing.T) {
	now := time.Now()
	port, bundle := serve(t, "hook.system.svc", now.Add(-time.Hour), now.Add(time.Hour))
	clock := testclock.NewFakeClock(now)
	hangs := false
	r := &readiness{o: Options{Namespace: "system", Service: "hook", Configuration: "conf", Address: "127.0.0.1",
		Port: port}, missing: func() error { return nil }, objects: configuration{bundles: [][]byte{bundle}},
		roster: func(ctx context.Context) error {
			if !hangs {
				return nil
			}
			<-ctx.Done()
			return fmt.Errorf("reading the roster: %w", ctx.Err())
		}, draining: &atomic.Bool{}, clock: clock}
	renew := func() error {
		ctx, cancel := context.WithCancel(t.Context())
		if hangs {
			cancel() // its time is over
		}
		defer cancel()
		return r.renew(ctx)
	}
	expect := func(when string, code int, says string) {
		t.Helper()
		if got, text := probed(r); got != code || !strings.Contains(text, says) {
			t.Errorf("%s: HTTP %d: %s, want %d and %q", when, got, text, code, says)
		}
	}
	hangs = true
	if renew() == nil {
		t.Error("the first look, which its time ended, was done")
	}
	expect("when nothing was ever found", http.StatusServiceUnavailable, "canceled")
	hangs = false
	if err := renew(); err != nil {
		t.Error(err)
	}
	hangs = true
	clock.Step(judgedUntil)
	if renew() == nil {
		t.Error("a look that its time ended was done")
	}
	expect("while what was found holds", http.StatusOK, "ready")
	clock.Step(time.Second)
	expect("afterwards", http.StatusServiceUnavailable,
		"not known: no look has come to an end for 11s, the last one said: ")
	hangs = false
	if err := renew(); err != nil {
		t.Error(err)
	}
	expect("once one comes to an end", http.StatusOK, "ready")
}

// It looks again by itself: soon while it is not ready, and then every few seconds.
func TestReadinessIsJudgedAgainByItself(t *testing.T) {
	var draining atomic.Bool
	looked := make(chan struct{})
	clock := testclock.NewFakeClock(time.Now())
	r := &readiness{missing: func() error { looked <- struct{}{}; return errors.New("no certificate") },
		draining: &draining, clock: clock}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Start(ctx) }()
	<-looked
	for range 3 {
		for !clock.HasWaiters() {
			runtime.Gosched()
		}
		clock.Step(judgeSoon)
		<-looked
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestACertificateIsNotReadyInItsLastMoments(t *testing.T) {
	now := time.Now()
	for _, c := range []struct{ life, want time.Duration }{{90 * 24 * time.Hour, time.Minute},
		{10 * time.Minute, time.Minute}, {time.Minute, 6 * time.Second}} {
		if got := lastMoments(&x509.Certificate{NotBefore: now, NotAfter: now.Add(c.life)}); got != c.want {
			t.Errorf("of a life of %s: %s, want %s", c.life, got, c.want)
		}
	}
}
