package kubeconfig

import (
	"net/http"
	"sync"
	"time"
)

// clock compares an API server's clock with this machine's, by the Date of its answers.
type clock struct {
	next http.RoundTripper

	mu    sync.Mutex
	told  bool
	skew  time.Duration
	width time.Duration // how long the request of skew took: the shorter, the surer
}

// watched is a client whose answers the clock looks at.
func (c *clock) watched(client *http.Client) *http.Client {
	c.next = client.Transport
	if c.next == nil {
		c.next = http.DefaultTransport
	}
	w := *client // it may be http.DefaultClient
	w.Transport = c
	return &w
}

// RoundTrip implements http.RoundTripper.
func (c *clock) RoundTrip(r *http.Request) (*http.Response, error) {
	asked := time.Now()
	resp, err := c.next.RoundTrip(r)
	if err == nil {
		c.note(asked, time.Now(), resp.Header.Get("Date"))
	}
	return resp, err
}

// WrappedRoundTripper lets client-go find the transport below.
func (c *clock) WrappedRoundTripper() http.RoundTripper { return c.next }

// note reads one answer. Its Date is cut to seconds, and was written some time between the question and the answer:
// what lies within that is no skew.
func (c *clock) note(asked, answered time.Time, header string) {
	date, err := http.ParseTime(header)
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if width := answered.Sub(asked); !c.told || width < c.width {
		c.told, c.width = true, width
		c.skew = max(date.Sub(answered), 0) + min(date.Add(time.Second).Sub(asked), 0)
	}
}

// Skew is how far the API server's clock is ahead of this machine's at the least (less than 0: behind), by its
// answers so far; nil when none told.
func (c *Cluster) Skew() *time.Duration {
	c.clock.mu.Lock()
	defer c.clock.mu.Unlock()
	if !c.clock.told {
		return nil
	}
	skew := c.clock.skew
	return &skew
}
