package admit_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	testclock "k8s.io/utils/clock/testing"

	"github.com/xcpauth/kubectl-xcpauth/webhook/admit"
)

// BenchmarkHandler answers a review of 4 KiB over TLS on one connection, beside a bare handler that reads the same
// body and writes an answer of the same length: what is left between them is ours.
func BenchmarkHandler(b *testing.B) {
	body := review("UPDATE", both, jwtOnly)
	body = strings.Replace(body, canary, strings.Repeat("x", (4<<10-len(body))/2), 2)
	ours := admit.Serve(&admit.Handler{Read: edge, Stored: asStored, Clock: testclock.NewFakePassiveClock(noon),
		Log: slog.New(slog.NewJSONHandler(io.Discard, nil)), Version: "v1.2.3"}, admit.Limits{InFlight: 64})
	record := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, admit.Path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	ours.ServeHTTP(record, r)
	reply := record.Body.Bytes()
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Write(reply)
	})
	for _, handler := range []struct {
		name string
		http.Handler
	}{{"bare", bare}, {"ours", ours}} {
		b.Run(handler.name, func(b *testing.B) {
			server := httptest.NewTLSServer(handler)
			defer server.Close()
			client := server.Client()
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				res, err := client.Post(server.URL, "application/json", strings.NewReader(body))
				if err != nil {
					b.Fatal(err)
				}
				n, err := io.Copy(io.Discard, res.Body)
				res.Body.Close()
				if err != nil || n != int64(len(reply)) {
					b.Fatalf("%d bytes, want %d: %v", n, len(reply), err)
				}
			}
		})
	}
}
