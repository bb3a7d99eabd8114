package engine

import (
	"errors"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

func TestExitCode(t *testing.T) {
	of := func(states ...State) Result {
		r := Result{}
		for _, s := range states {
			r.Outcomes = append(r.Outcomes, Outcome{State: s})
		}
		return r
	}
	done := func(r Result) Result { r.Done = true; return r }
	for _, tc := range []struct {
		name string
		r    Result
		want int
	}{
		{"done", done(of(Changed, Changed, OK)), 0},
		{"nothing to do", done(of(OK, OK, Skipped, OtherManagement)), 0},
		{"one failed", of(Changed, Failed, NotAttempted), 4},
		{"one unreachable", of(Changed, Unreachable), 4},
		{"done, with an unreachable context", done(of(OK, Unreachable)), 4},
		{"a part moved, a part is blocked", of(Changed, Refused), 4},
		{"a part moved, and something blocks", of(Changed, OK), 4},
		{"nothing could be begun", of(OK, Refused, NotAttempted), 5},
		{"interrupted", Result{Interrupted: true, Outcomes: []Outcome{{State: Failed}}}, 130},
		{"the run itself failed", Result{Err: errors.New("the journal cannot be written")}, 1},
	} {
		if got := tc.r.ExitCode(); got != tc.want {
			t.Errorf("%s: exit code %d, want %d", tc.name, got, tc.want)
		}
	}
}

func TestAccountNamesEveryMemberOnce(t *testing.T) {
	f := plan.State{Hub: plan.Hub{HubIdentity: plan.HubIdentity{Found: true, Context: "hub"}},
		Members: []plan.Member{{Identity: plan.Identity{Name: "edge-1", Context: "c1"}},
			{Identity: plan.Identity{Name: "edge-2", Context: "c2", Err: "timed out"}},
			{Identity: plan.Identity{Name: "edge-3", Err: "no selected context reaches it"}},
			{Identity: plan.Identity{Name: "edge-4", Context: "c4"}}},
		Others: []plan.OtherContext{{Context: "x", State: "unreachable"}, {Context: "y", State: "other-management-plane"},
			{Context: "z", State: "duplicate"}}}
	recorded := map[string]Outcome{"edge-1": {State: Changed}, "edge-4": {State: Failed, Why: "not verified; put back"}}
	last := plan.Wave{Obstacles: []plan.Obstacle{{Member: "edge-3", Why: "no selected context reaches it"}},
		Steps: []plan.Step{{ID: "move/edge-4"}}}
	want := map[string]State{"hub/hub": NotAttempted, "edge-1/c1": Changed, "edge-2/c2": Unreachable, "edge-3/": Refused,
		"edge-4/c4": Failed,
		"-/x":       Unreachable, "-/y": OtherManagement, "-/z": Skipped}
	got := summarize(plan.Provider{}, f, plan.Goal{To: "jwt"}, recorded, last, false)
	if len(got) != len(want) {
		t.Errorf("%d outcomes, want %d: %+v", len(got), len(want), got)
	}
	for _, o := range got {
		if key := o.Member + "/" + o.Context; want[key] != o.State {
			t.Errorf("%s is %q, want %q", key, o.State, want[key])
		}
	}
}

// A member that moved and then stands in the others' way says why, and they say that they wait.
func TestAccountSaysWhoStandsInTheWayAndWhoWaits(t *testing.T) {
	f := plan.State{Hub: plan.Hub{HubIdentity: plan.HubIdentity{Found: true, Context: "hub"}},
		Members: []plan.Member{{Identity: plan.Identity{Name: "edge-1", Role: plan.RoleEdge, Context: "c1"}},
			{Identity: plan.Identity{Name: "edge-2", Role: plan.RoleEdge, Context: "c2"}}}}
	recorded := map[string]Outcome{"edge-1": {State: Changed, Why: "moved"}}
	got := summarize(plan.Provider{}, f, plan.Goal{To: "jwt"}, recorded,
		plan.Wave{Obstacles: []plan.Obstacle{{Member: "edge-1", Why: "nobody renews its token"}}}, false)
	for i, want := range []Outcome{{"hub", "hub", NotAttempted, "waits until every member is verified"},
		{"edge-1", "c1", Changed, "moved; then it is blocked: nobody renews its token"},
		{"edge-2", "c2", NotAttempted, "waits for what is blocked"}} {
		if got[i] != want {
			t.Errorf("%+v, want %+v", got[i], want)
		}
	}
}

// Where the provider tells what a member presents, that is said of one for which nothing is left to do, or not yet.
func TestAccountSaysWhatAMemberPresents(t *testing.T) {
	f := plan.State{Hub: plan.Hub{HubIdentity: plan.HubIdentity{Found: true, Context: "hub"}}}
	for _, name := range []string{"a", "b", "c", "d"} {
		f.Members = append(f.Members, plan.Member{Identity: plan.Identity{Name: name, Role: plan.RoleEdge, Context: name}})
	}
	d := plan.Provider{Converged: func(_ plan.State, m plan.Member, _ plan.Goal) (bool, string) {
		return m.Name == "a" || m.Name == "d", map[string]string{"a": "an older one", "b": "nothing",
			"d": "the newest"}[m.Name]
	}}
	recorded := map[string]Outcome{"d": {State: Changed, Why: "moved"}}
	for name, tc := range map[string]struct {
		last plan.Wave
		done bool
		want map[string]Outcome
	}{
		"its turn did not come": {plan.Wave{Steps: []plan.Step{{ID: "move/b"}},
			Notes: []plan.Obstacle{{Member: "a", Why: "a note"}}}, false, map[string]Outcome{
			"a": {State: OK, Why: "it presents an older one; a note"}, "b": {State: NotAttempted,
				Why: "the run ended before its turn; it presents nothing"},
			"c": {State: NotAttempted, Why: "the run ended before its turn"}, "d": {State: Changed, Why: "moved"}}},
		"something blocks": {plan.Wave{Obstacles: []plan.Obstacle{{Member: "hub", Why: "it is"}}}, false, map[string]Outcome{
			"a": {State: OK, Why: "it presents an older one"}, "b": {State: NotAttempted,
				Why: "waits for what is blocked; it presents nothing"},
			"c": {State: NotAttempted, Why: "waits for what is blocked"}, "d": {State: Changed, Why: "moved"}}},
		"all is done": {plan.Wave{}, true, map[string]Outcome{"a": {State: OK}, "b": {State: OK}, "c": {State: OK},
			"d": {State: Changed, Why: "moved"}}},
	} {
		for _, o := range summarize(d, f, plan.Goal{}, recorded, tc.last, tc.done) {
			if want, ok := tc.want[o.Member]; ok && (o.State != want.State || o.Why != want.Why) {
				t.Errorf("%s: %+v, want %+v", name, o, want)
			}
		}
	}
}

// Taking a change back and doing it again leads to the same values: the journal's patches are their own lock.
func TestTheWayBackIsWrittenLastFirstAndNeverForWhatOnlyAdds(t *testing.T) {
	type m = map[string]any
	s := plan.Step{ID: "move/e", Member: "e", RevertsTo: "mtls", Writes: []plan.Write{
		{Op: plan.OpCreate, After: m{"kind": "Secret"}},
		{Object: plan.Ref{Name: "a"}, Before: m{"v": nil}, After: m{"v": "1"}, UndoTo: m{"v": "0"}},
		{Object: plan.Ref{Name: "b"}, Before: m{"v": "x"}, After: m{"v": "y"}},
	}}
	undo := undoOf(s)
	if len(undo) != 2 || undo[0].Object.Name != "b" || undo[0].Before["v"] != "y" || undo[0].After["v"] != "x" ||
		undo[1].After["v"] != "0" {
		t.Errorf("way back %+v", undo)
	}
	s.NoUndo = true
	if undo := undoOf(s); undo != nil {
		t.Errorf("a step that is kept has a way back: %+v", undo)
	}
}
