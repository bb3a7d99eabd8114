package observe

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// Three looks at a metrics page take one port-forward while connections are kept, and one each where they are not. What
// has become of the kept one costs no look its page.
func TestAPortForwardIsKeptWhileConnectionsAre(t *testing.T) {
	for name, tc := range map[string]struct {
		keep     bool
		forwards int64
		second   func(w http.ResponseWriter, r *http.Request) // what is done before the second page is served
	}{
		"not kept": {false, 3, nil},
		"kept":     {true, 1, nil},
		"kept, and the pod ends it": {true, 2, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "close")
		}},
		"kept, and cut":             {true, 2, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
		"kept, and no answer comes": {true, 2, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
		"kept, and then refused once": {true, 2, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var forwards, pages atomic.Int64
			s := apifake.Start()
			t.Cleanup(s.Close)
			s.Answer = func(w http.ResponseWriter, r *http.Request) bool {
				forwards.Add(1)
				apifake.ForwardHTTP(w, r, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Close == tc.keep {
						t.Errorf("the pod is asked to end the connection: %v", r.Close)
					}
					if pages.Add(1) == 2 && tc.second != nil {
						tc.second(w, r)
					}
					io.WriteString(w, "up 1\n")
				}))
				return true
			}
			f := fleetOf(t, s)
			if tc.keep {
				f.KeepConnections()
			}
			read := plan.Read{Version: "v1", Resource: "pods", Namespace: "istio-system", Name: "edge-1-a", Port: 8080}
			o := Observer{Fleet: f, Now: time.Now, Limit: 1, RequestTimeout: 2 * time.Second, MemberTimeout: time.Minute,
				Reads: func(soFar map[plan.Read]plan.Result, _ bool) []plan.Read {
					if len(soFar) > 0 {
						return nil
					}
					return []plan.Read{read}
				}}
			for range 3 {
				if got := o.All(t.Context(), f.Contexts())[0].Reads[read]; string(got.Body) != "up 1\n" || got.Err != "" {
					t.Errorf("got %q, %q", got.Body, got.Err)
				}
			}
			if n := forwards.Load(); n != tc.forwards {
				t.Errorf("%d port-forwards, want %d", n, tc.forwards)
			}
		})
	}
}

// What is not used for a while is closed, and what is used again meanwhile is not.
func TestAPortForwardThatIsNotUsedIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nup 1\n")
		s, key := &pages{}, pageKey{}
		for range 3 {
			if body, err := p.get(t.Context(), true); string(body) != "up 1\n" || err != nil {
				t.Fatalf("%q, %v", body, err)
			}
			s.keep(key, p)
			time.Sleep(keptFor - time.Second)
			if s.take(key) != p {
				t.Fatal("it was not kept")
			}
		}
		s.keep(key, p)
		time.Sleep(keptFor + time.Second)
		if s.take(key) != nil {
			t.Error("it is still kept")
		}
		if _, err := p.conn.Write(nil); err == nil {
			t.Error("it is still open")
		}
	})
}

// A page is whole or an error, and after an error the connection is not used again.
func TestAPageThatIsTooLongIsNotRead(t *testing.T) {
	for length, want := range map[int]string{maxPage: "", maxPage + 1: "longer than 16 MiB"} {
		p := answering(t, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", length, strings.Repeat("x", length)))
		body, err := p.get(t.Context(), true)
		if want == "" && (err != nil || len(body) != length || p.ended) {
			t.Errorf("%d bytes: read %d, %v; ended: %v", length, len(body), err, p.ended)
		}
		if want != "" && (body != nil || !strings.Contains(fmt.Sprint(err), want) || !p.ended) {
			t.Errorf("%d bytes: read %d, %v; ended: %v", length, len(body), err, p.ended)
		}
	}
}

// answering is a page of a pod that answers each request with the same text.
func answering(t *testing.T, text string) *page {
	t.Helper()
	conn, pods := net.Pipe()
	t.Cleanup(func() { conn.Close(); pods.Close() })
	go func() {
		from := bufio.NewReader(pods)
		for {
			if _, err := http.ReadRequest(from); err != nil {
				return
			}
			if _, err := io.WriteString(pods, text); err != nil {
				return
			}
		}
	}()
	return &page{conn: conn, from: bufio.NewReader(conn)}
}
