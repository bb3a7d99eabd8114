package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb"
)

// counting counts how often members are looked at, and glanced at, and how often the run waits. It has a clock of its
// own, by which the model goes on.
type counting struct {
	*steadyFleet
	looks, glances, waits int
	spent                 time.Duration // that the model is behind
}

// How long looking takes over connections that are kept, where each answer is 40 ms away: three round trips for all
// members that are looked at side by side, and so much more for each member on two processors. It is what BenchmarkLook
// of test/bench measures.
const (
	sideBySide  = 64
	roundTrips  = 3 * 40 * time.Millisecond
	lookTakes   = 600 * time.Microsecond
	glanceTakes = 400 * time.Microsecond
)

func (c *counting) Now() time.Time { return c.world.now.Add(c.spent) }

func (c *counting) Pause(ctx context.Context, d time.Duration) {
	c.waits++
	c.pass(ctx, d)
}

// pass lets time pass.
func (c *counting) pass(ctx context.Context, d time.Duration) {
	const longestTick = 3 * time.Second // of the model
	for c.spent += d; c.spent >= longestTick; {
		began := c.world.now
		c.steadyFleet.Pause(ctx, 0)
		c.spent -= c.world.now.Sub(began)
	}
}

func (c *counting) count(ctx context.Context, looks, glances int) {
	c.looks, c.glances = c.looks+looks, c.glances+glances
	batches := (looks + glances + sideBySide - 1) / sideBySide
	c.pass(ctx, time.Duration(batches)*roundTrips+time.Duration(looks)*lookTakes+time.Duration(glances)*glanceTakes)
}

func (c *counting) Glance(ctx context.Context, moves map[string]func(plan.Read) bool) plan.State {
	looks := 0
	for _, its := range moves {
		if its == nil {
			looks++
		}
	}
	c.count(ctx, looks, len(moves)-looks)
	return c.steadyFleet.Glance(ctx, moves)
}

func (c *counting) Observe(ctx context.Context, contexts ...string) plan.State {
	looks := len(contexts)
	if looks == 0 {
		looks = 1 + len(c.edges)
	}
	c.count(ctx, looks, 0)
	return c.steadyFleet.Observe(ctx, contexts...)
}

// poll is how often the fleets of the model are looked at while a step is verified.
const poll = 2 * time.Second

// migrated migrates a fleet in waves of 50. It says how often it looked and glanced at a member, for how long the run
// waited for the product, poll by poll, and how long it took in the time of the model.
func migrated(t testing.TB, members int, seed uint64) (looks, glances float64, waited, took time.Duration) {
	t.Helper()
	var names []string
	for i := range members {
		names = append(names, fmt.Sprintf("edge-%03d", i))
	}
	_, s := tsbFleet(names...)
	s.Rand = rand.New(rand.NewPCG(seed, 1))
	c := &counting{steadyFleet: s}
	began := c.Now()
	e := &Executor{Clusters: c, Provider: tsb.Provider(), Source: "test", oneByOne: true,
		Goal: toJWT(plan.Goal{Pace: plan.Pace{WaveSize: 50, Within: 5 * time.Minute}}),
		Poll: poll, UndoWithin: time.Minute}
	if r := e.Migrate(t.Context()); !r.Done || len(s.refused) > 0 {
		failed := slices.DeleteFunc(r.Outcomes, func(o Outcome) bool { return o.State != Failed })
		t.Fatalf("%d members: %v, %+v, refused %q", members, r.Err, failed, s.refused)
	}
	return float64(c.looks) / float64(members), float64(c.glances) / float64(members),
		time.Duration(c.waits) * poll, c.Now().Sub(began)
}

// How often a run looks at a member does not depend on how many others there are, nor on how many waves: the requests
// of a migration grow with the members.
func TestAMigrationLooksAtAMemberAsOftenInAnyFleet(t *testing.T) {
	few, fewGlances, _, _ := migrated(t, 50, 1)
	many, manyGlances, _, _ := migrated(t, 300, 1)
	t.Logf("looks, and glances, at a member in waves of 50: %.1f, %.1f with 50 members, %.1f, %.1f with 300",
		few, fewGlances, many, manyGlances)
	if many > 1.1*few || manyGlances > 1.1*fewGlances {
		t.Error("with more members each is looked at more often")
	}
	if most := 22.0; few > most || many > most { // 59 without glances
		t.Errorf("each is looked at more than %.0f times", most)
	}
}

// BenchmarkMigrate migrates fleets in waves of 50, in the time of the model: what is left is what a run computes. It
// says how long a run waits for the product, and by how much it takes longer than that because it looks.
func BenchmarkMigrate(b *testing.B) {
	const seeds = 5
	for _, members := range []int{50, 100, 300} {
		b.Run(fmt.Sprintf("members=%d", members), func(b *testing.B) {
			var looks, glances float64
			var waited, took time.Duration
			for b.Loop() {
				looks, glances, waited, took = 0, 0, 0, 0
				for seed := range uint64(seeds) {
					l, g, w, all := migrated(b, members, seed)
					looks, glances, waited, took = looks+l/seeds, glances+g/seeds, waited+w/seeds, took+all/seeds
				}
			}
			b.ReportMetric(looks, "looks/member")
			b.ReportMetric(glances, "glances/member")
			b.ReportMetric(waited.Minutes(), "min-waited")
			b.ReportMetric(100*(took.Seconds()/waited.Seconds()-1), "%-longer-with-looking")
		})
	}
}

func TestARunRestsAsLongAsItLooks(t *testing.T) {
	for took, want := range map[time.Duration]time.Duration{0: poll, poll / 4: poll * 3 / 4, poll / 2: poll / 2,
		poll * 3 / 4: poll * 3 / 4, 3 * poll: 3 * poll, 9 * poll: 5 * poll} {
		if got := rest(poll, took); got != want {
			t.Errorf("after a look of %s: %s, want %s", took, got, want)
		}
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
