package globalapi

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/observe"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

const (
	// maxAnswer bounds one answer: a page of zones with the configuration that each tells of is some ten megabytes.
	maxAnswer = 64 << 20
	// tries is how often something is read that the API is too busy for, and again how long it is waited for in between.
	tries = 3
	again = 300 * time.Millisecond
)

// connection is one to a pod's API. It is asked for one thing after the other.
type connection struct {
	pod    string // or its address
	client *http.Client
	base   string // "http://localhost:5681/"
	login  string
	again  time.Duration // how long is waited before something is read again
}

// open prepares a connection to an address outside of clusters.
func open(url, login string, conf *tls.Config) *connection {
	return &connection{pod: url, login: login, base: url, again: again, client: &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, MaxConnsPerHost: 1, TLSClientConfig: conf.Clone()},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// connect prepares a connection to a pod, which is opened by the first request and ends with ctx. Who answers is the
// pod that the API server leads to, so its certificate, which is made for the Service's name, tells nothing more.
func connect(ctx context.Context, c *kubeconfig.Cluster, pod string, at plan.HubAPI, login string) *connection {
	scheme := "http"
	if at.TLS {
		scheme = "https"
	}
	dial := func(context.Context, string, string) (net.Conn, error) {
		return observe.Forward(ctx, c, at.Object.Namespace, pod, at.Port)
	}
	return &connection{pod: pod, login: login, again: again, base: fmt.Sprintf("%s://localhost:%d/%s", scheme, at.Port,
		strings.Trim(at.Base, "/")),
		client: &http.Client{
			Transport: &http.Transport{DialContext: dial, MaxConnsPerHost: 1,
				TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

func (k *connection) close() { k.client.CloseIdleConnections() }

// answer is what was answered.
type answer struct {
	status int
	kind   string // of its body: "application/json"
	body   []byte
}

// send sends one request, once. path is below the API's base, with its query.
func (k *connection) send(ctx context.Context, method, path string, body []byte) (answer, error) {
	var sent atomic.Bool
	ctx, begun, cancel := inHalf(ctx, method)
	defer cancel()
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteHeaderField: func(string, []string) { sent.Store(true) }})
	req, err := http.NewRequestWithContext(traced, method, strings.TrimSuffix(k.base, "/")+"/"+strings.TrimPrefix(path,
		"/"), bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.GetBody = nil // the transport sends it once
	req.Header.Set("Accept", "application/json, text/plain")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if k.login != "" {
		req.Header.Set("Authorization", "Bearer "+k.login)
	}
	resp, err := k.client.Do(req)
	begun()
	if err != nil {
		return answer{}, k.failed(method, sent.Load(), cmp.Or(context.Cause(ctx), err))
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode}
	a.kind, _, _ = mime.ParseMediaType(resp.Header.Get("Content-Type"))
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return answer{}, k.failed(method, true, err)
	case len(a.body) > maxAnswer:
		return answer{}, &Error{Text: fmt.Sprintf("its answer is longer than %d MiB, and was not read", maxAnswer>>20)}
	case a.status/100 == 3:
		return answer{}, &Error{Status: a.status, Text: fmt.Sprintf("it leads elsewhere (%d), which is not followed",
			a.status)}
	}
	return a, nil
}

// inHalf is the context of a request. An answer that is only read must begin within half of the time that is left: a
// pod that is being replaced may take a connection and say nothing, and the other half is for the next pod. begun is
// called when it has begun.
func inHalf(ctx context.Context, method string) (half context.Context, begun func(), cancel context.CancelFunc) {
	deadline, bounded := ctx.Deadline()
	if !bounded || method != http.MethodGet {
		return ctx, func() {}, func() {}
	}
	after := time.Until(deadline) / 2
	half, end := context.WithCancelCause(ctx)
	timer := time.AfterFunc(after, func() {
		end(fmt.Errorf("its answer did not begin within %s: %w", after.Round(100*time.Millisecond),
			context.DeadlineExceeded))
	})
	return half, func() { timer.Stop() }, func() { timer.Stop(); end(nil) }
}

// failed is the error of a request to which no whole answer came.
func (k *connection) failed(method string, sent bool, err error) error {
	if sent && method != http.MethodGet {
		return &Lost{err}
	}
	return &unreached{k.pod, err}
}

// get reads something as JSON. What the API is too busy for is asked again.
func (k *connection) get(ctx context.Context, path string) ([]byte, error) {
	for try := 1; ; try++ {
		a, err := k.send(ctx, http.MethodGet, path, nil)
		switch busy := a.status == http.StatusTooManyRequests || a.status >= 500; {
		case err != nil:
			return nil, err
		case busy && try < tries && pause(ctx, k.again*time.Duration(try)) == nil:
		case a.status != http.StatusOK:
			return nil, refused(a)
		case a.kind != "application/json":
			return nil, &Error{Text: fmt.Sprintf("it answered with %q and not with JSON; is that a control plane's API?",
				a.kind)}
		default:
			return a.body, nil
		}
	}
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
