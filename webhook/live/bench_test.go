package live

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// What a decision costs whose members are all read live, each 40 ms away, beside two floors: one bare GET over the same
// way, since something must be asked and answered; and the same reads of all members with Go's HTTP client alone,
// which decodes nothing. The connections are warm, as Keep leaves them. The members' servers share the processors.
func BenchmarkLiveDecision(b *testing.B) {
	for _, edges := range []int{50, 300} {
		b.Run(fmt.Sprintf("edges=%d", edges), func(b *testing.B) { benchmarkLiveDecision(b, edges) })
	}
}

func benchmarkLiveDecision(b *testing.B, edges int) {
	const away = 40 * time.Millisecond
	h := startHub(b)
	var asked []func()
	for i := range edges {
		e := startEdge(b, fmt.Sprintf("edge-%03d", i))
		e.mode(true)
		e.delay = away
		h.register(e)
		get := bare(b, e)
		for _, r := range state.LiveReads(*h.roster[i].Spec.ControlPlane, nil) {
			asked = append(asked, func() { get(r.Path(), r.Accept()) })
		}
	}
	d := h.decider(5 * time.Second)
	d.admits("warm")

	e := startEdge(b, "bare")
	e.delay = away
	get := bare(b, e)
	one := func() { get("/version", "application/json") }
	all := func() {
		var wg sync.WaitGroup
		for _, ask := range asked {
			wg.Go(ask)
		}
		wg.Wait()
	}
	one()
	all()
	var took [3]time.Duration
	b.ReportAllocs()
	for b.Loop() {
		for i, do := range []func(){func() { d.admits("in the bench") }, one, all} {
			began := time.Now()
			do()
			took[i] += time.Since(began)
		}
	}
	b.ReportMetric(float64(took[0].Milliseconds())/float64(b.N), "ms/decision")
	b.ReportMetric(float64(took[1].Milliseconds())/float64(b.N), "ms/bare")
	b.ReportMetric(float64(took[0])/float64(took[1]), "x-bare")
	b.ReportMetric(float64(took[0])/float64(took[2]), "x-the-same-reads")
}

// bare is a client of an edge that reads and decodes nothing.
func bare(b *testing.B, e *fakeEdge) func(path, accept string) {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(e.own.ca)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots},
		ForceAttemptHTTP2: true}}
	b.Cleanup(client.CloseIdleConnections)
	return func(path, accept string) {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "https://"+e.address+path, nil)
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("Accept", accept)
		req.Header.Set("User-Agent", "xcpauth-webhook/bare")
		req.Header.Set("Authorization", "Bearer "+e.token)
		resp, err := client.Do(req)
		if err != nil {
			b.Error(err)
			return
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			b.Error(err)
		}
	}
}
