package auditor

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
	"github.com/xcpauth/kubectl-xcpauth/webhook/verdict"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// entry carries the condition that an earlier audit wrote, "" for none.
func entry(name string, status metav1.ConditionStatus) api.EdgeCluster {
	e := api.EdgeCluster{ObjectMeta: metav1.ObjectMeta{Name: name, UID: "uid", ResourceVersion: "7"}}
	if status != "" {
		e.Status.Conditions = []metav1.Condition{{Type: api.ConditionAccepted, Status: status, Reason: "R", Message: "m",
			LastTransitionTime: metav1.NewTime(noon.Add(-time.Hour))}}
	}
	return e
}

func finding(name string, status metav1.ConditionStatus, hub string) verdict.Finding {
	return verdict.Finding{Member: name, Entry: name, Hub: hub, Status: status, Reason: "R", Message: "m"}
}

func TestWhatIsToldOfAnAudit(t *testing.T) {
	const mp = "tsb/mp"
	for _, tc := range []struct {
		name    string
		entries []api.EdgeCluster
		found   []verdict.Finding
		patched string
		events  []string // hub reason pieces
	}{
		{"the first audit, all well", []api.EdgeCluster{entry("a", "")}, []verdict.Finding{finding("a", "True", mp)}, "a",
			nil},
		{"nothing changed", []api.EdgeCluster{entry("a", "True"), entry("b", "False")},
			[]verdict.Finding{finding("a", "True", mp), finding("b", "False", mp)}, "", nil},
		{"one came to be refused", []api.EdgeCluster{entry("a", "True"), entry("b", "True")},
			[]verdict.Finding{finding("a", "False", mp), finding("b", "True", mp)}, "a",
			[]string{"tsb/mp MembersRefused 1 member may present"}},
		{"two at once are one Event", []api.EdgeCluster{entry("a", "True"), entry("b", "Unknown")},
			[]verdict.Finding{finding("a", "False", mp), finding("b", "False", mp)}, "a b",
			[]string{"tsb/mp MembersRefused 2 members"}},
		{"one more names both", []api.EdgeCluster{entry("a", "False"), entry("b", "True")},
			[]verdict.Finding{finding("a", "False", mp), finding("b", "False", mp)}, "b", []string{"a: m. b: m"}},
		{"one of two is fixed", []api.EdgeCluster{entry("a", "False"), entry("b", "False")},
			[]verdict.Finding{finding("a", "True", mp), finding("b", "False", mp)}, "a",
			[]string{"MembersRefused 1 member may present"}},
		{"fixed", []api.EdgeCluster{entry("a", "False")}, []verdict.Finding{finding("a", "True", mp)}, "a",
			[]string{"tsb/mp MembersAccepted this ManagementPlane accepts again all that a may present"}},
		{"refused, and then nothing more is known of it", []api.EdgeCluster{entry("a", "False")},
			[]verdict.Finding{finding("a", "Unknown", mp)}, "a",
			[]string{"tsb/mp MembersNotKnown what a may present is not known any more"}},
		{"known to be accepted, and then not known", []api.EdgeCluster{entry("a", "True")},
			[]verdict.Finding{finding("a", "Unknown", mp)}, "a", nil},
		{"each hub has its own Event", []api.EdgeCluster{entry("a", ""), entry("b", "")},
			[]verdict.Finding{finding("a", "False", "tsb/1"), finding("b", "False", "tsb/2")}, "a b",
			[]string{"tsb/1 MembersRefused", "tsb/2 MembersRefused"}},
		{"the last hub is gone", []api.EdgeCluster{entry("a", "False")}, []verdict.Finding{finding("a", "Unknown", "")}, "a",
			nil},
		{"a member that the roster lacks", nil, []verdict.Finding{{Member: "us-1", Hub: mp, Status: "Unknown"}}, "", nil},
		{"an entry of which nothing was found", []api.EdgeCluster{entry("a", "False")}, nil, "", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			conditions, told := changes(tc.entries, tc.found, noon)
			var patched []string
			for _, c := range conditions {
				patched = append(patched, c.entry.Name)
			}
			if strings.Join(patched, " ") != tc.patched {
				t.Errorf("patched %q, want %q", patched, tc.patched)
			}
			if len(told) != len(tc.events) {
				t.Fatalf("events %+v, want %q", told, tc.events)
			}
			for i, want := range tc.events {
				if got := fmt.Sprintf("%s %s %s", told[i].hub, told[i].reason, told[i].note); !strings.Contains(got, want) {
					t.Errorf("event %q, want %q", got, want)
				}
			}
		})
	}
}

