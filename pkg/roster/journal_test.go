package roster

import (
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// A journal that cannot be read may hold a wave: only one that is not there, or that was read, holds none.
func TestAJournalThatCannotBeReadIsNotAnEmptyOne(t *testing.T) {
	for _, tc := range []struct {
		name            string
		result          plan.Result
		inFlight, holds string
		unread          bool
	}{
		{"not there", plan.Result{Missing: true}, "", "", false},
		{"never read", plan.Result{}, "", "", false},
		{"empty", plan.Result{Body: []byte(`{"data":{}}`)}, "", "", false},
		{"forbidden", plan.Result{Err: "forbidden (403)"},
			"a wave that is not known (the journal could not be read: forbidden (403))",
			"a wave that is not known (the journal could not be read: forbidden (403))", true},
		{"another kind's", plan.Result{Body: []byte(`{"data":[1]}`)},
			"a wave that is not known (the journal is not as a ConfigMap is)",
			"a wave that is not known (the journal is not as a ConfigMap is)", true},
		{"a wave that is none", plan.Result{Body: []byte(`{"data":{"wave-in-flight":"x"}}`)}, "a wave that cannot be read",
			"a wave that cannot be read", false},
		{"a wave of another object", plan.Result{Body: []byte(`{"data":{"wave-in-flight":"{\"wave\":\"w\",\"by\":\"ann\",\"began\":\"b\"}"}}`)}, `the wave "w" of ann, begun b`, "", false},
	} {
		read := map[plan.Read]plan.Result{JournalRead(""): tc.result}
		got, _, _ := Journal(read)
		if held := Held(read, "u"); got != tc.inFlight || held != tc.holds || (Unread(read) != "") != tc.unread {
			t.Errorf("%s: in flight %q, holds %q, unread %q", tc.name, got, held, Unread(read))
		}
	}
}
