package engine

import (
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb"
)

// A condition is followed for as long as its step waits, however often a run looks: what was seen of a wait at its
// beginning still counts at its end.
func TestALongWaitIsFollowedFromItsBeginning(t *testing.T) {
	_, s := tsbFleet("paris", "tokyo")
	goal := toJWT(plan.Goal{Pace: plan.Pace{Within: 2 * time.Hour, RotationWithin: 6 * time.Hour}})
	goal.FenceFor = time.Hour // 1800 looks
	e := &Executor{Clusters: s, Provider: tsb.Provider(), Goal: goal, Source: "test", Poll: 2 * time.Second,
		UndoWithin: time.Minute, oneByOne: true, Report: func(Event) {}}
	if r := e.Migrate(t.Context()); !r.Done || r.Err != nil {
		t.Fatalf("done: %v, %v, %+v", r.Done, r.Err, r.Outcomes)
	}
	for name := range s.edges {
		if stated := s.entries[name]; stated == nil || stated.Fence == "" {
			t.Errorf("%s is stated without its fence: %+v", name, stated)
		}
	}
}
