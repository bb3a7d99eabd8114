package kubeconfig

import (
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
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
