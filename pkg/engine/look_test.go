package engine

import (
	"context"
	"fmt"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// counting counts how often members are looked at.
type counting struct {
	*steadyFleet
	looks int
}

func (c *counting) Observe(ctx context.Context, contexts ...string) plan.State {
	if c.looks += len(contexts); len(contexts) == 0 {
		c.looks += 1 + len(c.edges)
	}
	return c.steadyFleet.Observe(ctx, contexts...)
}

// How often a run looks at a member does not depend on how many others there are, nor on how many waves: the requests
// of a migration grow with the members.
func TestAMigrationLooksAtAMemberAsOftenInAnyFleet(t *testing.T) {
	perMember := map[int]float64{}
	for _, members := range []int{50, 100, 300} {
		var names []string
		for i := range members {
			names = append(names, fmt.Sprintf("edge-%03d", i))
		}
		tr, s := tsbFleet(names...)
		c := &counting{steadyFleet: s}
		tr.clusters = c
		if r := tr.execute(toJWT(plan.Goal{Pace: plan.Pace{WaveSize: 50}}), nil); !r.Done || len(s.refused) > 0 {
			t.Fatalf("%d members: %v, %+v, refused %q", members, r.Err, r.Outcomes, s.refused)
		}
		perMember[members] = float64(c.looks) / float64(members)
		t.Logf("%d members in waves of 50: %d looks, %.1f a member", members, c.looks, perMember[members])
	}
	if perMember[300] > 1.1*perMember[50] {
		t.Errorf("looks a member: %v", perMember)
	}
}
