package engine

import (
	"context"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// slow is a world in which something else happens between the last look of who publishes and what it writes.
type slow struct {
	Clusters
	meanwhile func()
}

func (s slow) Publish(ctx context.Context, hub string, m plan.Member, st api.EdgeClusterStatus) error {
	if m.Role == plan.RoleEdge {
		s.meanwhile()
	}
	return s.Clusters.Publish(ctx, hub, m, st)
}

// Somebody renews the statement of an edge while another run takes the edge back, and is as far as each of its
// writes: whatever the one saw before, or sees in the seconds in which the edge still presents its JWT, is not stated
// any more once the other has taken the statement back.
func TestNobodyStatesAMemberThatAnotherRunTakesBack(t *testing.T) {
	for _, when := range []string{"before it is seen", "after it was seen"} {
		t.Run(when, func(t *testing.T) {
			refused := 0
			for at := 1; at <= 3; at++ {
				w := newWorld(1)
				w.switches = switches{noWebhook: true, stuck: map[string]bool{}}
				if r, _ := runOnce(w, plan.Goal{Stage: plan.Edges, Pace: plan.Pace{HastyCanary: true}}, nil); !r.Done {
					t.Fatalf("not migrated: %+v, %v", r.Outcomes, r.Err)
				}
				name := w.names()[0]
				took := false
				takeBack := func() {
					if took {
						return
					}
					took, w.writes, w.killAt = true, 0, -at
					if _, died := runOnce(w, plan.Goal{RollbackTask: plan.RollbackTask{Back: true, Only: name}}, nil); !died {
						t.Fatalf("the rollback has no write %d", at)
					}
					w.killAt = 0
				}
				p := &Executor{Clusters: slow{w, takeBack}, Provider: tsb.Provider(), Source: "other",
					Poll: time.Second, oneByOne: true,
					Goal: plan.Goal{To: state.JWT, Pace: plan.Pace{Within: time.Minute, NoFence: true}}, Report: func(Event) {}}
				if when == "before it is seen" {
					takeBack()
				}
				if _, err := p.VerifyMembers(t.Context(), []string{name}); err != nil {
					t.Fatal(err)
				}
				_, began := w.voided[name]
				if began && w.entries[name] != nil {
					t.Errorf("the rollback had taken the statement back and was at its write %d, and %v was stated: %+v", at,
						w.entries[name].Presents, w.homes["hub"].InFlight)
				}
				if began {
					refused++
				}
			}
			if refused == 0 {
				t.Error("no rollback got as far as taking the statement back: this shows nothing")
			}
		})
	}
}
