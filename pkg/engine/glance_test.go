package engine

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb"
)

// glancing notes how it is looked at: by looks and by glances, and where the run rests between them.
type glancing struct {
	*steadyFleet
	how  []string
	seen int // how often it was looked or glanced at
}

func (g *glancing) Pause(ctx context.Context, d time.Duration) {
	g.how = append(g.how, "rest")
	g.steadyFleet.Pause(ctx, d)
}

func (g *glancing) Observe(ctx context.Context, contexts ...string) plan.State {
	g.how, g.seen = append(g.how, "look"), g.seen+1
	return g.steadyFleet.Observe(ctx, contexts...)
}

func (g *glancing) Glance(ctx context.Context, moves map[string]func(plan.Read) bool) plan.State {
	g.how, g.seen = append(g.how, "glance"), g.seen+1
	return g.steadyFleet.Observe(ctx, "tokyo")
}

// What a glance shows verifies nothing and gives nothing up: a look at all of the step does.
func TestAGlanceDecidesNothing(t *testing.T) {
	const no, yes, never, wrote = "no", "yes", "never", "wrote"
	const glance, look, rest = "glance", "look", "rest"
	for name, tc := range map[string]struct {
		says   []string // what is seen, time after time
		late   int      // after how many of these the step's time is over; 0 is never
		minute int      // after how many of these a minute has passed; 0 is never
		how    []string
		failed string
	}{
		"met at once":               {[]string{yes, yes}, 0, 0, []string{glance, look}, ""},
		"met, and at a look":        {[]string{no, yes, yes}, 0, 0, []string{glance, rest, glance, look}, ""},
		"met at a glance alone":     {[]string{yes, no, yes, yes}, 0, 0, []string{glance, look, rest, glance, look}, ""},
		"hopeless, and at a look":   {[]string{never, never}, 0, 0, []string{glance, look}, "not verified: never"},
		"hopeless at a glance":      {[]string{no, never, yes}, 0, 0, []string{glance, rest, glance, look}, ""},
		"too late by a look":        {[]string{no, no}, 1, 0, []string{glance, look}, "not verified within"},
		"met by the look that ends": {[]string{no, yes}, 1, 0, []string{glance, look}, ""},
		"told where nobody glances": {[]string{no, yes}, 0, 1, []string{glance, rest, look}, ""},
		"not told there yet": {[]string{no, no, yes, yes}, 0, 1,
			[]string{glance, rest, look, rest, glance, look}, ""},
		"after a write": {[]string{wrote, yes, yes}, 0, 0, []string{look, rest, glance, look}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, s := tsbFleet("paris", "tokyo")
			g := &glancing{steadyFleet: s}
			e := &Executor{Clusters: g, Provider: tsb.Provider(), Poll: time.Second, oneByOne: true,
				verified: map[string]string{}}
			before := s.Observe(t.Context())
			r := &running{deadline: s.now.Add(time.Hour), Step: plan.Step{ID: "test", Member: "tokyo", RecordOnly: true,
				Timeout: time.Hour}}
			if tc.says[0] == wrote {
				r.Writes = []plan.Write{{Context: "tokyo"}}
			}
			r.Conditions = []plan.Condition{{Kind: "test", Member: "tokyo", Moves: func(plan.Read) bool { return true },
				Met: func(_, _ plan.State) plan.Evaluation {
					if g.seen == tc.late {
						r.deadline = s.now.Add(-time.Second)
					}
					if g.seen == tc.minute {
						r.wholeAt = s.now.Add(-wholeEvery)
					}
					says := tc.says[g.seen-1]
					return plan.Evaluation{Met: says == yes, Hopeless: says == never, Evidence: says}
				}}}
			failed := map[string]string{}
			e.verify(t.Context(), []*running{r}, before, failed, map[string]Outcome{})
			if !slices.Equal(g.how, tc.how) {
				t.Errorf("seen by %v, want %v", g.how, tc.how)
			}
			if !strings.HasPrefix(failed["test"], tc.failed) || (failed["test"] == "") != (tc.failed == "") {
				t.Errorf("failed: %q, want %q", failed["test"], tc.failed)
			}
		})
	}
}

// What is seen by glances at one member, and what is lacking of another without them, is looked at side by side.
func TestAGlanceIsAtTheClusterThatMoves(t *testing.T) {
	_, s := tsbFleet("paris", "tokyo")
	f := s.Observe(t.Context())
	rollouts := func(r plan.Read) bool { return r.Resource == "pods" }
	glance := func(member string, atHub bool) *running {
		return &running{deadline: s.now.Add(time.Hour), wholeAt: s.now, Step: plan.Step{Member: member},
			unmet: []plan.Condition{{Member: member, Moves: rollouts, AtHub: atHub}}}
	}
	look := &running{deadline: s.now.Add(time.Hour), Step: plan.Step{Member: "tokyo"},
		unmet: []plan.Condition{{Member: "tokyo"}}}
	paris, parisAtHub := glance("paris", false), glance("paris", true)
	hubAndTokyo := []string{"hub", "tokyo"}
	for name, tc := range map[string]struct {
		steps          []*running
		glances, looks []string
	}{
		"at the member":                {[]*running{paris}, []string{"paris"}, nil},
		"at the hub, for the member":   {[]*running{parisAtHub}, []string{"hub"}, nil},
		"at the hub":                   {[]*running{glance("hub", false)}, []string{"hub"}, nil},
		"beside a look":                {[]*running{paris, look}, []string{"paris"}, hubAndTokyo},
		"where it is looked at anyhow": {[]*running{parisAtHub, look}, nil, hubAndTokyo},
		"at who is not known":          {[]*running{glance("oslo", false)}, nil, []string{"hub"}},
	} {
		e := &Executor{Clusters: s}
		glances, looks := e.lookedAt(tc.steps, f)
		var at []string
		for name, moves := range glances {
			if at = append(at, name); !moves(plan.Read{Resource: "pods"}) || moves(plan.Read{Resource: "secrets"}) {
				t.Errorf("%s: it reads something else than what moves", name)
			}
		}
		if !slices.Equal(at, tc.glances) || !slices.Equal(looks, tc.looks) {
			t.Errorf("%s: glances at %v, looks at %v; want %v, %v", name, at, looks, tc.glances, tc.looks)
		}
	}
}
