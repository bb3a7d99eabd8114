package events

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/client-go/rest"
	testclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

var denial = Event{APIVersion: "install.tetrate.io/v1alpha1", Namespace: "tsb", Name: "mp", UID: "uid-1",
	Action: "Update", Reason: "WithdrawalDenied", Note: "an edit by alice was denied"}

// server is an API server of Events.
type server struct {
	*httptest.Server
	mu       sync.Mutex
	requests []string
	stored   map[string]*eventsv1.Event
	answer   int           // instead of storing, unless 0
	let      chan struct{} // when not nil, each request waits for it
	came     chan struct{}
}

func start(t *testing.T) *server {
	s := &server{stored: map[string]*eventsv1.Event{}, came: make(chan struct{}, 10_000)}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.came <- struct{}{}
	if s.let != nil {
		<-s.let
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	w.Header().Set("Content-Type", "application/json")
	name := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	e := s.stored[name]
	status := func(code int) {
		w.WriteHeader(code)
		json.NewEncoder(w).Encode(map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
			"reason": map[int]string{404: "NotFound"}[code]})
	}
	switch {
	case s.answer != 0:
		status(s.answer)
		return
	case r.Method == http.MethodPost:
		e = &eventsv1.Event{}
		if err := json.Unmarshal(body, e); err != nil {
			status(http.StatusBadRequest)
			return
		}
		s.stored[e.Name] = e
	case e == nil:
		status(http.StatusNotFound)
		return
	default: // a merge patch of a series alone
		if err := json.Unmarshal(body, e); err != nil {
			status(http.StatusBadRequest)
			return
		}
	}
	json.NewEncoder(w).Encode(e)
}

func (s *server) all() (all []*eventsv1.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.stored {
		all = append(all, e)
	}
	return all
}

