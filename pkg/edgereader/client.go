package edgereader

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Client reads one edge by its kubeconfig. It keeps its connection, notices within seconds when that is dead, takes
// no proxy and follows no redirect.
type Client struct {
	kube  Kubeconfig
	agent string
	http  *http.Client
	held  *Budget
}

const (
	maxAnswer    = 8 << 20 // bytes of one answer
	throttledFor = 100 * time.Millisecond
	throttles    = 2 // how often a request is asked again after 429
)

// Budget bounds the bytes that all clients which share it hold at one time while they read.
type Budget struct{ left atomic.Int64 }

// NewBudget bounds to so many bytes.
func NewBudget(bytes int64) *Budget {
	b := &Budget{}
	b.left.Store(bytes)
	return b
}

// Left is how many bytes may be held beside those that are.
func (b *Budget) Left() int64 { return b.left.Load() }

// NewClient makes a client; it dials nobody yet. agent is its User-Agent, held what it shares with others, nil = no
// bound.
func NewClient(k Kubeconfig, agent string, held *Budget) (*Client, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(k.CA) {
		return nil, errors.New("the kubeconfig holds no CA")
	}
	return &Client{kube: k, agent: agent, held: held, http: &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
			TLSClientConfig:        &tls.Config{RootCAs: roots, ServerName: k.ServerName, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    10 * time.Second, // a dial goes on when nobody waits for it any more
			ForceAttemptHTTP2:      true,
			HTTP2:                  &http.HTTP2Config{SendPingTimeout: 5 * time.Second, PingTimeout: 2 * time.Second},
			MaxIdleConnsPerHost:    2,
			IdleConnTimeout:        5 * time.Minute,
			MaxResponseHeaderBytes: 64 << 10,
		}}}, nil
}

// Through is a client that reaches the edge by another address, with a client that is there. The latter must hold the
// token.
func Through(k Kubeconfig, server string, by *http.Client, agent string) *Client {
	k.Server = strings.TrimSuffix(server, "/")
	return &Client{kube: k, agent: agent, http: by}
}

// Close lets its connections go.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Bursts does burst after burst, until next lists no more for what was read.
func (c *Client) Bursts(ctx context.Context, next func(soFar map[plan.Read]plan.Result) []plan.Read,
	trim func(plan.Read, []byte) []byte) (map[plan.Read]plan.Result, *Fault) {
	soFar := map[plan.Read]plan.Result{}
	for {
		reads := next(soFar)
		if len(reads) == 0 {
			return soFar, nil
		}
		results, fault := c.Burst(ctx, reads, trim)
		if fault != nil {
			return nil, fault
		}
		maps.Copy(soFar, results)
	}
}

// Burst does all reads at once, within the deadline of ctx, and returns their results; or the fault of one of them
// that could not be done: a part of a burst tells nothing. trim, when not nil, takes out of a body what is not
// needed.
func (c *Client) Burst(ctx context.Context, reads []plan.Read, trim func(plan.Read,
	[]byte) []byte) (map[plan.Read]plan.Result, *Fault) {
	began := time.Now()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		read   plan.Read
		result plan.Result
		fault  *Fault
	}
	answers := make(chan answer, len(reads))
	// the first read makes a connection, or finds the one that is kept; the others share it
	connected := make(chan struct{})
	connect := sync.OnceFunc(func() { close(connected) })
	first := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connect() }})
	for i, r := range reads {
		go func() {
			with := first
			if i > 0 {
				with = ctx
				<-connected
			}
			a := answer{read: r}
			a.result, a.fault = c.get(with, r, trim)
			answers <- a
			if a.fault != nil {
				cancel() // the rest of the burst has nothing to add
			}
			connect()
		}()
	}
	results := make(map[plan.Read]plan.Result, len(reads))
	var fault *Fault
	for range reads {
		a := <-answers
		results[a.read] = a.result
		if a.fault != nil && fault == nil {
			fault = a.fault.within(time.Since(began))
		}
	}
	if fault != nil {
		return nil, fault
	}
	return results, nil
}

// Warm makes a connection unless there is one. Any answer will do.
func (c *Client) Warm(ctx context.Context) *Fault {
	began := time.Now()
	code, body, fault := c.do(ctx, http.MethodGet, "/version", "application/json", nil)
	defer c.held.give(int64(len(body)))
	if fault == nil && code == http.StatusUnauthorized {
		fault = &Fault{Unauthorized, refusedToken}
	}
	return fault.within(time.Since(began))
}

