package apply_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
	"github.com/xcpauth/kubectl-xcpauth/test/bed"
)

// stored is a journal in an API server, with the version that each write gives it.
type stored struct {
	version int
	data    map[string]string
	lose    bool // the next write is stored, and its answer lost
}

func (s *stored) serve(w http.ResponseWriter, r *http.Request) bool {
	if !strings.HasSuffix(r.URL.Path, "/configmaps/"+api.JournalName) {
		return false
	}
	type object struct {
		Metadata map[string]string `json:"metadata"`
		Data     map[string]string `json:"data"`
	}
	switch r.Method {
	case http.MethodPatch:
		var o object
		text, err := io.ReadAll(r.Body)
		if err != nil || json.Unmarshal(text, &o) != nil {
			apifake.Status(w, http.StatusBadRequest, "BadRequest", string(text))
			return true
		}
		switch over := o.Metadata["resourceVersion"]; {
		case over != "" && s.version == 0:
			apifake.Status(w, http.StatusBadRequest, "BadRequest", "resourceVersion should not be set on objects to be created")
			return true
		case over != "" && over != fmt.Sprint(s.version):
			apifake.Status(w, http.StatusConflict, "Conflict", "the object has been modified")
			return true
		}
		s.version, s.data = s.version+1, o.Data
		if s.lose {
			s.lose = false
			panic(http.ErrAbortHandler)
		}
	case http.MethodGet:
		if s.version == 0 {
			return false
		}
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(object{Data: s.data,
		Metadata: map[string]string{"name": api.JournalName, "uid": "u", "resourceVersion": fmt.Sprint(s.version)}})
	return true
}

// A run writes its journal on top of what it has read. What another run has written since is that run's way back, and
// stays, however sure this one is of its lock; what changes nothing of it keeps nobody from writing.
func TestTheJournalOfAnotherRunIsNotWrittenOver(t *testing.T) {
	entry := func(wave string) map[string]string {
		return map[string]string{api.JournalKey: `{"Wave":"` + wave + `"}`}
	}
	theirs := func(data map[string]string) func(*stored) { return func(s *stored) { s.version, s.data = 7, data } }
	for name, tc := range map[string]struct {
		before  map[string]string // what is there when it is read
		between func(*stored)
		says    string
	}{
		"nothing happens":                {entry("a"), func(*stored) {}, ""},
		"there was none":                 {nil, func(*stored) {}, ""},
		"another run has gone on":        {entry("a"), theirs(entry("b")), "another run has written it"},
		"another run has ended its wave": {entry("a"), theirs(nil), "another run has written it"},
		"somebody has labelled it":       {entry("a"), func(s *stored) { s.version++ }, ""},
		"somebody has deleted it":        {entry("a"), func(s *stored) { s.version, s.data = 0, nil }, ""},
		"its answer is lost":             {entry("a"), func(s *stored) { s.lose = true }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b, _ := bed.New(t, map[string][]bed.Object{"hub": bed.OpenHub("far")})
			s := &stored{data: tc.before}
			if tc.before != nil {
				s.version = 1
			}
			hub := b.Servers["hub"]
			answer := hub.Answer
			hub.Answer = func(w http.ResponseWriter, r *http.Request) bool { return s.serve(w, r) || answer(w, r) }
			b.Observe(t.Context())
			if _, err := b.ReadJournal(t.Context(), "hub"); err != nil {
				t.Fatal(err)
			}
			tc.between(s)
			lost := s.lose
			before := maps.Clone(s.data)
			err := b.WriteJournal(t.Context(), "hub", engine.Journal{InFlight: &engine.Entry{Wave: "mine"}})
			if lost {
				if err == nil {
					t.Fatal("its answer was not lost")
				}
				err = b.WriteJournal(t.Context(), "hub", engine.Journal{InFlight: &engine.Entry{Wave: "mine"}})
			}
			if (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
				t.Errorf("it ends with %v", err)
			}
			if mine := strings.Contains(s.data[api.JournalKey], "mine"); mine != (tc.says == "") ||
				!mine && !maps.Equal(s.data, before) {
				t.Errorf("the journal is %v", s.data)
			}
		})
	}
}
