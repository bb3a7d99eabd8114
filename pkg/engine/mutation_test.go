package engine

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// bent is a world of which somebody sees something else than there is.
type bent struct {
	Clusters
	bend func(*plan.State)
}

func (b bent) Glance(ctx context.Context, moves map[string]func(plan.Read) bool) plan.State {
	return b.Observe(ctx, contextsIn(moves)...)
}

func (b bent) Observe(ctx context.Context, contexts ...string) plan.State {
	f := b.Clusters.Observe(ctx, contexts...)
	b.bend(&f)
	return f
}

// forgetful is a world whose journal loses the wave in flight.
type forgetful struct{ Clusters }

func (b forgetful) ReadJournal(ctx context.Context, home string) (Journal, error) {
	j, err := b.Clusters.ReadJournal(ctx, home)
	j.InFlight = nil
	return j, err
}

// stubborn is a world whose roster forgets no statement.
type stubborn struct{ Clusters }

func (b stubborn) Write(ctx context.Context, p plan.Write, still func() error) (bool, error) {
	if p.Op == plan.OpUpdateStatus {
		return true, nil
	}
	return b.Clusters.Write(ctx, p, still)
}

// seeing makes a mutation of what is seen of each member.
func seeing(change func(*plan.State, *plan.Member)) mutation {
	return func(e *Executor) {
		e.Clusters = bent{e.Clusters, func(f *plan.State) {
			for i := range f.Members {
				change(f, &f.Members[i])
			}
		}}
	}
}

// deciding makes a mutation of what comes next.
func deciding(change func(plan.State, plan.Wave) plan.Wave) mutation {
	return func(e *Executor) {
		next := e.Provider.Next
		e.Provider.Next = func(f plan.State, g plan.Goal) plan.Wave { return change(f, next(f, g)) }
	}
}

// bendConditions has the conditions count as met that are chosen, of every step of the run.
func bendConditions(e *Executor, chosen func(plan.Condition) bool) {
	bend := func(s plan.Step) plan.Step {
		s.Conditions = slices.Clone(s.Conditions)
		for i, c := range s.Conditions {
			if chosen(c) {
				s.Conditions[i].Follow = nil
				s.Conditions[i].Met = func(_, _ plan.State) plan.Evaluation { return plan.Evaluation{Met: true} }
			}
		}
		return s
	}
	next, verify, fence := e.Provider.Next, e.Provider.Verify, e.Provider.InstallFence
	e.Provider.Next = func(f plan.State, g plan.Goal) plan.Wave {
		w := next(f, g)
		w.Steps = slices.Clone(w.Steps)
		for i := range w.Steps {
			w.Steps[i] = bend(w.Steps[i])
		}
		return w
	}
	e.Provider.Verify = func(f plan.State, m plan.Member, g plan.Goal) plan.Step { return bend(verify(f, m, g)) }
	e.Provider.InstallFence = func(f plan.State, m plan.Member, g plan.Goal) plan.Step { return bend(fence(f, m, g)) }
}