// get does one read. That a thing is not there is a result; an answer that is not what was asked for is a fault.
func (c *Client) get(ctx context.Context, r plan.Read, trim func(plan.Read, []byte) []byte) (plan.Result, *Fault) {
	code, body, fault := c.do(ctx, http.MethodGet, r.Path(), r.Accept(), nil)
	defer c.held.give(int64(len(body)))
	switch {
	case fault != nil:
		return plan.Result{}, fault
	case ctx.Err() != nil: // what came may be a part
		return plan.Result{}, unanswered(ctx.Err())
	case code == http.StatusNotFound && reason(body) == "NotFound":
		return plan.Result{Missing: true}, nil
	case code != http.StatusOK:
		return plan.Result{}, answered(code, r.Resource, body)
	}
	if why := typeMismatch(r, body); why != "" {
		return plan.Result{}, &Fault{Malformed, fmt.Sprintf("its API server's answer about %s %s", r.Resource, why)}
	}
	if trim != nil {
		body = append([]byte(nil), trim(r, body)...) // of its own size: the rest is let go
	}
	return plan.Result{Body: body}, nil
}

// do sends a request and reads the whole answer, bounded; what it holds is given back by the caller. An API server
// that asks to wait is asked again if there is time.
func (c *Client) do(ctx context.Context, method, path, accept string, send []byte) (int, []byte, *Fault) {
	for try := 0; ; try++ {
		req, err := http.NewRequestWithContext(ctx, method, c.kube.Server+path, strings.NewReader(string(send)))
		if err != nil {
			return 0, nil, &Fault{Malformed, "its address cannot be asked"}
		}
		req.Header.Set("Authorization", "Bearer "+string(c.kube.Token.Reveal()))
		req.Header.Set("User-Agent", c.agent)
		req.Header.Set("Accept", accept)
		if send != nil {
			req.Header.Set("Content-Type", "application/json")
		}
		resp, err := c.http.Do(req)
		if err != nil {
			fault := unanswered(err)
			if fault == cut && try == 0 && method == http.MethodGet && ctx.Err() == nil {
				continue // a kept connection was found dead, as after a restart: the next is a new one
			}
			return 0, nil, fault
		}
		counted := &counter{from: io.LimitReader(resp.Body, maxAnswer+1), held: c.held}
		body, err := io.ReadAll(counted)
		resp.Body.Close()
		switch {
		case errors.Is(err, errBudget):
			c.held.give(counted.n)
			return 0, nil, &Fault{Failed, "too much is being read at once; try again"}
		case err != nil:
			c.held.give(counted.n)
			return 0, nil, unanswered(err)
		case len(body) > maxAnswer:
			c.held.give(counted.n)
			return 0, nil, &Fault{Malformed, fmt.Sprintf("its API server's answer is larger than %d MiB", maxAnswer>>20)}
		case resp.StatusCode == http.StatusTooManyRequests && try < throttles && waited(ctx, resp.Header.Get("Retry-After")):
			c.held.give(counted.n)
			continue
		}
		return resp.StatusCode, body, nil
	}
}

// waited waits as long as an API server asks to, if it asks for less time than there is.
func waited(ctx context.Context, retryAfter string) bool {
	seconds, err := strconv.Atoi(retryAfter)
	if err != nil || seconds < 0 || seconds > 3600 {
		return false
	}
	pause := max(time.Duration(seconds)*time.Second, throttledFor)
	if end, bounded := ctx.Deadline(); bounded && time.Until(end) <= pause+throttledFor {
		return false
	}
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

var errBudget = errors.New("too much is being read at once")

// counter takes what is read out of a budget.
type counter struct {
	from io.Reader
	held *Budget
	n    int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n += int64(n)
	if !c.held.take(int64(n)) {
		return n, errBudget
	}
	return n, err
}

func (b *Budget) take(n int64) bool { return b == nil || b.left.Add(-n) >= 0 }

func (b *Budget) give(n int64) {
	if b != nil {
		b.left.Add(n)
	}
}

// typeMismatch says why a body is not the object or the whole list that was asked for; "" when it is.
func typeMismatch(r plan.Read, body []byte) string {
	type meta struct {
		Name, Namespace, UID, Continue string
		Remaining                      *int64 `json:"remainingItemCount"`
	}
	var o struct {
		Kind     string
		Metadata meta
		Items    []struct{ Metadata meta }
	}
	if err := json.Unmarshal(body, &o); err != nil {
		return "is no object as the API has them" // the decoder's words may hold a part of it
	}
	if r.Name != "" {
		if !kindFits(o.Kind, r.Resource) || o.Metadata.Name != r.Name || o.Metadata.Namespace != r.Namespace ||
			o.Metadata.UID == "" {
			return "is not the object that was asked for"
		}
		return ""
	}
	kind, isList := strings.CutSuffix(o.Kind, "List")
	if !isList || o.Items == nil || !kindFits(kind, r.Resource) && kind != "PartialObjectMetadata" {
		return "is not the list that was asked for"
	}
	if o.Metadata.Continue != "" || o.Metadata.Remaining != nil && *o.Metadata.Remaining > 0 {
		return "is a part of a list"
	}
	for _, i := range o.Items {
		if i.Metadata.Name == "" || i.Metadata.UID == "" || i.Metadata.Namespace != r.Namespace {
			return "is a list of something else"
		}
	}
	return ""
}
