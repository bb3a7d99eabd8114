package kubeconfig

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// roundTrip is a transport that is a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// That something is not there is the API server's to say. A proxy's 404 is a failure, whatever was asked for and
// however it is written, so that nothing is believed to be gone because of it.
func TestWhatAProxyDoesNotFindIsNotGone(t *testing.T) {
	const status = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`
	const core, crd = "/api/v1/namespaces/kube-system", "/apis/install.tetrate.io/v1alpha1/controlplanes"
	for name, tc := range map[string]struct {
		path string
		code int
		body string
		want int
	}{
		"an API server's":             {core, 404, status, 404},
		"its mux's":                   {crd, 404, "404 page not found\n", 404},
		"a mux's of what always is":   {core, 404, "404 page not found\n", 502},
		"the same below a proxy's":    {"/k8s/clusters/c-1" + core, 404, "404 page not found\n", 502},
		"a Lease is always":           {"/apis/coordination.k8s.io/v1/leases", 404, "404 page not found\n", 502},
		"a page":                      {crd, 404, "<h1>404 Not Found</h1>", 502},
		"a backend's":                 {crd, 404, "default backend - 404", 502},
		"a gateway's":                 {crd, 404, `{"message":"no Route matched with those values"}`, 502},
		"of another kind":             {crd, 404, `{"kind":"Error","apiVersion":"v1"}`, 502},
		"empty":                       {crd, 404, "", 502},
		"what is no 404 is as it was": {core, 200, "<h1>hello</h1>", 200},
	} {
		for _, method := range []string{http.MethodGet, http.MethodPatch, http.MethodDelete} {
			n := notFound{roundTrip(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: tc.code, Header: http.Header{"Content-Type": {"text/html"}},
					Body: io.NopCloser(strings.NewReader(tc.body))}, nil
			})}
			r, err := http.NewRequestWithContext(t.Context(), method, "https://eu.example"+tc.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := n.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if resp.Body.Close(); err != nil || resp.StatusCode != tc.want || tc.want == tc.code && string(body) != tc.body ||
				tc.want != tc.code && !strings.Contains(string(body), "in front of the API server") {
				t.Errorf("%s, %s: %d, %q, %v", name, method, resp.StatusCode, body, err)
			}
		}
	}
}

// A burst shares the connection of its first request; when that one cannot connect the next tries; nobody waits
// beyond its own time.
func TestABurstSharesOneConnection(t *testing.T) {
	var connections atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.EnableHTTP2 = true
	server.Config.ConnState = countNew(&connections)
	server.StartTLS()
	defer server.Close()
	burst := func(s http.RoundTripper, ctx context.Context, n int) (failed int64) {
		var wg sync.WaitGroup
		var errs atomic.Int64
		for range n {
			wg.Go(func() {
				r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
				if err != nil {
					t.Error(err)
					return
				}
				resp, err := s.RoundTrip(r)
				if err != nil {
					errs.Add(1)
					return
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			})
		}
		wg.Wait()
		return errs.Load()
	}

	if failed := burst(&shared{next: server.Client().Transport}, t.Context(), 20); failed != 0 || connections.Load() != 1 {
		t.Errorf("a burst of 20 made %d connections and %d failures, want 1 and none", connections.Load(), failed)
	}

	var tries atomic.Int64
	flaky := &shared{next: roundTrip(func(r *http.Request) (*http.Response, error) {
		if tries.Add(1) <= 3 {
			return nil, errors.New("connection refused")
		}
		return server.Client().Transport.RoundTrip(r)
	})}
	if failed := burst(flaky, t.Context(), 10); failed != 3 {
		t.Errorf("%d of a burst failed, want the three that could not connect", failed)
	}

	ctx, cancel := context.WithCancel(t.Context())
	began := make(chan struct{})
	stalls := &shared{next: roundTrip(func(r *http.Request) (*http.Response, error) {
		close(began)
		<-r.Context().Done()
		return nil, r.Context().Err()
	})}
	go func() { <-began; cancel() }()
	if failed := burst(stalls, ctx, 1); failed != 1 {
		t.Errorf("a request to a server that stalls ended well")
	}
}

// A wish to be asked later is passed on when there is time for that, and else taken out of the answer.
func TestRetryAfterIsPassedOnOnlyIfThereIsTime(t *testing.T) {
	for _, tc := range []struct{ asks, within, want string }{
		{"1", "1m", "1"}, {"3600", "1m", ""}, {"3600", "", "3600"}, {"", "1m", ""},
		{"Wed, 21 Oct 2026 07:28:00 GMT", "1m", "Wed, 21 Oct 2026 07:28:00 GMT"},
	} {
		ctx := t.Context()
		if tc.within != "" {
			d, err := time.ParseDuration(tc.within)
			if err != nil {
				t.Fatal(err)
			}
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, d)
			defer cancel()
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://api.example.test", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := impatient{roundTrip(func(*http.Request) (*http.Response, error) {
			return http.ReadResponse(reader("HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\nRetry-After: "+tc.asks+"\r\n\r\n"), nil)
		})}.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.Header.Get("Retry-After"); got != tc.want || fmt.Sprint(resp.StatusCode) != "429" {
			t.Errorf("asked for %q within %q: %q, want %q", tc.asks, tc.within, got, tc.want)
		}
	}
}

func countNew(n *atomic.Int64) func(net.Conn, http.ConnState) {
	return func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			n.Add(1)
		}
	}
}

func reader(s string) *bufio.Reader { return bufio.NewReader(strings.NewReader(s)) }