func TestAConditionIsNotWrittenForAnotherTimeAlone(t *testing.T) {
	said := func(message string) []api.EdgeCluster {
		e := entry("a", "False")
		e.Status.Conditions[0].Message = message
		return []api.EdgeCluster{e}
	}
	f := finding("a", "False", "tsb/mp")
	f.Message = "stated by ci@eu, seen 2026-01-02T11:59:00Z, valid until 2026-01-02T12:14:00Z; read at 12:00:00"
	for message, want := range map[string]int{
		"stated by ci@eu, seen 2026-01-02T11:00:00Z, valid until 2026-01-02T11:14:00Z; read at 11:00:00": 0,
		"stated by ci@us, seen 2026-01-02T11:59:00Z, valid until 2026-01-02T12:14:00Z; read at 12:00:00": 1,
	} {
		if got, _ := changes(said(message), []verdict.Finding{f}, noon); len(got) != want {
			t.Errorf("%d conditions are written over %q, want %d", len(got), message, want)
		}
	}
}

func TestTheNoteOfAnEventBeginsWithHowManyAreRefused(t *testing.T) {
	var entries []api.EdgeCluster
	var found []verdict.Finding
	for i := range 200 {
		name := fmt.Sprintf("édge-%03d", i)
		entries, found = append(entries, entry(name, "")), append(found, finding(name, "False", "tsb/mp"))
	}
	if _, told := changes(entries, found, noon); len(told) != 1 || !strings.HasPrefix(told[0].note, "200 members") {
		t.Errorf("%+v", told)
	}
}

// merged is a roster entry's status after merge patches, as the API server applies them.
func merged(t *testing.T, status api.EdgeClusterStatus, patches ...any) api.EdgeClusterStatus {
	t.Helper()
	doc, err := json.Marshal(map[string]any{"status": status})
	for _, p := range patches {
		if err != nil {
			break
		}
		var patch []byte
		if patch, err = json.Marshal(p); err == nil {
			doc, err = jsonpatch.MergePatch(doc, patch)
		}
	}
	var after api.EdgeCluster
	if err == nil {
		err = json.Unmarshal(doc, &after)
	}
	if err != nil {
		t.Fatal(err)
	}
	return after.Status
}

// The plugin states, takes back and renews; the auditor writes its condition: each beside the other.
func TestNeitherTheStatementNorTheConditionWipesTheOther(t *testing.T) {
	seen, until := metav1.NewTime(noon), metav1.NewTime(noon.Add(roster.Believed))
	stated := api.EdgeClusterStatus{Presents: []string{"jwt"}, ObservedTime: &seen, ValidUntil: &until,
		ControlPlaneUID: "uid-1", RotationTime: &seen, Source: "ci@eu", Witnesses: []string{"seen"}}
	again := stated
	again.Presents, again.Source, again.Witnesses = []string{"mtls"}, "b@eu", nil
	conditions, _ := changes([]api.EdgeCluster{{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Status: stated}},
		[]verdict.Finding{finding("a", "False", "tsb/mp")}, noon)
	audited := map[string]any{"status": map[string]any{"conditions": conditions[0].conditions}}

	after := merged(t, stated, audited)
	accepted := meta.FindStatusCondition(after.Conditions, api.ConditionAccepted)
	if accepted == nil || accepted.Status != metav1.ConditionFalse {
		t.Fatalf("no condition: %+v", after)
	}
	after.Conditions = nil
	if d := cmp.Diff(merged(t, stated), after); d != "" {
		t.Errorf("the condition changed the statement (-before +after):\n%s", d)
	}
	for name, patch := range map[string]any{"stated again": map[string]any{"status": again},
		"taken back": roster.RetractedStatus()} {
		if after := merged(t, stated, audited, patch); !slices.Contains(after.Conditions, *accepted) {
			t.Errorf("%s: the condition is gone: %+v", name, after)
		}
	}
	other := metav1.Condition{Type: "Other", Status: metav1.ConditionTrue, Reason: "R",
		LastTransitionTime: metav1.NewTime(noon)}
	beside, _ := changes([]api.EdgeCluster{{ObjectMeta: metav1.ObjectMeta{Name: "a"},
		Status: api.EdgeClusterStatus{Conditions: []metav1.Condition{other}}}},
		[]verdict.Finding{finding("a", "True", "tsb/mp")}, noon)
	if !slices.Contains(beside[0].conditions, other) || len(beside[0].conditions) != 2 {
		t.Errorf("somebody else's condition is gone: %+v", beside[0].conditions)
	}
}
