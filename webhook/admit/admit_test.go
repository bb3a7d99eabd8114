package admit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/webhook/admit"
	"github.com/xcpauth/kubectl-xcpauth/webhook/events"
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
		return fmt.Sprintf(`{"apiVersion":"install.tetrate.io/v1alpha1","kind":"ManagementPlane","metadata":{"namespace":"tsb","name":"mp","uid":"uid-of-mp","resourceVersion":"7","annotations":{"a":%q}},"spec":{"components":{"xcp":{"centralAuthModes":%s}}}}`, canary, stanza)
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
	return verdict.Inventory{Roster: []api.EdgeCluster{{ObjectMeta: metav1.ObjectMeta{Name: "edge-1"},
		Spec:   api.EdgeClusterSpec{Role: api.RoleEdge, ClusterName: "edge-1"},
		Status: api.EdgeClusterStatus{Presents: []string{"mtls"}, ValidUntil: &until, ObservedTime: &seen}}}}, nil
}

// asStored is what is stored where a review is as the API server sends it.
func asStored(context.Context, string, string) (verdict.Identity, error) {
	return verdict.Identity{UID: "uid-of-mp", ResourceVersion: "7"}, nil
}

// served is a webhook as server.Run serves it, with its log and what it announced.
type served struct {
	*httptest.Server
	log  *lines
	told chan events.Event
	// of the context from which those of the calls are, as controller-runtime's server ends it when it shuts down
	end func()
}