// queue returns a queue and what ends it; it has written everything when that returns.
func queue(t *testing.T, s *server, clock *testclock.FakePassiveClock) (*Queue, func()) {
	t.Helper()
	plain := rest.ContentConfig{ContentType: "application/json"}
	w, err := NewWriter(&rest.Config{Host: s.URL, QPS: -1, ContentConfig: plain}, "xcpauth.io/webhook", clock)
	if err != nil {
		t.Fatal(err)
	}
	w.instance = "pod-1"
	q := NewQueue(w, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- q.Start(ctx) }()
	return q, func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestAnEventIsAboutTheObjectAndARepeatIsItsSeries(t *testing.T) {
	s, clock := start(t), testclock.NewFakePassiveClock(noon)
	q, end := queue(t, s, clock)
	written := outcomes(t, "written")
	q.Record(denial)
	<-s.came
	for range 2 {
		q.Record(denial)
		<-s.came
	}
	end()
	all := s.all()
	if len(all) != 1 {
		t.Fatalf("%d Events: %v", len(all), s.requests)
	}
	e := all[0]
	if r := e.Regarding; r.Kind != "ManagementPlane" || r.APIVersion != denial.APIVersion || r.Namespace != "tsb" ||
		r.Name != "mp" || r.UID != "uid-1" || e.Namespace != "tsb" {
		t.Errorf("it regards %+v", r)
	}
	if e.Type != "Warning" || e.Reason != denial.Reason || e.Action != "Update" || e.Note != denial.Note ||
		e.ReportingController != "xcpauth.io/webhook" || e.ReportingInstance != "pod-1" || !e.EventTime.Time.Equal(noon) {
		t.Errorf("%+v", e)
	}
	if e.Series == nil || e.Series.Count != 3 || !e.Series.LastObservedTime.Time.Equal(noon) {
		t.Errorf("series %+v, want 3", e.Series)
	}
	if n := outcomes(t, "written") - written; n != 3 {
		t.Errorf("%v counted as written", n)
	}
}

func TestAnotherEventIsWrittenWhereItIsAnotherOrLongAgoOrGone(t *testing.T) {
	s, clock := start(t), testclock.NewFakePassiveClock(noon)
	q, end := queue(t, s, clock)
	say := func(e Event, requests int) {
		q.Record(e)
		for range requests {
			<-s.came
		}
	}
	say(denial, 1)
	other := denial
	other.Note = "an edit by bob was denied"
	say(other, 1)
	clock.SetTime(noon.Add(again))
	say(denial, 1)
	s.mu.Lock()
	clear(s.stored) // they expire
	s.mu.Unlock()
	say(denial, 2)
	end()
	if got, want := strings.Join(s.requests, "\n"), 3; strings.Count(got, "POST ") != want+1 ||
		strings.Count(got, "PATCH ") != 1 || len(s.all()) != 1 {
		t.Errorf("%s", got)
	}
}

func TestADecisionNeverWaitsForAnEvent(t *testing.T) {
	s, clock := start(t), testclock.NewFakePassiveClock(noon)
	s.let = make(chan struct{})
	q, end := queue(t, s, clock)
	dropped := outcomes(t, "dropped")
	q.Record(denial)
	<-s.came // and hangs
	for i := range waiting + 7 {
		e := denial
		e.Note = strings.Repeat("x", i)
		q.Record(e)
	}
	if n := outcomes(t, "dropped") - dropped; n != 7 {
		t.Errorf("%v dropped, want 7", n)
	}
	close(s.let)
	end()
	if n := len(s.all()); n != waiting+1 {
		t.Errorf("%d Events were written at the end, want %d", n, waiting+1)
	}
}

// The process ends within the grace of its pod, however much waits and however slow the API server is: a full queue
// that is written at the rate of a client's limit would take most of a minute.
func TestTheEndWaitsForNoMoreThanOneWrite(t *testing.T) {
	s, clock := start(t), testclock.NewFakePassiveClock(noon)
	s.let = make(chan struct{})
	q, end := queue(t, s, clock)
	dropped, failed := outcomes(t, "dropped"), outcomes(t, "failed")
	q.Record(denial)
	<-s.came // and hangs
	for i := range 50 {
		e := denial
		e.Note = strings.Repeat("x", i)
		q.Record(e)
	}
	end()
	if d, f, asked := outcomes(t, "dropped")-dropped, outcomes(t, "failed")-failed, len(s.came); d != 49 ||
		f != 2 || asked != 1 {
		t.Errorf("%v dropped, %v failed, %d requests after the end; want 49, 2 and 1", d, f, asked)
	}
	close(s.let)
}

func TestWhatIsNotTakenIsCountedAndForgotten(t *testing.T) {
	s, clock := start(t), testclock.NewFakePassiveClock(noon)
	s.answer = http.StatusForbidden
	q, end := queue(t, s, clock)
	failed := outcomes(t, "failed")
	q.Record(denial)
	<-s.came
	end()
	if n := outcomes(t, "failed") - failed; n != 1 || len(s.requests) != 1 {
		t.Errorf("%v counted as failed, %v", n, s.requests)
	}
}

func TestWhatAnEventDoesNotHoldIsCut(t *testing.T) {
	s, clock := start(t), testclock.NewFakePassiveClock(noon)
	q, end := queue(t, s, clock)
	long := denial
	long.Name, long.Note = strings.Repeat("m", 253), strings.Repeat("é", 2000)
	nameless := denial
	nameless.Name = ""
	q.Record(long)
	q.Record(nameless)
	end()
	for _, e := range s.all() {
		if len(e.Name) > 253 || len(e.Note) > 1024 || strings.HasPrefix(e.Name, ".") {
			t.Errorf("name of %d bytes, note of %d: %s", len(e.Name), len(e.Note), e.Name)
		}
	}
	if n := len(s.all()); n != 2 {
		t.Errorf("%d Events", n)
	}
}

// outcomes is the value of one of Outcomes, as it is scraped.
func outcomes(t *testing.T, outcome string) float64 {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "xcpauth_webhook_events_total" {
			continue
		}
		for _, m := range f.Metric {
			if m.Label[0].GetValue() == outcome {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}
