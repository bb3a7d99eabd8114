package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb"
)

// counting counts how often members are looked at, and glanced at.
type counting struct {
	*steadyFleet
	looks, glances int
}

func (c *counting) Glance(ctx context.Context, moves map[string]func(plan.Read) bool) plan.State {
	for _, its := range moves {
		if its == nil {
			c.looks++
		} else {
			c.glances++
		}
	}
	return c.steadyFleet.Glance(ctx, moves)
}

func (c *counting) Observe(ctx context.Context, contexts ...string) plan.State {
	if c.looks += len(contexts); len(contexts) == 0 {
		c.looks += 1 + len(c.edges)
	}
	return c.steadyFleet.Observe(ctx, contexts...)
}

// migrated migrates a fleet in waves of 50. It says how often it looked and glanced at a member, and how long that
// took in the time of the model.
func migrated(t testing.TB, members int) (looks, glances float64, took time.Duration) {
	t.Helper()
	var names []string
	for i := range members {
		names = append(names, fmt.Sprintf("edge-%03d", i))
	}
	tr, s := tsbFleet(names...)
	c := &counting{steadyFleet: s}
	tr.clusters = c
	began := s.now
	if r := tr.execute(toJWT(plan.Goal{Pace: plan.Pace{WaveSize: 50}}), nil); !r.Done || len(s.refused) > 0 {
		t.Fatalf("%d members: %v, %+v, refused %q", members, r.Err, r.Outcomes, s.refused)
	}
	return float64(c.looks) / float64(members), float64(c.glances) / float64(members), s.now.Sub(began)
}

// How often a run looks at a member does not depend on how many others there are, nor on how many waves: the requests
// of a migration grow with the members.
func TestAMigrationLooksAtAMemberAsOftenInAnyFleet(t *testing.T) {
	few, fewGlances, _ := migrated(t, 50)
	many, manyGlances, _ := migrated(t, 300)
	t.Logf("looks, and glances, at a member in waves of 50: %.1f, %.1f with 50 members, %.1f, %.1f with 300",
		few, fewGlances, many, manyGlances)
	if many > 1.1*few || manyGlances > 1.1*fewGlances {
		t.Error("with more members each is looked at more often")
	}
	if most := 30.0; few > most || many > most { // 59 without glances
		t.Errorf("each is looked at more than %.0f times", most)
	}
}

// BenchmarkMigrate migrates fleets in waves of 50, in the time of the model: what is left is what a run computes.
func BenchmarkMigrate(b *testing.B) {
	for _, members := range []int{50, 100, 300} {
		b.Run(fmt.Sprintf("members=%d", members), func(b *testing.B) {
			for b.Loop() {
				looks, glances, took := migrated(b, members)
				b.ReportMetric(looks, "looks/member")
				b.ReportMetric(glances, "glances/member")
				b.ReportMetric(took.Minutes(), "min-waited")
			}
		})
	}
}

// looks is what a run looked at, in turn; it is interrupted with the last.
type looks struct {
	*steadyFleet
	at     [][]string
	last   int
	cancel context.CancelFunc
}

func (l *looks) Observe(ctx context.Context, contexts ...string) plan.State {
	if l.at = append(l.at, contexts); len(l.at) == l.last {
		l.cancel()
	}
	return l.steadyFleet.Observe(ctx, contexts...)
}

// What is met by members that were seen at different times is not verified: one look at all of them is.
func TestAStepIsVerifiedByOneLookAtAllOfIt(t *testing.T) {
	all, rest := []string{"hub", "paris", "tokyo"}, []string{"hub", "tokyo"}
	for name, tc := range map[string]struct {
		interrupted int      // with which look, 0 when it is not
		met         []string // whether tokyo has what is wanted, look by look
		looks       [][]string
		failed      string
	}{
		"confirmed":             {0, []string{"no", "no", "yes", "yes"}, [][]string{all, rest, rest, all}, ""},
		"lost when all is seen": {0, []string{"no", "yes", "no", "yes", "yes"}, [][]string{all, rest, all, rest, all}, ""},
		"met at once":           {0, []string{"yes"}, [][]string{all}, ""},
		"interrupted while all of it is looked at": {4, []string{"no", "no", "yes", "yes"}, [][]string{all, rest, rest, all},
			"interrupted before it was verified"},
		"interrupted before it is": {2, []string{"no", "yes", "yes"}, [][]string{all, rest},
			"interrupted before it was verified"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			_, s := tsbFleet("paris", "tokyo")
			l := &looks{steadyFleet: s, last: tc.interrupted, cancel: cancel}
			e := &Executor{Clusters: l, Provider: tsb.Provider(), Poll: time.Second, oneByOne: true,
				verified: map[string]string{}}
			met := func(member string, is func() bool) plan.Condition {
				return plan.Condition{Kind: "test", Member: member, Met: func(_, _ plan.State) plan.Evaluation {
					return plan.Evaluation{Met: is(), Evidence: member}
				}}
			}
			step := plan.Step{ID: "test", Member: "hub", RecordOnly: true, Timeout: time.Hour, Conditions: []plan.Condition{
				met("paris", func() bool { return true }),
				met("tokyo", func() bool { return tc.met[len(l.at)-1] == "yes" })}}
			before, failed := s.Observe(ctx), map[string]string{}
			e.verify(ctx, []*running{{Step: step, deadline: e.Now().Add(time.Hour)}}, before, failed, map[string]Outcome{})
			if !slices.EqualFunc(l.at, tc.looks, slices.Equal[[]string]) {
				t.Errorf("looked at %v, want %v", l.at, tc.looks)
			}
			if !strings.HasPrefix(failed["test"], tc.failed) || (failed["test"] == "") != (tc.failed == "") {
				t.Errorf("failed: %q, want %q", failed["test"], tc.failed)
			}
		})
	}
}
