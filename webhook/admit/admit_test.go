package admit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/webhook/admit"
	"github.com/xcpauth/kubectl-xcpauth/webhook/verdict"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

const canary = "canary-of-the-object"

// review is an admission review as the API server sends it. old and new are the whole stanza as JSON.
func review(operation, old, new string) string {
	object := func(stanza string) string {
		if stanza == "" {
			return "null"
		}
		return fmt.Sprintf(`{"apiVersion":"install.tetrate.io/v1alpha1","kind":"ManagementPlane","metadata":{"namespace":"tsb","name":"mp","annotations":{"a":%q}},"spec":{"components":{"xcp":{"centralAuthModes":%s}}}}`, canary, stanza)
	}
	return fmt.Sprintf(`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"uid-1","kind":{"group":"install.tetrate.io","version":"v1alpha1","kind":"ManagementPlane"},
"resource":{"group":"install.tetrate.io","version":"v1alpha1","resource":"managementplanes"},"namespace":"tsb","name":"mp","operation":%q,"userInfo":{"username":"alice"},"oldObject":%s,"object":%s,"dryRun":true}}`,
		operation, object(old), object(new))
}

const (
	both    = `{"jwt":true,"mutualTls":true}`
	jwtOnly = `{"jwt":true}`
)

// edge is a roster with one member on mTLS whose statement ends in a minute.
func edge(context.Context, string) (verdict.Inventory, error) {
	until, seen := metav1.NewTime(noon.Add(time.Minute)), metav1.NewTime(noon)
	return verdict.Inventory{Roster: []api.EdgeCluster{{ObjectMeta: metav1.ObjectMeta{Name: "edge-1"}, Spec: api.EdgeClusterSpec{Role: api.RoleEdge, ClusterName: "edge-1"},
		Status: api.EdgeClusterStatus{Presents: []string{"mtls"}, ValidUntil: &until, ObservedTime: &seen}}}}, nil
}

// serve answers over HTTP and returns the log beside the server.
func serve(t *testing.T, read func(context.Context, string) (verdict.Inventory, error), now time.Time) (*httptest.Server, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	h := &admit.Handler{Read: read, Clock: testclock.NewFakePassiveClock(now), Log: slog.New(slog.NewJSONHandler(&log, nil)), Version: "v1.2.3"}
	server := httptest.NewServer(admit.WithDeadline(&admission.Webhook{Handler: h}))
	t.Cleanup(server.Close)
	return server, &log
}

// post returns the response of the review, whatever was sent; the HTTP status must be 200 always.
func post(t *testing.T, url, contentType, body string) *admissionv1.AdmissionResponse {
	t.Helper()
	res, err := http.Post(url, contentType, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("HTTP %d (%v): %s", res.StatusCode, err, text)
	}
	var answer admissionv1.AdmissionReview
	if err := json.Unmarshal(text, &answer); err != nil || answer.Response == nil {
		t.Fatalf("no review (%v): %s", err, text)
	}
	return answer.Response
}

func TestADenialSaysWhoAndIsAudited(t *testing.T) {
	server, log := serve(t, edge, noon)
	got := post(t, server.URL, "application/json", review("UPDATE", both, jwtOnly))
	if got.Allowed || got.UID != "uid-1" || got.Result.Code != http.StatusForbidden || !strings.Contains(got.Result.Message, "edge-1: mtls") {
		t.Errorf("%+v %+v", got, got.Result)
	}
	want := map[string]string{"decision": "denied", "withdrawn": "mtls", "blockers": "1", "version": "v1.2.3"}
	if fmt.Sprint(got.AuditAnnotations) != fmt.Sprint(want) {
		t.Errorf("audit annotations %v, want %v", got.AuditAnnotations, want)
	}
	var line map[string]any
	if err := json.Unmarshal(log.Bytes(), &line); err != nil {
		t.Fatalf("not one line of JSON (%v): %s", err, log)
	}
	for key, want := range map[string]any{"msg": "decision", "uid": "uid-1", "operation": "UPDATE", "namespace": "tsb", "name": "mp", "user": "alice", "dryRun": true, "decision": "denied", "withdrawn": "mtls", "blockers": "1"} {
		if line[key] != want {
			t.Errorf("log: %s is %v, want %v", key, line[key], want)
		}
	}
	if strings.Contains(log.String(), canary) {
		t.Errorf("the log holds the object: %s", log)
	}
}

