package fault

import (
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"k8s.io/client-go/rest"
)

// Answer says which requests an HTTPS front answers itself, and how. The zero value answers every request with an
// empty 200.
type Answer struct {
	Method string // of the requests; "" = all
	Path   string // a part of their path; "" = all
	Times  int    // how many of them, then all pass; 0 = every one

	Code       int
	Reason     string // of the Status in the body
	Message    string
	RetryAfter int // seconds, in the header that servers set with 429; 0 = no header
	// Midst begins to answer with a body that does not end: Stall keeps the connection, else it is cut.
	Midst, Stall bool
}

// Front is an HTTPS server before an API server: it speaks to the client with a certificate of its own, and passes on
// with the credential that it was given. Port-forwards pass too.
type Front struct {
	URL string
	CA  []byte // PEM

	server *httptest.Server
	answer *Answer // nil = it answers nothing itself
	done   chan struct{}

	mu       sync.Mutex
	answered int
	passed   map[string]int // by method
}

// Serve starts a front before the API server of a client configuration.
func Serve(to *rest.Config, a Answer) (*Front, error) { return serve(to, &a, nil) }

// serve is Serve, by way of through where that is given.
func serve(to *rest.Config, a *Answer, through func(http.RoundTripper) http.RoundTripper) (*Front, error) {
	cfg := rest.CopyConfig(to)
	cfg.NextProtos = []string{"http/1.1"} // a port-forward upgrades its connection
	transport, err := rest.TransportFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("starting a front of %s: %w", to.Host, err)
	}
	if through != nil {
		transport = through(transport)
	}
	target, err := url.Parse(to.Host)
	if err != nil {
		return nil, fmt.Errorf("starting a front of %s: %w", to.Host, err)
	}
	proxy := &httputil.ReverseProxy{Transport: transport, FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header.Del("Authorization")
		}}
	f := &Front{answer: a, done: make(chan struct{}), passed: map[string]int{}}
	f.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !f.own(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	f.server.EnableHTTP2 = true
	f.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	f.server.StartTLS()
	f.URL = f.server.URL
	f.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.server.Certificate().Raw})
	return f, nil
}

// Close ends the front and every connection to it.
func (f *Front) Close() {
	close(f.done)
	f.server.CloseClientConnections()
	f.server.Close()
}

// Answered is how many requests the front answered itself.
func (f *Front) Answered() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.answered
}

// Passed is how many requests of a method went on to the API server.
func (f *Front) Passed(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.passed[method]
}

// own answers a request, if it is for the front to answer.
func (f *Front) own(w http.ResponseWriter, r *http.Request) bool {
	a := f.answer
	f.mu.Lock()
	own := a != nil && (a.Method == "" || a.Method == r.Method) && strings.Contains(r.URL.Path, a.Path) &&
		(a.Times == 0 || f.answered < a.Times)
	if own {
		f.answered++
	} else {
		f.passed[r.Method]++
	}
	f.mu.Unlock()
	if !own {
		return false
	}
	w.Header().Set("Content-Type", "application/json")
	if a.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(a.RetryAfter))
	}
	if a.Midst {
		io.WriteString(w, `{"apiVersion":"v1","kind":"List","items":[`)
		w.(http.Flusher).Flush()
		if a.Stall {
			select {
			case <-f.done:
			case <-r.Context().Done():
			}
		}
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(a.Code)
	fmt.Fprintf(w, `{"apiVersion":"v1","kind":"Status","status":"Failure","code":%d,"reason":%q,"message":%q}`, a.Code,
		a.Reason, a.Message)
	return true
}
