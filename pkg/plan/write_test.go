package plan

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// Plans that the release before wrote, when an operation was a boolean of its own, are read as they were meant, and
// written again with the same keys.
func TestASavedPlanOfTheReleaseBeforeIsRead(t *testing.T) {
	files, err := filepath.Glob("testdata/saved-before-op-*.json")
	if err != nil || len(files) != 2 {
		t.Fatalf("%d recorded plans (%v), want 2", len(files), err)
	}
	want := map[string]Op{"register": OpCreate, "rehearse": OpCreate, "restart": OpRestart, "redial": OpRestart,
		"open": OpUpdate, "close": OpUpdate, "fence": OpCreate, "clean": OpDelete}
	seen := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var saved Saved
		if err := json.Unmarshal(text, &saved); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, s := range saved.Steps {
			kind, _, _ := strings.Cut(s.ID, "/")
			op, known := want[kind]
			for _, w := range s.Writes {
				if known && w.Op != op {
					t.Errorf("%s: %s has the operation %q, want %q", file, s.ID, w.Op, op)
				}
			}
			seen[kind] = true
		}
		again, err := json.Marshal(saved)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(decoded(t, again), decoded(t, text)) {
			t.Errorf("%s: written again, it is another plan", file)
		}
	}
	for kind := range want {
		if !seen[kind] {
			t.Errorf("no recorded plan has a step %q", kind)
		}
	}
}

func decoded(t *testing.T, text []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestAWriteNamesOneOperation(t *testing.T) {
	for _, op := range []Op{OpUpdate, OpCreate, OpDelete, OpRestart, OpUpdateStatus} {
		b, err := json.Marshal(Write{Op: op, Object: Ref{Name: "a"}})
		if err != nil {
			t.Fatal(err)
		}
		var back Write
		if err := json.Unmarshal(b, &back); err != nil || back.Op != op {
			t.Errorf("%s: written as %s, and read as %q (%v)", op, b, back.Op, err)
		}
	}
	var w Write
	if err := json.Unmarshal([]byte(`{"object": {"name": "a"}, "create": true, "delete": true, "after": null}`),
		&w); err == nil {
		t.Errorf("a write that creates and deletes is read as %+v", w)
	}
}
