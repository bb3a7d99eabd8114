package inventory

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// clocks is the latest time that an API server said it is, in the answers to the requests of one context.
type clocks struct {
	mu     sync.Mutex
	latest time.Time
}

type clocksKey struct{}

// noting is a context whose requests tell what time it is at the API server.
func noting(ctx context.Context) (context.Context, *clocks) {
	c := &clocks{}
	return context.WithValue(ctx, clocksKey{}, c), c
}

func (c *clocks) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.latest
}

// dated notes the Date of every answer, which an API server writes into each.
type dated struct{ http.RoundTripper }

func (d dated) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := d.RoundTripper.RoundTrip(r)
	if c, ok := r.Context().Value(clocksKey{}).(*clocks); ok && err == nil {
		if at, err := http.ParseTime(res.Header.Get("Date")); err == nil {
			c.mu.Lock()
			if at.After(c.latest) {
				c.latest = at
			}
			c.mu.Unlock()
		}
	}
	return res, err
}

// WrappedRoundTripper lets client-go reach what is wrapped.
func (d dated) WrappedRoundTripper() http.RoundTripper { return d.RoundTripper }
