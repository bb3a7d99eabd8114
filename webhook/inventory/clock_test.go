package inventory

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

// What time it is at the API server is the latest that any of its answers said, and when a statement was written is
// what its entry says.
func TestTheClockOfTheAPIServerIsRead(t *testing.T) {
	at := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	dates := map[string]string{"/edgeclusters": at.Format(http.TimeFormat),
		"/clusters": at.Add(time.Hour).Format(http.TimeFormat), "/controlplanes": "yesterday", "/edgexcps": ""}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil // else it is of this machine
		for path, date := range dates {
			if strings.HasSuffix(r.URL.Path, path) && date != "" {
				w.Header().Set("Date", date)
			}
		}
		w.Header().Set("Content-Type", "application/json")
		list := m{"apiVersion": "v1", "kind": "List", "items": []m{}}
		switch {
		case strings.HasSuffix(r.URL.Path, "/edgeclusters"):
			list = m{"apiVersion": "xcpauth.io/v1alpha1", "kind": "EdgeClusterList",
				"items": []m{{"metadata": m{"name": "eu", "managedFields": []m{
					{"manager": "other", "subresource": "status", "time": "2026-01-02T11:58:00Z", "fieldsType": "FieldsV1",
						"fieldsV1": m{"f:status": m{"f:conditions": m{}}}},
					{"manager": "kubectl-xcpauth", "subresource": "status", "time": "2026-01-02T11:59:00Z", "fieldsType": "FieldsV1",
						"fieldsV1": m{"f:status": m{"f:observedTime": m{}, "f:presents": m{}}}}}},
					"status": m{"presents": []string{"jwt"}, "observedTime": "2026-01-02T12:00:01Z",
						"validUntil": "2026-01-02T12:15:00Z"}}}}
		case strings.HasSuffix(r.URL.Path, "/clusters"):
			list = m{"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList", "items": []m{}}
		}
		json.NewEncoder(w).Encode(list)
	}))
	defer server.Close()
	r, err := NewReader(&rest.Config{Host: server.URL}, "xcpauth-system", false)
	if err != nil {
		t.Fatal(err)
	}
	inv, err := r.Read(t.Context(), "tsb")
	if err != nil {
		t.Fatal(err)
	}
	if !inv.Now.Equal(at.Add(time.Hour)) {
		t.Errorf("it is %s, want an hour after %s", inv.Now, at)
	}
	if st := roster.StatementOf(inv.Roster[0], at.Add(time.Minute)); st == nil ||
		!strings.Contains(st.Invalid, "later than it was written") {
		t.Errorf("seen a minute and a second after it was written: %+v", st)
	}
}
