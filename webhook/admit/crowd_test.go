package admit_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/webhook/admit"
	"github.com/xcpauth/kubectl-xcpauth/webhook/verdict"
)

// hold is a Read that waits until it is let go, and tells when it was called.
type hold struct {
	called chan struct{}
	let    chan struct{}
}

func newHold(t *testing.T) (hold, func(context.Context, string) (verdict.Inventory, error)) {
	h := hold{make(chan struct{}, 100), make(chan struct{})}
	return h, func(ctx context.Context, ns string) (verdict.Inventory, error) {
		h.called <- struct{}{}
		select {
		case <-h.let:
			return edge(ctx, ns)
		case <-ctx.Done():
			return verdict.Inventory{}, ctx.Err()
		}
	}
}

// asAPIServer is a review as the API server writes it: the kind and the version first, then the request's uid.
func asAPIServer(operation string) string {
	return strings.Replace(review(operation, both, both),
		`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":`,
		`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":`, 1)
}

func TestACallThatWaitsInVainIsDeniedUndecidedAndTheNextOneIsNot(t *testing.T) {
	held, read := newHold(t)
	s := serve(t, read, noon, admit.Limits{InFlight: 2, Within: time.Minute}, nil)
	refused := metric(t, "xcpauth_webhook_refused_for_load_total", "")
	var calls sync.WaitGroup
	for range 2 {
		calls.Go(func() {
			if got := s.post(t, "", nil, review("UPDATE", both, jwtOnly)); got.Allowed ||
				got.Result.Code != http.StatusForbidden {
				t.Errorf("a call in flight: %+v", got)
			}
		})
		<-held.called
	}
	if n := metric(t, "xcpauth_webhook_in_flight", ""); n != 2 {
		t.Errorf("%v in flight, want 2", n)
	}
	for _, operation := range []string{"UPDATE", "DELETE"} {
		got := s.post(t, "?timeout=1s", nil, asAPIServer(operation))
		if got.Allowed || got.UID != "uid-1" || got.Result.Code != http.StatusTooManyRequests ||
			got.Result.Details == nil || got.Result.Details.RetryAfterSeconds != 1 {
			t.Errorf("%s: %+v %+v", operation, got, got.Result)
		}
	}
	for name, body := range map[string]string{"one that does not show its uid": review("UPDATE", both, both),
		"nothing": ""} {
		res, err := s.Client().Post(s.URL+"?timeout=1s", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%s: HTTP %d, want 503", name, res.StatusCode)
		}
	}
	if n := metric(t, "xcpauth_webhook_refused_for_load_total", "") - refused; n != 4 {
		t.Errorf("%v calls were counted as refused, want 4", n)
	}
	waited := make(chan bool, 1)
	go func() { waited <- s.post(t, "", nil, asAPIServer("UPDATE")).Allowed }()
	close(held.let)
	calls.Wait()
	if !<-waited {
		t.Error("one that waited for its place is denied")
	}
	if got := s.review(t, "UPDATE", both, both); !got.Allowed {
		t.Errorf("after they ended: %+v", got.Result)
	}
	if n := metric(t, "xcpauth_webhook_in_flight", ""); n != 0 {
		t.Errorf("%v in flight, want none", n)
	}
}

func TestAReviewTakesAPlaceForEach128KiB(t *testing.T) {
	held, read := newHold(t)
	s := serve(t, read, noon, admit.Limits{InFlight: 10, Within: time.Minute}, nil)
	big := review("UPDATE", both, jwtOnly) + strings.Repeat(" ", 1<<20) // 8 places
	var call sync.WaitGroup
	call.Go(func() { s.post(t, "", nil, big) })
	<-held.called
	res, err := s.Client().Post(s.URL+"?timeout=1s", "application/json", strings.NewReader(big))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a second of 1 MiB: HTTP %d, want 503", res.StatusCode)
	}
	if got := s.review(t, "UPDATE", both, both); !got.Allowed {
		t.Errorf("a small one beside it: %+v", got.Result)
	}
	close(held.let)
	call.Wait()
	alone := serve(t, edge, noon, admit.Limits{InFlight: 2}, nil)
	if got := alone.post(t, "", nil, review("UPDATE", both, both)+strings.Repeat(" ", 1<<20)); !got.Allowed {
		t.Errorf("one that takes more places than there are, alone: %+v", got.Result)
	}
}