// Each of these rules is bent in turn, and the model must notice: somebody is refused, or what can be migrated is
// not, or does not go back. A model that lets one pass shows nothing about that rule. (That a withdrawing write is
// asked again on a fresh state is shown by TestMTLSIsTurnedOffOnWhatWasJustReadAlone: here no time passes between a
// look and a write.)
func TestTheModelCatchesEachBentRule(t *testing.T) {
	only := func(c guard.Cred) []guard.Cred { return []guard.Cred{c} }
	for name, mutate := range map[string]mutation{
		"unknown is taken for safe": seeing(func(f *plan.State, m *plan.Member) {
			if m.Err != "" {
				m.Err, m.Declared, m.Effective, m.Registered = "", state.JWT, state.JWT, true
				m.Evidence = guard.Member{Name: m.Name, Presents: only(state.JWT), Until: f.At.Add(time.Hour)}
				m.Statement = &plan.Statement{Presents: only(state.JWT), Observed: f.At, Until: f.At.Add(time.Hour), Rotated: true}
			}
		}),
		"only what is declared counts, not what runs": seeing(func(f *plan.State, m *plan.Member) {
			if m.Err == "" && m.Role == plan.RoleEdge {
				m.Evidence.Presents, m.Effective = only(m.Declared), m.Declared
				m.Statement = nil
				if m.Declared == state.JWT {
					m.Statement = &plan.Statement{Presents: only(state.JWT), Observed: f.At, Until: f.At.Add(time.Hour), Rotated: true}
				}
			}
		}),
		"MPC is no member": func(e *Executor) {
			e.Clusters = bent{e.Clusters, func(f *plan.State) {
				for i, m := range f.Members {
					if m.Role == plan.RoleMPC {
						f.Members = append(f.Members[:i:i], f.Members[i+1:]...)
						return
					}
				}
			}}
		},
		"every claim holds": func(e *Executor) {
			bendConditions(e, func(plan.Condition) bool { return true })
		},
		"what is declared is what Central runs with": func(e *Executor) {
			bendConditions(e, func(c plan.Condition) bool { return c.Member == "hub" })
		},
		"no token's rotation is waited for": func(e *Executor) {
			e.Goal.HastyCanary = true
			for _, m := range e.Observe(context.Background()).Members {
				e.Goal.Unrotated = append(e.Goal.Unrotated, m.Name)
			}
		},
		"a new certificate is not rehearsed": func(e *Executor) {
			e.Clusters = bent{e.Clusters, func(f *plan.State) {
				f.Hub.TrialIssuer = plan.Issuer{Object: plan.Ref{Name: "rehearsal"}, Ready: true}
				f.Hub.TrialCertificate = plan.Certificate{Where: "tsb/rehearsal", Chain: chains.good, Expires: f.At.Add(time.Hour)}
				if f.Hub.Accepts.Accepts == nil {
					f.Hub.TrialIssuer = plan.Issuer{}
				}
			}}
		},
		"a certificate is taken for one with every name": deciding(func(f plan.State, w plan.Wave) plan.Wave {
			for _, s := range w.Steps {
				if s.Kind == "rehearse" || s.Kind == "certify" || s.Kind == "restart" {
					g := f
					g.Hub.Server.Chain, g.Hub.Issuer.Names = chains.good, names([]string{dialled})
					for j := range g.Hub.Workload.Processes {
						g.Hub.Workload.Processes[j].Serves = &g.Hub.Server
					}
					for j := range g.Members {
						g.Members[j].Trust.OK, g.Members[j].Trust.Unnamed = true, false
					}
					return tsb.Provider().Next(g, plan.Goal{To: state.JWT})
				}
			}
			return w
		}),
		"what is stated is believed when the edge has gone back": func(e *Executor) {
			e.Clusters = stubborn{e.Clusters}
		},
		"a fence is in the way of the way back": func(e *Executor) {
			e.Provider.RemoveFence = func(plan.State, plan.Member) []plan.Write { return nil }
			e.Provider.Next = func(f plan.State, g plan.Goal) plan.Wave {
				w := tsb.Provider().Next(f, g)
				for i := range w.Steps {
					w.Steps[i].Writes = slices.DeleteFunc(w.Steps[i].Writes, func(p plan.Write) bool {
						return p.Op == plan.OpDelete &&
							p.Object.Name == plan.FenceName
					})
				}
				return w
			}
		},
		"the wave in flight is not restored": func(e *Executor) { e.Clusters = forgetful{e.Clusters} },
		"nothing is ever put back": deciding(func(_ plan.State, w plan.Wave) plan.Wave {
			for i := range w.Steps {
				w.Steps[i].NoUndo = true
			}
			return w
		}),
		"the clean-up comes before the end": deciding(func(f plan.State, w plan.Wave) plan.Wave {
			for _, m := range f.Members {
				if m.Declared == state.JWT && len(m.Leftovers) > 0 {
					l := m.Leftovers[0]
					return plan.Wave{Title: "too early", Steps: []plan.Step{{ID: "clean/" + m.Name, Member: m.Name, Irreversible: true,
						Writes: []plan.Write{{Context: l.Context, Object: l.Object, Op: plan.OpDelete}}}}}
				}
			}
			return w
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const tries = 1500
			for seed := range uint64(tries) {
				if why := caught(newWorld(seed+1), mutate); why != "" {
					t.Logf("caught by the fleet of seed %d: %s", seed+1, why)
					return
				}
			}
			t.Errorf("%d fleets did not notice", tries)
		})
	}
}

// caught says what is wrong with a story under a bent rule, "" when nothing is.
func caught(w *world, mutate mutation) string {
	last := w.story(plan.Goal{Cleanup: w.chance(4)}, mutate)
	switch {
	case len(w.refused) > 0:
		return w.refused[0]
	case w.left() != "":
		return w.left()
	case w.hopeless() == "" && !last.Done:
		return "the goal is not reached"
	case last.Done && w.migrated() != "":
		return "done, and " + w.migrated()
	}
	for _, e := range w.edges {
		if !e.cert {
			return ""
		}
	}
	w.strangers = false
	switch last = w.arrive(plan.Goal{RollbackTask: plan.RollbackTask{Back: true}}, mutate); {
	case len(w.refused) > 0:
		return "on the way back: " + w.refused[0]
	case !last.Done:
		return "it does not go back"
	case w.wentBack() != "":
		return "gone back, and " + w.wentBack()
	}
	return ""
}

// dying is a world in which the process dies when everything is stated and mTLS is still on.
type dying struct{ Clusters }

func (b dying) Publish(ctx context.Context, hub string, m plan.Member, st api.EdgeClusterStatus) error {
	err := b.Clusters.Publish(ctx, hub, m, st)
	if m.Role == plan.RoleMPC {
		panic(killed{})
	}
	return err
}

// Every edge is stated behind a fence, and the run that verified it has died: people who edit edges and people who edit
// the hub have all the time for which a statement is believed. Behind fences they never meet; behind fences that are
// only stored, and were believed unseen, they do.
func TestBehindFencesNobodyMeets(t *testing.T) {
	t.Parallel()
	tried, bad := 0, 0
	met := func(seed uint64, toothless bool) string {
		w := newWorld(seed)
		w.strangers, w.flippers, w.noFences, w.toothless, w.mpcPrefersMTLS, w.noHotReload, w.newCA, w.stuck = false, false,
			false, toothless, false, false, false, map[string]bool{}
		_, died := runOnce(w, plan.Goal{}, func(e *Executor) {
			e.Clusters, e.Goal.NoFence = dying{e.Clusters}, false
			bendConditions(e, func(c plan.Condition) bool { return c.Kind == "fenced" && toothless })
		})
		if !died || !w.behindFences() {
			return "" // an edge was out of reach, and the run ended early
		}
		tried++
		for range 30 {
			w.flippers = true
			w.tick()
		}
		w.strangers = true
		for range 100 {
			w.tick()
		}
		if len(w.refused) > 0 {
			return w.refused[0]
		}
		return ""
	}
	for seed := range uint64(200) {
		if why := met(seed+1, false); why != "" {
			t.Fatalf("seed %d: behind fences %s", seed+1, why)
		}
		if met(seed+1, true) != "" {
			bad++
		}
	}
	if bad == 0 || tried < 200 {
		t.Errorf("fences that are only stored were seen to hold nobody back %d times, of %d: this shows nothing", bad, tried)
	}
}
