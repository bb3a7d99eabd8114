package apply_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
	"github.com/xcpauth/kubectl-xcpauth/test/bed"
)

// What stands in front of an API server may answer 200 to anything. A write is done when the answer is the object that
// was written; after any other answer it is not known, and nothing rests on it: no way back counts as written down, and
// nobody is the only writer.
func TestAWriteIsDoneWhenItsAnswerIsWhatWasWritten(t *testing.T) {
	void := plan.Write{Context: "hub", Object: roster.Ref("", "far"), Op: plan.OpUpdateStatus,
		After: roster.RetractedStatus()}
	entry := plan.Write{Context: "hub", Object: roster.Ref("", "new"), Op: plan.OpCreate,
		After: bed.Object{"apiVersion": "xcpauth.io/v1alpha1", "kind": "EdgeCluster",
			"metadata": bed.Object{"name": "new", "namespace": "xcpauth-system"}}}
	for what, write := range map[string]func(*bed.Bed) error{
		"the journal": func(b *bed.Bed) error {
			return b.WriteJournal(t.Context(), "hub", engine.Journal{InFlight: &engine.Entry{Wave: "mine"}})
		},
		"the lock": func(b *bed.Bed) error {
			lock, err := b.Live.Lock(t.Context(), "hub", "ann")
			if err == nil {
				lock.Unlock()
			}
			return err
		},
		"a statement": func(b *bed.Bed) error {
			handed := bed.HandedOver("far", 0, nil)
			return b.Publish(t.Context(), "hub", roster.MemberOf(handed), handed.Status)
		},
		"a statement that is taken back": func(b *bed.Bed) error {
			_, err := b.Live.Write(t.Context(), void, nil)
			return err
		},
		"a new object": func(b *bed.Bed) error {
			_, err := b.Live.Write(t.Context(), entry, nil)
			return err
		},
	} {
		for answered, body := range map[string]string{
			"nothing":            "",
			"an empty object":    `{}`,
			"a page":             `<html>welcome</html>`,
			"a success":          `{"kind":"Status","apiVersion":"v1","status":"Success"}`,
			"another object":     `{"metadata":{"name":"another","uid":"u","resourceVersion":"1"}}`,
			"one without an UID": `{"metadata":{"name":"far","resourceVersion":"1"}}`,
			"what was written":   "written",
		} {
			t.Run(what+"/"+answered, func(t *testing.T) {
				b, _ := bed.New(t, map[string][]bed.Object{"hub": append(bed.OpenHub("far"), bed.Stated("far"))})
				hub := b.Servers["hub"]
				as := hub.Answer
				hub.Answer = func(w http.ResponseWriter, r *http.Request) bool {
					if body == "written" || r.Method == http.MethodGet || strings.HasSuffix(r.URL.Path, "reviews") {
						return as(w, r)
					}
					w.Header().Set("Content-Type", "application/json")
					w.Write([]byte(body))
					return true
				}
				b.Observe(t.Context())
				if _, err := b.ReadJournal(t.Context(), "hub"); err != nil {
					t.Fatal(err)
				}
				err := write(b)
				if (err == nil) != (body == "written") {
					t.Errorf("%v", err)
				}
				if err != nil && (!strings.Contains(err.Error(), "the API server's answer is not ") ||
					strings.Contains(err.Error(), "no answer")) {
					t.Errorf("it does not say so: %v", err)
				}
			})
		}
	}
}

// A journal, a lock or a statement under the right name that holds something else is not what was written.
func TestAnAnswerThatHoldsSomethingElseIsNotWhatWasWritten(t *testing.T) {
	for what, tc := range map[string]struct {
		answer apifake.Object
		write  func(*bed.Bed) error
	}{
		"/configmaps/": {apifake.Object{"metadata": apifake.Object{"name": "xcpauth-journal", "uid": "u",
			"resourceVersion": "2"}, "data": apifake.Object{}},
			func(b *bed.Bed) error {
				return b.WriteJournal(t.Context(), "hub", engine.Journal{InFlight: &engine.Entry{Wave: "mine"}})
			}},
		"/configmaps/xcpauth-journal": {apifake.Object{"metadata": apifake.Object{"name": "xcpauth-journal", "uid": "u",
			"resourceVersion": "2"}, "data": apifake.Object{api.JournalKey: `{"wave":"one that is over"}`}},
			func(b *bed.Bed) error { return b.WriteJournal(t.Context(), "hub", engine.Journal{}) }},
		"/leases": {apifake.Object{"metadata": apifake.Object{"name": "xcpauth", "uid": "u", "resourceVersion": "2"},
			"spec": apifake.Object{"holderIdentity": "bob"}},
			func(b *bed.Bed) error {
				_, err := b.Live.Lock(t.Context(), "hub", "ann")
				return err
			}},
		"/far/status": {apifake.Object{"metadata": apifake.Object{"name": "far", "uid": "uid-entry-far",
			"resourceVersion": "2"}, "status": apifake.Object{"presents": []string{"jwt"}}},
			func(b *bed.Bed) error {
				_, err := b.Live.Write(t.Context(), plan.Write{Context: "hub", Object: roster.Ref("", "far"),
					Op: plan.OpUpdateStatus, After: roster.RetractedStatus()}, nil)
				return err
			}},
	} {
		b, _ := bed.New(t, map[string][]bed.Object{"hub": append(bed.OpenHub("far"), bed.Stated("far"))})
		hub := b.Servers["hub"]
		as := hub.Answer
		hub.Answer = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodGet || !strings.Contains(r.URL.Path, what) {
				return as(w, r)
			}
			w.Header().Set("Content-Type", "application/json")
			json.NewEncoder(w).Encode(tc.answer)
			return true
		}
		b.Observe(t.Context())
		if _, err := b.ReadJournal(t.Context(), "hub"); err != nil {
			t.Fatal(err)
		}
		if err := tc.write(b); err == nil || !strings.Contains(err.Error(), "was written") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