// lines is a log that may be read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// serve answers over TLS and HTTP/1.1; change, when not nil, changes the handler before.
func serve(t testing.TB, read func(context.Context,
	string) (verdict.Inventory, error), now time.Time, limits admit.Limits, change func(*admit.Handler)) served {
	t.Helper()
	s := served{log: &lines{}, told: make(chan events.Event, 100)}
	h := &admit.Handler{Read: read, Stored: asStored, Clock: testclock.NewFakePassiveClock(now),
		Log: slog.New(slog.NewJSONHandler(s.log, nil)), Version: "v1.2.3",
		Record: func(e events.Event) { s.told <- e }}
	if change != nil {
		change(h)
	}
	base, end := context.WithCancel(t.Context())
	s.Server, s.end = httptest.NewUnstartedServer(admit.Serve(h, limits)), end
	s.Config.BaseContext = func(net.Listener) context.Context { return base }
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// metric is the value of a counter or gauge as it is scraped, of the labels' values that are given, 0 where it is not
// there.
func metric(t testing.TB, name, labels string) float64 {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.Metric {
			var values []string
			for _, l := range m.Label {
				values = append(values, l.GetValue())
			}
			if strings.Join(values, " ") == labels {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return 0
}

// asked is the warning that every answer ends with.
const asked = "xcpauth-webhook v1.2.3 was asked"

// post returns the response of the review, whatever was sent; the HTTP status must be 200 always, and the last
// warning the version.
func (s served) post(t testing.TB, query string, header http.Header, body string) *admissionv1.AdmissionResponse {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+admit.Path+query, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if req.Header = header; header == nil {
		req.Header = http.Header{"Content-Type": {"application/json"}}
	}
	res, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("HTTP %d (%v): %s", res.StatusCode, err, text)
	}
	var answer admissionv1.AdmissionReview
	if err := json.Unmarshal(text, &answer); err != nil || answer.Response == nil || answer.Kind != "AdmissionReview" ||
		answer.APIVersion != "admission.k8s.io/v1" {
		t.Fatalf("no review (%v): %s", err, text)
	}
	got := answer.Response
	if n := len(got.Warnings); n == 0 || got.Warnings[n-1] != asked {
		t.Errorf("the answer does not say who was asked: %q", got.Warnings)
	} else {
		got.Warnings = got.Warnings[:n-1]
	}
	for _, w := range got.Warnings {
		if utf8.RuneCountInString(w) > 256 || strings.ContainsAny(w, "\r\n") {
			t.Errorf("a warning of %d runes: %q", utf8.RuneCountInString(w), w)
		}
	}
	for key, value := range got.AuditAnnotations {
		if len(value) > 100 || strings.ContainsAny(value, "\r\n") {
			t.Errorf("audit annotation %s: %q", key, value)
		}
	}
	if !got.Allowed && (got.Result == nil || got.Result.Message == "" || len(got.Result.Message) > 16<<10) {
		t.Errorf("a denial without a message of a length to be read: %+v", got.Result)
	}
	return got
}

// review sends a review.
func (s served) review(t testing.TB, operation, old, new string) *admissionv1.AdmissionResponse {
	t.Helper()
	return s.post(t, "", nil, review(operation, old, new))
}

func TestADenialSaysWhoAndIsAudited(t *testing.T) {
	s := serve(t, edge, noon, admit.Limits{}, nil)
	got := s.review(t, "UPDATE", both, jwtOnly)
	if got.Allowed || got.UID != "uid-1" || got.Result.Code != http.StatusForbidden ||
		!strings.Contains(got.Result.Message, "edge-1: mtls") {
		t.Errorf("%+v %+v", got, got.Result)
	}
	for _, key := range []string{"digest", "roster"} {
		if !regexp.MustCompile("^[0-9a-f]{16}$").MatchString(got.AuditAnnotations[key]) {
			t.Errorf("%s is %q", key, got.AuditAnnotations[key])
		}
		delete(got.AuditAnnotations, key)
	}
	want := map[string]string{"decision": "denied", "withdrawn": "mtls", "blockers": "1", "version": "v1.2.3",
		"rule": "withdraw"}
	if fmt.Sprint(got.AuditAnnotations) != fmt.Sprint(want) {
		t.Errorf("audit annotations %v, want %v", got.AuditAnnotations, want)
	}
	var line map[string]any
	if err := json.Unmarshal([]byte(s.log.String()), &line); err != nil {
		t.Fatalf("not one line of JSON (%v): %s", err, s.log)
	}
	for key, want := range map[string]any{"msg": "decision", "uid": "uid-1", "operation": "UPDATE", "namespace": "tsb",
		"name": "mp", "user": "alice", "dryRun": true, "decision": "denied", "rule": "withdraw", "withdrawn": "mtls",
		"blockers": "1"} {
		if line[key] != want {
			t.Errorf("log: %s is %v, want %v", key, line[key], want)
		}
	}
	if strings.Contains(s.log.String(), canary) {
		t.Errorf("the log holds the object: %s", s.log)
	}
}

func TestAStatementIsBelievedByTheClockUntilItEnds(t *testing.T) {
	onJWT := func(ctx context.Context, ns string) (verdict.Inventory, error) {
		inv, err := edge(ctx, ns)
		inv.Roster[0].Status.Presents = []string{"jwt"}
		return inv, err
	}
	for now, allowed := range map[time.Time]bool{noon: true, noon.Add(59 * time.Second): true,
		noon.Add(time.Minute): false} {
		if got := serve(t, onJWT, now, admit.Limits{}, nil).review(t, "UPDATE", both, jwtOnly); got.Allowed != allowed {
			t.Errorf("at %s: allowed %v", now, got.Allowed)
		}
	}
}

func TestAnUnreadableRosterIsADenialWhereItMattersAndNowhereElse(t *testing.T) {
	s := serve(t, func(context.Context, string) (verdict.Inventory, error) {
		return verdict.Inventory{}, errors.New("reading the roster: no route to host")
	}, noon, admit.Limits{}, nil)
	if got := s.review(t, "UPDATE", both, jwtOnly); got.Allowed || !strings.Contains(got.Result.Message,
		"no route to host") || got.AuditAnnotations["decision"] != "error" {
		t.Errorf("withdrawing: %+v %+v", got, got.Result)
	}
	if !strings.Contains(s.log.String(), "no route to host") {
		t.Errorf("the log does not say why: %s", s.log)
	}
	if got := s.review(t, "UPDATE", jwtOnly, both); !got.Allowed {
		t.Errorf("turning mTLS back on: %+v", got.Result)
	}
	if got := s.review(t, "DELETE", both, ""); got.Allowed || !strings.Contains(got.Result.Message, "no route to host") {
		t.Errorf("deleting: %+v", got)
	}
}

func TestAHangingReadIsAnsweredBeforeTheAPIServerGivesUp(t *testing.T) {
	s := serve(t, func(ctx context.Context, _ string) (verdict.Inventory, error) {
		<-ctx.Done()
		return verdict.Inventory{}, context.Cause(ctx)
	}, noon, admit.Limits{}, nil)
	got := s.post(t, "?timeout=1s", nil, review("UPDATE", both, jwtOnly))
	if got.Allowed || !strings.Contains(got.Result.Message, "deadline") {
		t.Errorf("%+v %+v", got, got.Result)
	}
}

func TestAPanicIsADenialThatShowsNothing(t *testing.T) {
	s := serve(t, func(context.Context, string) (verdict.Inventory, error) { panic(canary) }, noon, admit.Limits{}, nil)
	if got := s.review(t, "UPDATE", both, jwtOnly); got.Allowed || got.UID != "uid-1" ||
		strings.Contains(got.Result.Message, canary) {
		t.Errorf("%+v", got)
	}
	if !strings.Contains(s.log.String(), `"msg":"panic"`) {
		t.Errorf("the log does not tell: %s", s.log)
	}
}

func TestEveryAnswerIsCountedAndTimedInLabelsOfOurOwn(t *testing.T) {
	s := serve(t, edge, noon, admit.Limits{}, nil)
	for _, tc := range []struct{ operation, decision, new string }{{"UPDATE", "allowed", both}, {"UPDATE", "denied",
		jwtOnly}, {"DELETE", "denied", ""}} {
		labels := tc.decision + " " + tc.operation // by the names of the labels
		decisions, durations := metric(t, "xcpauth_webhook_decisions_total", labels),
			metric(t, "xcpauth_webhook_decision_duration_seconds", tc.decision)
		s.review(t, tc.operation, both, tc.new)
		if n := metric(t, "xcpauth_webhook_decisions_total", labels) - decisions; n != 1 {
			t.Errorf("%s: counted %v times", labels, n)
		}
		if n := metric(t, "xcpauth_webhook_decision_duration_seconds", tc.decision) - durations; n != 1 {
			t.Errorf("%s: timed %v times", labels, n)
		}
	}
}
