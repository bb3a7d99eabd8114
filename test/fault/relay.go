package fault

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"time"

	"k8s.io/client-go/rest"
)

// Relay is a front that answers nothing itself, and what it does to the answers of the API server. The zero value
// leaves them as they are.
type Relay struct {
	// Ahead is how far the server's clock is put forward: it is added to the Date of every answer, and to nothing else.
	Ahead time.Duration
	// Answered is told of every answer, with what was sent, before the client gets it; the client waits until it returns.
	Answered func(r *http.Response, sent []byte)
}

// Start starts the front before the API server of a client configuration.
func (r Relay) Start(to *rest.Config) (*Front, error) {
	return serve(to, nil, func(next http.RoundTripper) http.RoundTripper { return relaying{r, next} })
}

type relaying struct {
	Relay
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (r relaying) RoundTrip(req *http.Request) (*http.Response, error) {
	var sent []byte
	if req.Body != nil && r.Answered != nil {
		var err error
		if sent, err = io.ReadAll(req.Body); err != nil {
			return nil, fmt.Errorf("reading what is sent: %w", err)
		}
		req.Body.Close()
		req = req.Clone(req.Context())
		req.Body = io.NopCloser(bytes.NewReader(sent))
	}
	resp, err := r.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil && r.Ahead != 0 {
		resp.Header.Set("Date", at.Add(r.Ahead).UTC().Format(http.TimeFormat))
	}
	if r.Answered != nil {
		r.Answered(resp, sent)
	}
	return resp, nil
}
