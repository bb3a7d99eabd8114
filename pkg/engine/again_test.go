package engine

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// What was verified may end once more, so a wave that only verifies may come again some times; one that writes may not,
// since something undoes it.
func TestAWaveThatOnlyVerifiesMayComeAgain(t *testing.T) {
	for _, tc := range []struct {
		name  string
		times int
		step  plan.Step
		turns bool // two waves take turns
		says  string
	}{
		{"some times", againVerified, plan.Step{}, false, ""},
		{"for ever", 100, plan.Step{}, false, "would come again"},
		{"with a write", 2, plan.Step{Irreversible: true}, false, "would come again"},
		{"two in turn, some times", 2 * againVerified, plan.Step{}, true, ""},
		{"two in turn, for ever", 1000, plan.Step{}, true, "would come again"},
		{"two in turn with a write, for ever", 1000, plan.Step{Irreversible: true}, true, "would come again"},
	} {
		w := newMesh(1)
		w.steady, w.namespace, w.mayNot = true, true, ""
		p := kongmesh.Provider()
		seen := 0
		p.Next = func(plan.State, plan.Goal) plan.Wave {
			if seen == tc.times {
				return plan.Wave{}
			}
			s := tc.step
			s.ID, s.Member, s.NoUndo, s.Timeout = "prove/hub", "hub", true, time.Minute
			if tc.turns && seen%2 == 1 {
				s.ID = "prove/again/hub"
			}
			s.Conditions = []plan.Condition{{Kind: "seen", Member: "hub", Met: func(_, _ plan.State) plan.Evaluation {
				seen++
				return plan.Evaluation{Met: true, Evidence: "seen"}
			}}}
			return plan.Wave{Title: "verify", Steps: []plan.Step{s}}
		}
		e := &Executor{Clusters: w, Provider: p, Source: "test", Poll: time.Second, UndoWithin: time.Minute,
			Report: func(Event) {}, oneByOne: true}
		r := e.Migrate(context.Background())
		said := ""
		if r.Err != nil {
			said = r.Err.Error()
		}
		if (tc.says == "") != (said == "") || !strings.Contains(said, tc.says) || (said == "") != r.Done {
			t.Errorf("%s: done %v, %q, want %q", tc.name, r.Done, said, tc.says)
		}
	}
}
