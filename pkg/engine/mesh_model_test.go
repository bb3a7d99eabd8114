package engine

import (
	"cmp"
	"context"
	"slices"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// run runs the real executor on a mesh until it ends, dies at a write, or is interrupted.
func (w *mesh) run(goal plan.Goal, mutate mutation) (r Result, died bool) {
	defer func() {
		if p := recover(); p != nil {
			if _, ok := p.(killed); !ok {
				panic(p)
			}
			died = true
		}
	}()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w.cancel, w.latest = cancel, nil
	goal.Within = cmp.Or(goal.Within, time.Minute)
	e := &Executor{Clusters: w, Provider: kongmesh.Provider(), Goal: goal, Source: "model", Poll: time.Second,
		UndoWithin: time.Minute, MaxFailures: w.IntN(2),
		Report: func(ev Event) { w.note("%s: %s", ev.Member, ev.Text) }, oneByOne: true}
	if mutate != nil {
		mutate(e)
	}
	r = e.Migrate(ctx)
	return r, false
}

func (w *mesh) someGoal() plan.Goal {
	g := plan.Goal{Pace: plan.Pace{WaveSize: w.IntN(3)}, Stage: plan.Stages[w.IntN(len(plan.Stages))],
		RotationTask: plan.RotationTask{Rotate: w.chance(3)}}
	switch w.IntN(6) {
	case 0:
		g = plan.Goal{RollbackTask: plan.RollbackTask{Back: true}, Pace: plan.Pace{WaveSize: w.IntN(2)}}
	case 1:
		g = plan.Goal{RollbackTask: plan.RollbackTask{Back: true, Only: w.names()[w.IntN(len(w.zones))]}}
	case 2:
		g = plan.Goal{RollbackTask: plan.RollbackTask{Back: true}, RotationTask: plan.RotationTask{Rotate: true},
			Sources: plan.Sources{FromKey: w.chance(2)}, Pace: plan.Pace{WaveSize: w.IntN(2)}}
	}
	if ids := w.presented(); w.chance(5) && len(ids) > 0 {
		g = plan.Goal{RevocationTask: plan.RevocationTask{Revoke: ids[:1+w.IntN(len(ids))], Reconnect: w.chance(2)}}
	}
	if w.chance(4) {
		g.Soak = time.Duration(w.IntN(20)) * time.Second
	}
	g.Within = time.Duration(5+w.IntN(55)) * time.Second // a step runs out of its time while it goes well, too
	return g
}

// presented are the IDs of the tokens that zones present.
func (w *mesh) presented() []string {
	var ids []string
	for _, name := range w.names() {
		for _, p := range w.zones[name].pods {
			if z, err := zonetoken.ReadZone(p.token); err == nil && !slices.Contains(ids, z.ID) {
				ids = append(ids, z.ID)
			}
		}
	}
	return ids
}

func (w *mesh) story(last plan.Goal, mutate mutation) Result {
	for range w.IntN(4) {
		w.writes, w.passed, w.killAt, w.cancelAt = 0, 0, 0, 0
		switch w.IntN(3) {
		case 0:
			w.killAt = 1 + w.IntN(20)
		case 1:
			w.killAt = -(1 + w.IntN(20))
		case 2:
			w.cancelAt = 1 + w.IntN(100)
		}
		goal := w.someGoal()
		if w.chance(4) {
			w.mayNot = w.names()[w.IntN(len(w.zones))]
		}
		_, died := w.run(goal, mutate)
		w.mayNot = ""
		w.note("-- the run to %+v ended (died: %v)", goal, died)
		for range w.IntN(15) {
			w.tick()
		}
	}
	return w.arrive(last, mutate)
}

// arrive runs, uninterrupted and with everybody within reach, until the goal is reached.
func (w *mesh) arrive(goal plan.Goal, mutate mutation) (r Result) {
	w.killAt, w.cancelAt, w.strangers, w.away = 0, 0, false, ""
	attempts := 12
	if w.memory || w.hopeless() && !goal.Back {
		attempts = 2
	}
	for range attempts {
		for _, z := range w.zones {
			z.reachable = true
		}
		w.apiOff = false
		began := w.now
		if r, _ = w.run(goal, mutate); r.Done {
			break
		}
		if w.now.Equal(began) { // nothing could be begun: it is tried again later
			for range 10 {
				w.tick()
			}
		}
	}
	for range 40 {
		w.tick()
	}
	return r
}

func (w *mesh) hopeless() bool {
	for _, stuck := range w.stuck {
		if stuck {
			return true
		}
	}
	return false
}

// migrated says what is not as it must be once the goal is reached.
func (w *mesh) migrated(rotated bool) string {
	if !slices.ContainsFunc(w.global.pods, authenticates) || !authenticates(&meshPod{env: w.global.env}) {
		if !rotated {
			return "the global authenticates nobody"
		}
	}
	if rotated && len(w.keys) != 1 {
		return "older keys are left"
	}
	for _, z := range w.zones {
		for _, p := range z.pods {
			if why := w.verify(z.name, p.token); why != "" {
				return z.name + " would be refused: " + why
			}
			if p.session != nil && !p.session.provided {
				return z.name + " is connected without a token"
			}
		}
	}
	return ""
}

// The promise, for random meshes of each version's names, zones that had tokens and zones that had none, a global
// that tells late of sessions or never of their end, networks that fail, steps that run out of time, strangers, goals
// that change, rotations, rollbacks, and a process that dies before or after any of its writes: no session is ever
// refused. And it converges, forward and back. As many stories as of TSB: 2 000 in `make test`, 100 000 in `make
// fuzz`.
func TestNoZoneIsEverRefusedWhoeverInterrupts(t *testing.T) {
	reached, back := stories(t, "writes-kongmesh.txt", meshStory)
	t.Logf("%d of %d meshes reached the goal, %d went back", reached, *modelRuns, back)
	if reached < *modelRuns/2 || back < *modelRuns/5 {
		t.Errorf("too few meshes reached the goal for this to show anything")
	}
}

// meshStory tells the story of a mesh.
func meshStory(seed uint64) (end ending) {
	w := anyMesh(seed)
	defer func() { end.writes = w.sum }()
	before := w.authenticating
	fail := func(format string, args ...any) ending {
		return ending{wrong: wrong(w.meshSwitches, w.log, format, args...)}
	}
	rotate := w.chance(3)
	last := w.story(plan.Goal{RotationTask: plan.RotationTask{Rotate: rotate}}, nil)
	switch {
	case len(w.refused) > 0:
		return fail("the promise is broken: %s", w.refused[0])
	case w.memory && (last.Done || w.changes > 0):
		return fail("the global keeps its state in memory, and %d things were written; done: %v", w.changes, last.Done)
	case w.memory:
		return end
	case !last.Done && !w.hopeless():
		return fail("not reached: %+v, %v", last.Outcomes, last.Err)
	case last.Done:
		end.reached = true
		if why := w.migrated(rotate); why != "" {
			return fail("done, and %s", why)
		}
	}
	if rotate || w.hopeless() || len(w.keys) == 0 || w.list != nil && w.hadTokens ||
		w.keys["zone-token-signing-key-1"] == nil && w.hadTokens {
		return end // what zones presented before is accepted no more
	}
	last = w.arrive(plan.Goal{RollbackTask: plan.RollbackTask{Back: true}}, nil)
	switch {
	case len(w.refused) > 0:
		return fail("the promise is broken on the way back: %s", w.refused[0])
	case !last.Done:
		return fail("not gone back: %+v, %v", last.Outcomes, last.Err)
	case authenticates(&meshPod{env: w.global.env}) != before:
		return fail("gone back, and the global authenticates: %v, before: %v", !before, before)
	}
	for _, z := range w.zones {
		for _, p := range z.pods {
			if had := p.token != nil; had && !w.hadTokens {
				return fail("gone back, and %s presents a token", z.name)
			}
		}
	}
	end.back = true
	return end
}

// Each bent rule is caught: the model sees a zone refused, or a goal that is never reached.
func TestTheModelOfZonesCatchesEachBentRule(t *testing.T) {
	t.Parallel()
	bend := func(next func(plan.State, plan.Goal) plan.Wave) mutation {
		return func(e *Executor) { e.Provider.Next = next }
	}
	real := kongmesh.Provider()
	for _, tc := range []struct {
		name   string
		mutate mutation
	}{
		{"what a zone presents is taken from its template, whatever its pods do", func(e *Executor) {
			e.Clusters = seenBy{e.Clusters, func(f *plan.State) {
				for i := range f.Members {
					if m := &f.Members[i]; m.Evidence.Presents != nil && m.Declared != "" {
						m.Evidence.Presents, m.Effective = []guard.Cred{m.Declared}, m.Declared
						for j := range m.Workload.Processes {
							m.Workload.Processes[j].Presents, m.Workload.Processes[j].Ready, m.Workload.Settled = m.Declared, true, true
						}
					}
				}
			}}
			bendConditions(e, func(c plan.Condition) bool { return c.Kind == "session" })
		}},
		{"zones that cannot be reached do not count", func(e *Executor) {
			e.Clusters = seenBy{e.Clusters, func(f *plan.State) {
				f.Others = nil
				f.Members = slices.DeleteFunc(f.Members, func(m plan.Member) bool { return m.Err != "" })
			}}
		}},
		{"a key is retired as soon as there is a newer one", bend(func(f plan.State, g plan.Goal) plan.Wave {
			w := real.Next(f, g)
			if g.Rotate && len(f.Hub.Keys) > 1 && !g.Back {
				old := f.Hub.Keys[0]
				w.Steps = []plan.Step{{ID: "retire/" + old.ID, Member: "hub", Irreversible: true,
					Writes: []plan.Write{{Context: "hub", Object: old.Object, Op: plan.OpDelete}}}}
			}
			return w
		})},
		{"the global authenticates before every zone has a token", bend(func(f plan.State, g plan.Goal) plan.Wave {
			w := real.Next(f, g)
			if len(w.Steps) > 0 && w.Steps[0].Kind == "move" && len(f.Members) > 1 {
				f.Members = f.Members[:0]
				w = real.Next(f, g)
				for i := range w.Steps {
					w.Steps[i].Withdraws = nil // else the one rule would deny it
				}
			}
			return w
		})},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for seed := range uint64(200) {
				w := newMesh(seed)
				if w.story(plan.Goal{RotationTask: plan.RotationTask{Rotate: w.chance(2)}}, tc.mutate); len(w.refused) > 0 {
					t.Logf("seed %d shows it: %s", seed, w.refused[0])
					return
				}
			}
			t.Error("the model does not notice")
		})
	}
}

// seenBy is clusters of which a run sees something else.
type seenBy struct {
	Clusters
	change func(*plan.State)
}

func (s seenBy) Glance(ctx context.Context, moves map[string]func(plan.Read) bool) plan.State {
	return s.Observe(ctx, contextsIn(moves)...)
}

func (s seenBy) Observe(ctx context.Context, contexts ...string) plan.State {
	f := s.Clusters.Observe(ctx, contexts...)
	s.change(&f)
	return f
}
