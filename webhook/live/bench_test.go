package live

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"testing"
	"time"
)

// What a decision costs whose 50 members are read live, each 40 ms away, beside one bare GET over the same way: the
// floor, since something must be asked and answered. The connections are warm, as Keep leaves them.
func BenchmarkLiveDecision(b *testing.B) {
	const edges, away = 50, 40 * time.Millisecond
	h := startHub(b)
	for i := range edges {
		e := startEdge(b, fmt.Sprintf("edge-%02d", i))
		e.mode(true)
		e.delay = away
		h.register(e)
	}
	d := h.decider(5 * time.Second)
	d.admits("warm")

	bare := startEdge(b, "bare")
	bare.delay = away
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bare.own.ca)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots},
		ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	get := func() time.Duration {
		began := time.Now()
		resp, err := client.Get("https://" + bare.address + "/version")
		if err != nil {
			b.Fatal(err)
		}
		resp.Body.Close()
		return time.Since(began)
	}
	get()
	var live, floor time.Duration
	b.ReportAllocs()
	for b.Loop() {
		began := time.Now()
		d.admits("in the bench")
		live += time.Since(began)
		floor += get()
	}
	b.ReportMetric(float64(live.Milliseconds())/float64(b.N), "ms/decision")
	b.ReportMetric(float64(floor.Milliseconds())/float64(b.N), "ms/bare")
	b.ReportMetric(float64(live)/float64(floor), "x-bare")
}
