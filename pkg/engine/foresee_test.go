package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/estimate"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// looking is how the models look: a look takes no time there, and a pause at most three seconds.
var looking = estimate.Limits{Poll: time.Second}

// timed is how long the waves of runs took beside what was said of them as they began.
type timed struct {
	now    func() time.Time
	within time.Duration // the timeout of the steps: short, so that some run out of it
	open   *Event
	failed bool // a step of the wave in flight

	waves, expected int
	waited          int           // the waves that took longer than a step's timeout: what was said must count their waits
	took, about     time.Duration // of those of which it was known how long they take
	limit           time.Duration
	late            []string
	order           []string // the titles of the waves, as they were counted
}

// into has a run say how long its waves take, with what the hub keeps of earlier ones.
func (m *timed) into(past func() []plan.WaveRecord) mutation {
	return func(e *Executor) {
		e.Limits, e.Goal.RotationWithin, e.Goal.Within = &looking, 3*time.Hour, m.within
		e.Clusters = seenBy{e.Clusters, func(f *plan.State) {
			f.Hub.History = past()
		}}
		told := e.Report
		e.Report = func(ev Event) {
			told(ev)
			switch ev.Phase {
			case WaveStarted:
				m.end()
				m.open, m.failed = &ev, false
				m.order = append(m.order, ev.Text)
			case StepFailed:
				m.failed = true
			default:
			}
		}
	}
}

// end is the end of the wave in flight.
func (m *timed) end() {
	ev := m.open
	if m.open = nil; ev == nil || m.failed || ev.Until.IsZero() {
		return
	}
	took := m.now().Sub(ev.At)
	m.waves++
	m.limit += ev.Takes.AtMost
	if took > m.within+looking.Poll*5 {
		m.waited++
	}
	if m.now().After(ev.Until) {
		m.late = append(m.late, fmt.Sprintf("%s: it took %s, and at most %s was said", ev.Text, took, ev.Takes.AtMost))
	}
	if ev.Takes.Complete && ev.Takes.Known > 0 {
		m.expected++
		m.took, m.about = m.took+took, m.about+ev.Takes.Known
	}
}

// Every wave that succeeds ends within the time that was said of it, whatever operators, people and networks do.
func TestNoWaveTakesLongerThanWasSaid(t *testing.T) {
	t.Parallel()
	for name, run := range map[string]func(seed uint64, m *timed){
		"fleets of TSB": func(seed uint64, m *timed) {
			w := newWorld(seed)
			m.now, m.within = w.Now, 25*time.Second
			for _, goal := range []plan.Goal{w.someGoal(), {Pace: plan.Pace{Soak: time.Duration(w.IntN(30)) * time.Second}}} {
				runOnce(w, goal, m.into(func() []plan.WaveRecord { return w.homes["hub"].History }))
				m.end()
			}
		},
		"meshes": func(seed uint64, m *timed) {
			w := newMesh(seed)
			w.crashes, w.strangers = false, false // a pod that starts again begins its soak again, which nothing limits
			m.now, m.within = w.Now, 15*time.Second
			for _, goal := range []plan.Goal{w.someGoal(), {RotationTask: plan.RotationTask{Rotate: w.chance(2)},
				Pace: plan.Pace{Soak: time.Duration(w.IntN(60)) * time.Second}}} {
				w.run(goal, m.into(func() []plan.WaveRecord { return w.home.History }))
				m.end()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := &timed{}
			for seed := range uint64(400) {
				run(seed, m)
				if len(m.late) > 0 {
					t.Fatalf("seed %d: %s", seed, m.late[0])
				}
			}
			t.Logf("%d waves in at most %s, %d of them longer than a step's timeout; of %d it was known how long they take: "+
				"%s expected, %s taken", m.waves, m.limit, m.waited, m.expected, m.about, m.took)
			if m.waves < 400 || m.expected < 50 || m.waited == 0 {
				t.Error("too few waves succeeded for this to show anything")
			}
		})
	}
}

// A plan that is carried out as it was shown ends within its time, and its waves are counted as it numbers them.
func TestAPlanIsCarriedOutWithinItsTime(t *testing.T) {
	t.Parallel()
	same := 0
	var took, most, known time.Duration
	for seed := range uint64(300) {
		w := newWorld(seed)
		w.strangers, w.flippers = false, false
		var planned plan.Plan
		var all estimate.Time
		m := &timed{now: w.Now, within: 2 * time.Minute}
		began := w.Now()
		r, _ := runOnce(w, plan.Goal{}, func(e *Executor) {
			m.into(func() []plan.WaveRecord { return nil })(e)
			f := e.Observe(t.Context())
			planned = plan.Build(e.Provider, f, e.Goal)
			_, all = estimate.Plan(f, planned, looking)
		})
		var want []string
		for i, wave := range planned.Waves {
			want = append(want, fmt.Sprintf("wave %d of %d: %s", i+1, len(planned.Waves), wave.Title))
		}
		if !r.Done || !slices.Equal(m.order, want) {
			for i, said := range m.order { // it went otherwise, and each wave is counted all the same
				if !strings.HasPrefix(said, fmt.Sprintf("wave %d of ", i+1)) {
					t.Errorf("seed %d: wave %d is announced as %q", seed, i+1, said)
				}
			}
			continue
		}
		same++
		took, most, known = took+w.Now().Sub(began), most+all.AtMost, known+all.Known
		if !all.Limited || w.Now().Sub(began) > all.AtMost {
			t.Errorf("seed %d: it took %s, at most %s (%v)", seed, w.Now().Sub(began), all.AtMost, all.Limited)
		}
	}
	t.Logf("%d plans were carried out as shown: %s known before, %s taken, at most %s", same, known, took, most)
	if same < 30 {
		t.Error("too few plans were carried out as they were shown for this to show anything")
	}
}
