package plan

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// A goal asks for one thing. What it asks for is told in one place.
func TestAGoalIsOneTask(t *testing.T) {
	within := Pace{Within: time.Minute}
	for _, tc := range []struct {
		name  string
		goal  Goal
		task  Task
		word  string
		wrong bool
	}{
		{"nothing else is a migration", Goal{Pace: within}, Migrate, "jwt-only", false},
		{"a rollback", Goal{Pace: within, RollbackTask: RollbackTask{Back: true}}, Rollback, "rollback", false},
		{"of one", Goal{Pace: within, RollbackTask: RollbackTask{Back: true, Only: "eu"}}, Rollback, "rollback of eu", false},
		{"new keys", Goal{Pace: within, To: "kid:2", RotationTask: RotationTask{Rotate: true}}, RotateKeys,
			"rotation to kid:2", false},
		{"a rotation undone", Goal{Pace: within, RotationTask: RotationTask{Rotate: true},
			RollbackTask: RollbackTask{Back: true}},
			UndoRotation, "rotation taken back", false},
		{"a revocation", Goal{Pace: within, RevocationTask: RevocationTask{Revoke: []string{"a"}}}, Revoke,
			"revocation", false},
		{"pruning", Goal{Pace: within, Prune: true}, Prune, "pruning", false},
		{"new tokens", Goal{Pace: within, Renew: map[string]string{"eu": ""}}, RenewTokens, "new tokens", false},
		{"a rollback and new tokens", Goal{Pace: within, RollbackTask: RollbackTask{Back: true},
			Renew: map[string]string{"eu": ""}},
			Rollback, "rollback", true},
		{"pruning and a revocation", Goal{Pace: within, Prune: true, RevocationTask: RevocationTask{Revoke: []string{"a"}}},
			Revoke, "revocation", true},
		{"new keys and pruning", Goal{Pace: within, To: "kid:2", Prune: true, RotationTask: RotationTask{Rotate: true}},
			Prune, "pruning", true},
	} {
		if tc.goal.Task() != tc.task || tc.goal.Word() != tc.word {
			t.Errorf("%s: task %d, %q", tc.name, tc.goal.Task(), tc.goal.Word())
		}
		if err := tc.goal.Check(); (err != nil) != tc.wrong {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

// Saved plans hold the goal as one flat object, and those of the version before do.
func TestAGoalIsSavedFlat(t *testing.T) {
	goal := Goal{To: "jwt", Pace: Pace{Canary: "eu", Within: time.Minute},
		RollbackTask: RollbackTask{Back: true, Only: "eu"},
		RotationTask: RotationTask{Rotate: true}, RevocationTask: RevocationTask{Revoke: []string{"a"}},
		Sources: Sources{Supplied: "tctl"}}
	text, err := json.Marshal(goal)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"to":"jwt","canary":"eu","within":60000000000,"supplied":"tctl","back":true,"only":"eu","rotate":true,"revoke":["a"]}`
	if strings.TrimSpace(string(text)) != want {
		t.Errorf("%s\nwant %s", text, want)
	}
	var read Goal
	if err := json.Unmarshal(text, &read); err != nil || read.Only != "eu" || read.Canary != "eu" ||
		read.Supplied != "tctl" {
		t.Errorf("%+v: %v", read, err)
	}
}
