package engine

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// Journals that the release before wrote, when an operation was a boolean of its own, are read as they were meant, and
// this release undoes what they hold: a run of the release before may have been interrupted.
func TestAJournalOfTheReleaseBeforeIsUndone(t *testing.T) {
	text, err := os.ReadFile("testdata/journals-before-op.json")
	if err != nil {
		t.Fatal(err)
	}
	var recorded []struct {
		Product string          `json:"product"`
		Entry   json.RawMessage `json:"entry"`
	}
	if err := json.Unmarshal(text, &recorded); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, r := range recorded {
		var entry Entry
		if err := json.Unmarshal(r.Entry, &entry); err != nil {
			t.Fatalf("%s: %v", r.Entry, err)
		}
		for _, s := range entry.Steps {
			kind, _, _ := strings.Cut(s.ID, "/")
			seen[r.Product+" "+kind] = true
			for i, u := range s.Undo {
				want := plan.OpUpdate
				if kind == "renew" {
					want = []plan.Op{plan.OpCreate, plan.OpDelete}[i]
				}
				if u.Op != want {
					t.Errorf("%s %s: undo %d has the operation %q, want %q", r.Product, s.ID, i, u.Op, want)
				}
				if r.Product == state.Name && !tsb.Provider().AllowsUndo(plan.State{}, u, s.From) {
					t.Errorf("%s %s: undo %d is refused: %+v", r.Product, s.ID, i, u)
				}
			}
		}
		again, err := json.Marshal(entry)
		if err != nil {
			t.Fatal(err)
		}
		var was, is any
		if json.Unmarshal(r.Entry, &was) != nil || json.Unmarshal(again, &is) != nil || !reflect.DeepEqual(was, is) {
			t.Errorf("written again, %s is %s", r.Entry, again)
		}
	}
	for _, want := range []string{"tsb move", "tsb redial", "tsb close", "tsb renew", "tsb return", "kong-mesh move",
		"kong-mesh close", "kong-mesh return"} {
		if !seen[want] {
			t.Errorf("no recorded journal holds a step %q", want)
		}
	}
}