// A body that never ends is given up on within a short time of our own.
func TestABodyThatDripsIsGivenUp(t *testing.T) {
	s := serve(t, edge, noon, admit.Limits{ReadWithin: 200 * time.Millisecond, Within: time.Hour}, nil)
	conn := s.announce(t, 100, "?timeout=30s")
	answer := make([]byte, 4<<10)
	n, err := conn.Read(answer)
	if text := string(answer[:n]); !strings.Contains(text, `"allowed":false`) {
		t.Errorf("%v: %s", err, text)
	}
}

// announce begins a call that announces a body and sends one byte of it.
func (s served) announce(t *testing.T, length int, query string) net.Conn {
	t.Helper()
	conn, err := tls.Dial("tcp", s.Listener.Addr().String(), s.Client().Transport.(*http.Transport).TLSClientConfig)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_, err = fmt.Fprintf(conn,
		"POST %s%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n{", admit.Path, query,
		length)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// Nobody who only announces, or sends slowly, keeps a review from being decided: neither nine connections, nor two
// hundred.
func TestSlowSendersTakeNoPlaceAndNoMemoryFromOthers(t *testing.T) {
	for name, lengths := range map[string][]int{
		"one of 7 MiB and eight of 100 bytes": {7 << 20, 100, 100, 100, 100, 100, 100, 100, 100},
		"two hundred of 7 MiB":                slices.Repeat([]int{7 << 20}, 200),
		"two hundred of 100 bytes":            slices.Repeat([]int{100}, 200),
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, edge, noon, admit.Limits{InFlight: 64, Bytes: 1 << 20, ReadWithin: time.Minute, Within: time.Minute},
				nil)
			for _, length := range lengths {
				s.announce(t, length, "?timeout=30s")
			}
			for i := range 43 {
				if got := s.review(t, "UPDATE", both, both); !got.Allowed {
					t.Fatalf("harmless edit %d: %+v", i, got.Result)
				}
			}
		})
	}
}

// Two hundred reviews at once are all decided, each in its turn.
func TestTwoHundredAtOnceAreAllDecided(t *testing.T) {
	s := serve(t, edge, noon, admit.Limits{InFlight: 4, Within: time.Minute, ReadWithin: time.Minute}, nil)
	var calls sync.WaitGroup
	for range 200 {
		calls.Go(func() {
			if got := s.review(t, "UPDATE", both, both); !got.Allowed {
				t.Errorf("%+v", got.Result)
			}
		})
	}
	calls.Wait()
}

// What the caller says of its time shortens ours and never lengthens it; what no API server says is not believed.
func TestTheCallersTimeoutIsAnUpperBoundAlone(t *testing.T) {
	hangs := func(ctx context.Context, _ string) (verdict.Inventory, error) {
		<-ctx.Done()
		return verdict.Inventory{}, context.Cause(ctx)
	}
	s := serve(t, hangs, noon, admit.Limits{Within: 100 * time.Millisecond}, nil)
	patient := serve(t, edge, noon, admit.Limits{Within: time.Minute}, nil)
	for _, query := range []string{"", "?timeout=30s", "?timeout=1000h", "?timeout=-5s", "?timeout=0s", "?timeout=1ns",
		"?timeout=soon", "?timeout=", "?timeout=5"} {
		if got := s.post(t, query, nil, review("UPDATE", both, jwtOnly)); got.Allowed ||
			!strings.Contains(got.Result.Message, "deadline") {
			t.Errorf("%q lengthens the call: %+v %+v", query, got, got.Result)
		}
		if got := patient.post(t, query, nil, review("UPDATE", both, both)); !got.Allowed {
			t.Errorf("%q denies a harmless edit: %+v", query, got.Result)
		}
	}
}
