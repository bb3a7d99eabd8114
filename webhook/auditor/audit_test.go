package auditor

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
	"github.com/xcpauth/kubectl-xcpauth/webhook/verdict"
)

// What stands in the condition was told: so nothing is told twice, and nothing is lost while Events are not taken.
func TestAConditionIsWrittenOnlyOnceItsEventIs(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	taken := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, _ := io.ReadAll(r.Body)
		asked = append(asked, r.Method+" "+r.URL.Path)
		switch {
		case r.Method == http.MethodPost && !taken:
			apifake.Status(w, http.StatusForbidden, "Forbidden", "not taken")
		case r.Method == http.MethodPost:
			for _, want := range []string{`"reason":"MembersRefused"`, `"kind":"ManagementPlane"`, `"uid":"uid-mp"`,
				`"type":"Warning"`, `"action":"Audit"`, `"reportingController":"xcpauth.io/webhook-auditor"`,
				`edge-1: ManagementPlane tsb/mp does not accept mtls`} {
				if !strings.Contains(string(body), want) {
					t.Errorf("the Event lacks %s:\n%s", want, body)
				}
			}
			w.Header().Set("Content-Type", "application/json")
			w.Write(body)
		default:
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"apiVersion":"xcpauth.io/v1alpha1","kind":"EdgeCluster","metadata":{"name":"edge-1"}}`)
		}
	}))
	defer server.Close()
	now := time.Now()
	seen, until := metav1.NewTime(now), metav1.NewTime(now.Add(time.Minute))
	inv := verdict.Inventory{Roster: []api.EdgeCluster{{
		ObjectMeta: metav1.ObjectMeta{Namespace: api.Namespace, Name: "edge-1"},
		Spec: api.EdgeClusterSpec{ClusterName: "edge-1", Role: api.RoleEdge,
			ControlPlane: &api.ControlPlaneReference{UID: "uid-1"}},
		Status: api.EdgeClusterStatus{Presents: []string{"mtls"}, ObservedTime: &seen, ValidUntil: &until,
			ControlPlaneUID: "uid-1", Source: "ci@eu"}}}}
	hub := unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "install.tetrate.io/v1alpha1", "kind": "ManagementPlane",
		"metadata": map[string]any{"namespace": "tsb", "name": "mp", "uid": "uid-mp"},
		"spec": map[string]any{"components": map[string]any{"xcp": map[string]any{
			"centralAuthModes": map[string]any{"jwt": true, "mutualTls": false}}}}}}
	plain := rest.ContentConfig{ContentType: "application/json"}
	a, err := New(&rest.Config{Host: server.URL, ContentConfig: plain}, Reads{
		Hubs: func(context.Context) ([]unstructured.Unstructured, error) {
			return []unstructured.Unstructured{hub}, nil
		},
		Members: func(context.Context, string) (verdict.Inventory, error) { return inv, nil },
	}, api.Namespace, time.Minute, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	const event = "POST /apis/events.k8s.io/v1/namespaces/tsb/events"
	const condition = "PATCH /apis/xcpauth.io/v1alpha1/namespaces/xcpauth-system/edgeclusters/edge-1/status"
	for _, step := range []struct {
		taken bool
		asked string
	}{{false, event}, {false, event}, {true, event + " " + condition}} {
		mu.Lock()
		taken, asked = step.taken, nil
		mu.Unlock()
		if err := a.Audit(t.Context()); (err == nil) != step.taken {
			t.Errorf("Events are taken: %t; the audit says %v", step.taken, err)
		}
		if got := strings.Join(asked, " "); got != step.asked {
			t.Errorf("Events are taken: %t; asked %s, want %s", step.taken, got, step.asked)
		}
	}
}
