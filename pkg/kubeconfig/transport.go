package kubeconfig

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// watch401 notes that a credential was refused.
type watch401 struct {
	http.RoundTripper
	refused *atomic.Bool
}

func (w watch401) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := w.RoundTripper.RoundTrip(r)
	if err == nil && resp.StatusCode == http.StatusUnauthorized {
		w.refused.Store(true)
	}
	return resp, err
}

// WrappedRoundTripper lets client-go find the transport below, as for its own wrappers.
func (w watch401) WrappedRoundTripper() http.RoundTripper { return w.RoundTripper }

// impatient passes an API server's wish to be asked again later on only if there is time for that. client-go would
// wait until the deadline, and then say that no answer came in time.
type impatient struct{ http.RoundTripper }

func (i impatient) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := i.RoundTripper.RoundTrip(r)
	if err != nil {
		return resp, err
	}
	seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	deadline, limited := r.Context().Deadline()
	if err == nil && limited && time.Until(deadline) < time.Duration(seconds)*time.Second {
		resp.Header.Del("Retry-After")
	}
	return resp, nil
}

// WrappedRoundTripper lets client-go find the transport below, as for its own wrappers.
func (i impatient) WrappedRoundTripper() http.RoundTripper { return i.RoundTripper }

// ReasonForeign is the reason of a Status that no API server sent: something in front of it answered.
const ReasonForeign metav1.StatusReason = "Foreign"

// most404 is how much of a 404 is read: an API server's own is a few hundred bytes.
const most404 = 64 << 10

// notFound passes on that something is not there only if the API server says so: by a Status, or of a group that it
// need not serve in the words of its mux. It is a fact that much is built on, and a proxy that has lost its backend
// says 404 too, one that is written in Go in these words.
type notFound struct{ http.RoundTripper }

func (n notFound) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := n.RoundTripper.RoundTrip(r)
	if err != nil || resp.StatusCode != http.StatusNotFound {
		return resp, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, most404))
	resp.Body.Close()
	var status metav1.TypeMeta
	switch own := json.Unmarshal(body, &status) == nil && status.Kind == "Status" && status.APIVersion == "v1"; {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrCut, err)
	case !own && (always(r.URL.Path) || strings.TrimSpace(string(body)) != "404 page not found"):
		body, err = json.Marshal(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
			Status: metav1.StatusFailure, Reason: ReasonForeign, Code: http.StatusBadGateway,
			Message: "something in front of the API server answered 404 in its place; try again, or look at that proxy"})
		if err != nil {
			return nil, err
		}
		resp.StatusCode, resp.Status = http.StatusBadGateway, "502 Bad Gateway"
		resp.Header = http.Header{"Content-Type": {"application/json"}}
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return resp, nil
}

// always says whether every API server serves the group of a path, so that what is missing there is missing by a
// Status. A proxy may have a path of its own before it.
func always(path string) bool {
	return slices.ContainsFunc([]string{"/api/v1/", "/apis/apps/v1/", "/apis/coordination.k8s.io/v1/",
		"/apis/rbac.authorization.k8s.io/v1/"}, func(group string) bool { return strings.Contains(path, group) })
}

// WrappedRoundTripper lets client-go find the transport below, as for its own wrappers.
func (n notFound) WrappedRoundTripper() http.RoundTripper { return n.RoundTripper }

// shared lets the first request of a client make its connection before the others of the same burst go out: they then
// share it, where each would make one of its own and all but one be thrown away. No request waits longer for that
// than the connection takes.
type shared struct {
	next http.RoundTripper

	mu        sync.Mutex
	connected bool
	making    chan struct{} // closed when whoever makes the connection is done with that; nil when nobody does
}

func (s *shared) RoundTrip(r *http.Request) (*http.Response, error) {
	for {
		s.mu.Lock()
		switch {
		case s.connected:
			s.mu.Unlock()
			return s.next.RoundTrip(r)
		case s.making == nil:
			s.making = make(chan struct{})
			s.mu.Unlock()
			return s.first(r)
		}
		making := s.making
		s.mu.Unlock()
		select {
		case <-making:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
}

// first makes the connection; if it cannot, the next request tries.
func (s *shared) first(r *http.Request) (*http.Response, error) {
	var once sync.Once
	done := func(connected bool) {
		once.Do(func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.connected = connected
			close(s.making)
			s.making = nil
		})
	}
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { done(true) }}
	resp, err := s.next.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
	done(err == nil)
	return resp, err
}

// WrappedRoundTripper lets client-go find the transport below, as for its own wrappers.
func (s *shared) WrappedRoundTripper() http.RoundTripper { return s.next }