func TestAStatementIsBelievedByTheClockUntilItEnds(t *testing.T) {
	onJWT := func(ctx context.Context, ns string) (verdict.Inventory, error) {
		inv, err := edge(ctx, ns)
		inv.Roster[0].Status.Presents = []string{"jwt"}
		return inv, err
	}
	for now, allowed := range map[time.Time]bool{noon: true, noon.Add(59 * time.Second): true, noon.Add(time.Minute): false} {
		server, _ := serve(t, onJWT, now)
		if got := post(t, server.URL, "application/json", review("UPDATE", both, jwtOnly)); got.Allowed != allowed {
			t.Errorf("at %s: allowed %v", now, got.Allowed)
		}
	}
}

func TestAnUnreadableRosterIsADenialWhereItMattersAndNowhereElse(t *testing.T) {
	server, log := serve(t, func(context.Context, string) (verdict.Inventory, error) {
		return verdict.Inventory{}, errors.New("reading the roster: no route to host")
	}, noon)
	if got := post(t, server.URL, "application/json", review("UPDATE", both, jwtOnly)); got.Allowed || !strings.Contains(got.Result.Message, "no route to host") || got.AuditAnnotations["decision"] != "error" {
		t.Errorf("withdrawing: %+v %+v", got, got.Result)
	}
	if !strings.Contains(log.String(), "no route to host") {
		t.Errorf("the log does not say why: %s", log)
	}
	if got := post(t, server.URL, "application/json", review("UPDATE", jwtOnly, both)); !got.Allowed {
		t.Errorf("turning mTLS back on: %+v", got.Result)
	}
	if got := post(t, server.URL, "application/json", review("DELETE", both, "")); !got.Allowed || len(got.Warnings) != 1 {
		t.Errorf("deleting: %+v", got)
	}
}

func TestAHangingReadIsAnsweredBeforeTheAPIServerGivesUp(t *testing.T) {
	server, _ := serve(t, func(ctx context.Context, _ string) (verdict.Inventory, error) {
		<-ctx.Done()
		return verdict.Inventory{}, context.Cause(ctx)
	}, noon)
	got := post(t, server.URL+"?timeout=200ms", "application/json", review("UPDATE", both, jwtOnly))
	if got.Allowed || !strings.Contains(got.Result.Message, "deadline") {
		t.Errorf("%+v %+v", got, got.Result)
	}
}

func TestAPanicIsADenial(t *testing.T) {
	server, _ := serve(t, func(context.Context, string) (verdict.Inventory, error) { panic("boom") }, noon)
	if got := post(t, server.URL, "application/json", review("UPDATE", both, jwtOnly)); got.Allowed || got.UID != "uid-1" {
		t.Errorf("%+v", got)
	}
}

func TestWhateverIsMalformedIsADenial(t *testing.T) {
	server, _ := serve(t, edge, noon)
	good := review("UPDATE", both, both)
	if got := post(t, server.URL, "application/json", good); !got.Allowed {
		t.Fatalf("the pattern of the others is denied: %+v", got.Result)
	}
	for name, tc := range map[string]struct{ contentType, body string }{
		"no body":                   {"application/json", ""},
		"not JSON":                  {"application/json", "hello"},
		"cut off":                   {"application/json", good[:len(good)/2]},
		"another content type":      {"text/plain", good},
		"no request":                {"application/json", `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}`},
		"a null request":            {"application/json", `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":null}`},
		"another kind of review":    {"application/json", `{"apiVersion":"v1","kind":"Pod"}`},
		"another kind of object":    {"application/json", strings.ReplaceAll(good, `"kind":"ManagementPlane"`, `"kind":"Pod"`)},
		"an operation of tomorrow":  {"application/json", strings.Replace(good, `"UPDATE"`, `"CONNECT"`, 1)},
		"an update without its old": {"application/json", review("UPDATE", "", both)},
		"an update without its new": {"application/json", review("UPDATE", both, "")},
		"a create without its new":  {"application/json", review("CREATE", "", "")},
		"an object that is a list":  {"application/json", strings.Replace(good, `"object":{`, `"object":[1],"ignored":{`, 1)},
		"more than 7 MiB":           {"application/json", good + strings.Repeat(" ", 7<<20)},
		"nested without end":        {"application/json", review("UPDATE", both, strings.Repeat("[", 20_000)+strings.Repeat("]", 20_000))},
	} {
		t.Run(name, func(t *testing.T) {
			if got := post(t, server.URL, tc.contentType, tc.body); got.Allowed || got.Result == nil || got.Result.Message == "" {
				t.Errorf("%+v %+v", got, got.Result)
			}
		})
	}
}
