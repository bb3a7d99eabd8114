package tsb

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// edge is a healthy member that presents cred and is set to it.
func edge(name string, c cred) plan.Member {
	return plan.Member{Name: name, ClusterName: name, Role: plan.RoleEdge, Context: name, Registered: true,
		Object:   plan.Ref{Resource: "controlplanes", Kind: "ControlPlane", Namespace: "istio-system", Name: "controlplane", UID: "uid-" + name},
		Declared: c, Effective: c, DeclaredFields: map[string]any{"centralAuthMode": map[cred]any{MTLS: "MUTUAL_TLS", JWT: "JWT"}[c]},
		Evidence:   guard.Member{Name: name, Presents: []cred{c}, Until: noon.Add(time.Minute)},
		Workload:   plan.Workload{Found: true, Replicas: 1, Settled: true},
		Credential: plan.Credential{State: plan.CredentialReady}, Trust: plan.Trust{OK: true}, Rotation: plan.Rotation{Seen: c == JWT, At: noon},
		OldCredential: plan.Certificate{Expires: noon.Add(time.Hour)}, Fence: plan.Fence{Unavailable: "its API server is too old"}}
}

// fenceable is an edge whose cluster can have a fence.
func fenceable(m plan.Member) plan.Member {
	m.Fence = plan.Fence{Policy: fencePolicyRef, Binding: fenceBindingRef}
	return m
}

// young is a proved edge whose session has not outlived its first token.
func young(name string) plan.Member {
	return with(proved(edge(name, JWT)), func(m *plan.Member) {
		m.Rotation, m.Statement.Rotated = plan.Rotation{At: noon.Add(time.Hour), Why: "its pods are young"}, false
	})
}

func proved(m plan.Member) plan.Member {
	m.Statement = &plan.Statement{Presents: []cred{JWT}, Observed: noon, Until: noon.Add(15 * time.Minute), Rotated: true}
	return m
}

func mpc(c cred) plan.Member {
	m := edge(mpcName, c)
	m.Role = plan.RoleMPC
	return m
}

func fleet(mtls, jwt guard.Tri, members ...plan.Member) plan.State {
	return plan.State{At: noon, Words: plan.Words{Hub: "management plane", Member: "edge"}, Members: members, Hub: plan.Hub{Found: true, Context: "hub",
		Object:  plan.Ref{Resource: "managementplanes", Kind: "ManagementPlane", Namespace: "tsb", Name: "managementplane"},
		Accepts: guard.Hub{Accepts: map[cred]guard.Tri{MTLS: mtls, JWT: jwt}, Basis: "now"}, VerifiedBasis: "now", Declared: map[string]any{"jwt": jwt == guard.Yes, "mutualTls": mtls == guard.Yes},
		Roster: plan.RosterState{Namespace: true, Kind: true}, Workload: plan.Workload{Found: true, Replicas: 1, Settled: true, RestartedFor: reconnectKey(plan.Member{})}}}
}

func with(m plan.Member, change func(*plan.Member)) plan.Member { change(&m); return m }

func changed(f plan.State, change func(*plan.State)) plan.State { change(&f); return f }

// said is a wave in short: the IDs of its steps, then what is blocked.
func said(w plan.Wave) string {
	var words []string
	for _, s := range w.Steps {
		words = append(words, s.ID)
	}
	for _, b := range w.Obstacles {
		words = append(words, "!"+b.Member)
	}
	return strings.Join(words, " ")
}

func TestNext(t *testing.T) {
	const on, off, unknown = guard.Yes, guard.No, guard.Unknown
	unreachable := plan.Member{Name: "edge-9", ClusterName: "edge-9", Role: plan.RoleEdge, Err: "the API server did not answer in time", Evidence: guard.Member{Name: "edge-9"}}
	stated := with(unreachable, func(m *plan.Member) {
		m.Evidence.Presents, m.Evidence.Until = []cred{JWT}, noon.Add(time.Minute)
		m.Statement = &plan.Statement{Presents: []cred{JWT}, Until: noon.Add(time.Minute), Rotated: true}
	})
	unrotated := with(stated, func(m *plan.Member) {
		m.Statement = &plan.Statement{Presents: []cred{JWT}, Until: noon.Add(time.Minute)}
	})
	static := with(young("edge-1"), func(m *plan.Member) { m.Rotation = plan.Rotation{Static: true, Why: "nobody renews it"} })
	expired := func(m *plan.Member) {
		m.Credential = plan.Credential{State: plan.CredentialBad, Why: "its token expired and nothing renewed it"}
	}
	blockedEdge := with(edge("edge-3", MTLS), func(m *plan.Member) { m.Obstacles = []string{"no token"} })
	for _, tc := range []struct {
		name  string
		facts plan.State
		want  string
	}{
		{"mtls alone: both modes on first", fleet(on, off, edge("edge-1", MTLS), mpc(MTLS)), "open"},
		{"unset: both modes on, explicitly", fleet(unknown, unknown, edge("edge-1", MTLS)), "open"},
		{"jwt alone and an edge still on mtls: accept it again", fleet(off, on, edge("edge-1", MTLS)), "open"},
		{"both on: the first edge by name is the canary", fleet(on, on, edge("edge-1", MTLS), edge("edge-2", MTLS), mpc(JWT)), "move/edge-1"},
		{"an edge set to JWT by hand is proved before any other moves", fleet(on, on, edge("edge-1", MTLS), edge("edge-2", JWT)), "prove/edge-2"},
		{"a proved edge is canary enough", fleet(on, on, proved(edge("edge-1", JWT)), edge("edge-2", MTLS), edge("edge-3", MTLS)), "move/edge-2 move/edge-3"},
		{"a proof that ran out is renewed", fleet(on, on, with(proved(edge("edge-1", JWT)), func(m *plan.Member) { m.Statement.Until = noon })), "prove/edge-1"},
		{"a proof that is about to run out is renewed", fleet(on, on, with(proved(edge("edge-1", JWT)), func(m *plan.Member) { m.Statement.Until = noon.Add(proofMargin) })), "prove/edge-1"},
		{"a statement is taken back once an old pod is back", fleet(on, on, with(proved(edge("edge-1", JWT)), func(m *plan.Member) { m.Evidence.Presents = []cred{JWT, MTLS} })), "void/edge-1"},
		{"a statement is taken back before its edge is moved again", fleet(on, on, proved(edge("edge-1", MTLS)), edge("edge-2", MTLS)), "void/edge-1"},
		{"the canary must outlive its first token before others move", fleet(on, on, young("edge-1"), edge("edge-2", MTLS)), "witness/edge-1"},
		{"one canary is enough", fleet(on, on, young("edge-1"), proved(edge("edge-2", JWT)), edge("edge-3", MTLS)), "move/edge-3"},
		{"every edge must, before mTLS goes off", fleet(on, on, young("edge-1"), proved(edge("edge-2", JWT)), young("edge-3"), proved(mpc(JWT))), "witness/edge-1 witness/edge-3"},
		{"a token that nobody renews keeps the others away", fleet(on, on, static, edge("edge-2", MTLS)), "!edge-1"},
		{"a token that nobody renews keeps the last step away", fleet(on, on, static, proved(mpc(JWT))), "!edge-1"},
		{"so does a statement of an edge whose rotation nobody saw", fleet(on, on, proved(edge("edge-1", JWT)), unrotated, proved(mpc(JWT))), "!edge-9"},
		{"all edges proved: MPC before the end", fleet(on, on, proved(edge("edge-1", JWT)), mpc(JWT)), "prove/mpc"},
		{"all proved: mTLS off", fleet(on, on, proved(edge("edge-1", JWT)), proved(mpc(JWT))), "close"},
		{"an edge that cannot move keeps the last step away, not the others", fleet(on, on, proved(edge("edge-1", JWT)), edge("edge-2", MTLS), blockedEdge), "move/edge-2 !edge-3"},
		{"nothing but a blocked edge is left", fleet(on, on, proved(edge("edge-1", JWT)), blockedEdge, proved(mpc(JWT))), "!edge-3"},
		{"an unreachable edge keeps the last step away", fleet(on, on, proved(edge("edge-1", JWT)), unreachable, proved(mpc(JWT))), "!edge-9"},
		{"an edge that its team has stated does not", fleet(on, on, proved(edge("edge-1", JWT)), stated, proved(mpc(JWT))), "close"},
		{"an edge that lives on its session alone, since its token expired, keeps the last step away", fleet(on, on, with(proved(edge("edge-1", JWT)), expired), proved(mpc(JWT))), "!edge-1"},
		{"and Central from being rolled out", changed(fleet(on, on, with(proved(edge("edge-1", JWT)), expired), edge("edge-2", MTLS)), func(f *plan.State) { f.Hub.Workload.RestartedFor = "" }), "!edge-1"},
		{"done", fleet(off, on, edge("edge-1", JWT), mpc(JWT)), ""},
		{"done, and proofs may have run out", fleet(off, on, with(proved(edge("edge-1", JWT)), func(m *plan.Member) { m.Statement.Until = noon })), ""},
		{"done, but an edge does not do as it is set: it is cut off, so accept it again", fleet(off, on, with(edge("edge-1", JWT), func(m *plan.Member) { m.Evidence.Presents = []cred{MTLS} })), "open"},
		{"done, but MPC presents a certificate", fleet(off, on, edge("edge-1", JWT), mpc(MTLS)), "!mpc"},
		{"a finished hub is not reopened for an edge of which nothing is known", fleet(off, on, edge("edge-1", JWT), unreachable), "!edge-9"},
		{"a statement that ran out says nothing", fleet(on, on, proved(edge("edge-1", JWT)), with(stated, func(m *plan.Member) { m.Evidence.Until = noon }), proved(mpc(JWT))), "!edge-9"},
		{"an entry of a re-created ControlPlane is renewed first", fleet(on, on, with(edge("edge-1", JWT), func(m *plan.Member) { m.EntryStale = true })), "register"},
		{"no members at all: nobody keeps mTLS", fleet(on, on), "close"},
		{"an unregistered member is listed first", fleet(on, off, with(edge("edge-1", MTLS), func(m *plan.Member) { m.Registered = false })), "register"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if d := cmp.Diff(tc.want, said(nextWave(tc.facts, plan.Goal{To: JWT}))); d != "" {
				t.Errorf("next wave (-want +got):\n%s", d)
			}
		})
	}

	t.Run("a hub that is kept by somebody else", func(t *testing.T) {
		f := fleet(on, on, edge("edge-1", MTLS))
		f.Hub.Owner = "Argo CD (tsb)"
		if w := nextWave(f, plan.Goal{}); said(w) != "!hub" || !strings.Contains(w.Obstacles[0].Why, "kept by Argo CD (tsb)") {
			t.Errorf("%+v", w)
		}
	})
	t.Run("a hub that is written strangely", func(t *testing.T) {
		f := fleet(on, on, edge("edge-1", MTLS))
		f.Hub.Anomalies = []string{"x is 1: not a boolean"}
		if w := nextWave(f, plan.Goal{}); said(w) != "!hub" {
			t.Errorf("%+v", w)
		}
	})
	t.Run("an unreachable context may hold an edge", func(t *testing.T) {
		f := fleet(on, on, proved(edge("edge-1", JWT)), proved(mpc(JWT)))
		f.Others = []plan.OtherContext{{Context: "edge-2", State: "unreachable", Why: "timed out"}}
		if w := nextWave(f, plan.Goal{}); said(w) != "!context edge-2" {
			t.Errorf("%+v", w)
		}
	})
	t.Run("a finished hub is not reopened for a context that cannot be looked at", func(t *testing.T) {
		f := fleet(off, on, edge("edge-1", JWT), mpc(JWT))
		f.Others = []plan.OtherContext{{Context: "kind-laptop", State: "unreachable", Why: "timed out"}}
		if w := nextWave(f, plan.Goal{}); said(w) != "!context kind-laptop" {
			t.Errorf("%+v", w)
		}
	})
	t.Run("an inventory that cannot be read may hold an edge", func(t *testing.T) {
		f := fleet(on, on, proved(edge("edge-1", JWT)), proved(mpc(JWT)))
		f.Hub.InventoryErr = "forbidden"
		if w := nextWave(f, plan.Goal{}); said(w) != "!hub" {
			t.Errorf("%+v", w)
		}
	})
	t.Run("both modes are declared, and Central is older than that", func(t *testing.T) {
		f := fleet(on, on, edge("edge-1", MTLS))
		f.Hub.VerifiedBasis, f.Hub.Since = "", noon
		f.Hub.Workload = plan.Workload{Found: true, Settled: true, Processes: []plan.Process{{UID: "a", Ready: true, Created: noon}}}
		if w := nextWave(f, plan.Goal{}); said(w) != "prove/hub" {
			t.Errorf("%+v", w)
		}
		f.Hub.Workload.Processes[0].Created = noon.Add(time.Second)
		if w := nextWave(f, plan.Goal{}); said(w) != "move/edge-1" {
			t.Errorf("%+v", w)
		}
	})
	t.Run("the canary must connect again before others move", func(t *testing.T) {
		f := fleet(on, on, proved(edge("edge-1", JWT)), edge("edge-2", MTLS))
		f.Hub.Workload.RestartedFor = ""
		if w := nextWave(f, plan.Goal{To: JWT}); said(w) != "redial/edge-1" || len(w.Steps[0].Undo) != 1 {
			t.Errorf("%+v", w)
		}
		if w := nextWave(f, plan.Goal{To: JWT, HastyCanary: true}); said(w) != "move/edge-2" {
			t.Errorf("%+v", w)
		}
		f.Hub.Workload.RestartedFor = reconnectKey(plan.Member{})
		f.Hub.Workload.Processes = []plan.Process{{UID: "a", Created: noon}}
		if w := nextWave(f, plan.Goal{To: JWT}); said(w) != "redial/edge-1" {
			t.Errorf("not proved since Central's pods were started: %+v", w)
		}
		f.Hub.Workload.Processes[0].Created = noon.Add(-time.Second)
		if w := nextWave(f, plan.Goal{To: JWT}); said(w) != "move/edge-2" {
			t.Errorf("%+v", w)
		}
	})
	t.Run("an edge connects again before mTLS goes off", func(t *testing.T) {
		f := fleet(on, on, proved(edge("edge-1", JWT)), proved(mpc(JWT)))
		f.Hub.Workload.RestartedFor = ""
		if w := nextWave(f, plan.Goal{To: JWT}); said(w) != "redial/edge-1" {
			t.Errorf("%+v", w)
		}
	})
	t.Run("the named canary goes first", func(t *testing.T) {
		f := fleet(on, on, edge("edge-1", MTLS), edge("edge-2", MTLS))
		if w := nextWave(f, plan.Goal{Canary: "edge-2"}); said(w) != "move/edge-2" {
			t.Errorf("%+v", w)
		}
		if w := nextWave(f, plan.Goal{Canary: "edge-7"}); said(w) != "!edge-7" {
			t.Errorf("%+v", w)
		}
	})
	t.Run("a canary that cannot go says why", func(t *testing.T) {
		blind := with(edge("edge-3", MTLS), func(m *plan.Member) { m.Err = "did not answer" })
		f := fleet(on, on, edge("edge-1", MTLS), edge("edge-2", MTLS), blind, mpc(JWT))
		for canary, why := range map[string]string{
			"edge-7": `no edge is called "edge-7", which is named as the canary; kubectl xcpauth status lists them`,
			"edge-3": "it is named as the canary, but it cannot be moved now: did not answer",
			mpcName:  "it is named as the canary, and it is no edge",
		} {
			w := nextWave(f, plan.Goal{Canary: canary})
			last := w.Obstacles[len(w.Obstacles)-1]
			if want := why + "; name one that can be moved with --canary: edge-1, edge-2"; last.Member != canary || last.Why != want {
				t.Errorf("%+v, want %q", last, want)
			}
		}
	})
}

func TestTheGoalSaysHowFarAndHowCarefully(t *testing.T) {
	const on, off = guard.Yes, guard.No
	static := with(young("edge-1"), func(m *plan.Member) { m.Rotation = plan.Rotation{Static: true, Why: "nobody renews it"} })
	lacks := with(edge("edge-1", MTLS), func(m *plan.Member) {
		m.Credential = plan.Credential{State: plan.CredentialMissing, Why: "no token", MissingSecrets: []string{secretToken}}
	})
	byHand := with(edge("edge-1", JWT), func(m *plan.Member) {
		m.Credential = lacks.Credential
		m.Workload.Processes = []plan.Process{{Name: "a", Presents: JWT, Waiting: "ContainerCreating"}}
	})
	deleted := with(byHand, func(m *plan.Member) { m.Workload.Processes = []plan.Process{{Name: "a", Presents: JWT, Started: true}} })
	paused := with(edge("edge-1", MTLS), func(m *plan.Member) {
		m.Workload.Paused = true
		m.Obstacles = blocked(*m)
	})
	halted := func(f plan.State) plan.State { return changed(f, func(f *plan.State) { f.Hub.Workload.Paused = true }) }
	fresh := fleet(on, on, edge("edge-1", MTLS), edge("edge-2", MTLS))
	moved := fleet(on, on, proved(edge("edge-1", JWT)), edge("edge-2", MTLS), edge("edge-3", MTLS), edge("edge-4", MTLS))
	for _, tc := range []struct {
		name  string
		facts plan.State
		goal  plan.Goal
		want  string
	}{
		{"dual ends with both modes on", fresh, plan.Goal{Stage: plan.Dual}, ""},
		{"dual opens a hub on which no edge is left to move", fleet(off, on, edge("edge-1", MTLS)), plan.Goal{Stage: plan.Dual}, "open"},
		{"edges moves edges", fresh, plan.Goal{Stage: plan.Edges}, "move/edge-1"},
		{"edges ends before mTLS off", fleet(on, on, proved(edge("edge-1", JWT)), mpc(JWT)), plan.Goal{Stage: plan.Edges}, ""},
		{"a wave has a size", moved, plan.Goal{WaveSize: 2}, "move/edge-2 move/edge-3"},
		{"a wave may be smaller than its size", moved, plan.Goal{WaveSize: 7}, "move/edge-2 move/edge-3 move/edge-4"},
		{"a hasty canary is not waited for", fleet(on, on, young("edge-1"), edge("edge-2", MTLS)), plan.Goal{HastyCanary: true}, "move/edge-2"},
		{"a rotation that would take too long is not waited for", fleet(on, on, young("edge-1"), proved(mpc(JWT))), plan.Goal{RotationWithin: time.Minute}, "!edge-1"},
		{"an expiry that is accepted is", fleet(on, on, static, proved(mpc(JWT))), plan.Goal{Unrotated: []string{"edge-1"}}, "close"},
		{"who failed in this run is left", moved, plan.Goal{Skip: []plan.Obstacle{{Member: "edge-2", Why: "not proved"}}}, "move/edge-3 move/edge-4 !edge-2"},
		{"without a credential an edge is blocked", fleet(on, on, lacks), plan.Goal{}, "!edge-1"},
		{"unless one is supplied", fleet(on, on, lacks), plan.Goal{Supplied: "tctl"}, "provide/edge-1"},
		{"an edge that was set to JWT without a token is blocked, and not waited for", fleet(on, on, byHand), plan.Goal{}, "!edge-1"},
		{"it keeps no other from being moved", fleet(on, on, byHand, edge("edge-2", MTLS)), plan.Goal{}, "move/edge-2 !edge-1"},
		{"it is supplied like any other", fleet(on, on, byHand), plan.Goal{Supplied: "tctl"}, "provide/edge-1"},
		{"one whose pods run with a token that was deleted since is proved", fleet(on, on, deleted), plan.Goal{}, "prove/edge-1"},
		{"an edge whose rollout is paused is blocked", fleet(on, on, paused, edge("edge-2", MTLS)), plan.Goal{}, "move/edge-2 !edge-1"},
		{"a hub whose rollout is paused is not changed", halted(fleet(off, on, edge("edge-1", MTLS))), plan.Goal{}, "!hub"},
		{"it keeps no edge from being moved", halted(fresh), plan.Goal{}, "move/edge-1"},
		{"nothing is to be done where all is done", halted(fleet(off, on, proved(edge("edge-1", JWT)), proved(mpc(JWT)))), plan.Goal{}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.goal.To = JWT
			if d := cmp.Diff(tc.want, said(Provider().Next(tc.facts, tc.goal))); d != "" {
				t.Errorf("next wave (-want +got):\n%s", d)
			}
		})
	}
}

// A cluster that cannot be called by its own name says how it is called, and so does who looks for it by that name.
func TestAClusterThatIsCalledOtherwiseSaysSo(t *testing.T) {
	f := fleet(guard.Yes, guard.Yes, with(edge("standby-eu", MTLS), func(m *plan.Member) {
		m.ClusterName, m.Renamed = "standby", renamed("standby", 1)
	}))
	want := `no edge is called "standby": cluster standby is called standby-eu here, since management planes are called hub and standby`
	if got := f.UnknownMember("standby"); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if got, want := f.UnknownMember("eu"), `no edge is called "eu"; the edges are: standby-eu`; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	for cluster, n := range map[string]int{"eu": 1} {
		if why := renamed(cluster, n); why != "" {
			t.Errorf("%s is renamed: %s", cluster, why)
		}
	}
	for cluster, n := range map[string]int{"eu": 2, "": 1, "hub": 1, mpcName: 1} {
		if renamed(cluster, n) == "" {
			t.Errorf("%q, claimed %d times, keeps its name", cluster, n)
		}
	}
}

// The last step of a plan is never reached while any member may present a certificate, whatever the fleet looks like.
func TestNextNeverClosesOnAMemberThatMayPresentACertificate(t *testing.T) {
	states := []plan.Member{edge("x", MTLS), edge("x", JWT), proved(edge("x", JWT)),
		with(proved(edge("x", JWT)), func(m *plan.Member) { m.Evidence.Presents = []cred{JWT, MTLS} }),
		with(proved(edge("x", JWT)), func(m *plan.Member) { m.Evidence.Presents = nil }),
		with(proved(edge("x", JWT)), func(m *plan.Member) { m.Declared = MTLS }),
		with(edge("x", MTLS), func(m *plan.Member) { m.Obstacles = []string{"no"} }),
		{Role: plan.RoleEdge, Err: "unreachable"},
	}
	modes := []guard.Tri{guard.Unknown, guard.No, guard.Yes}
	for i, a := range states {
		for j, b := range states {
			for _, m := range []plan.Member{mpc(MTLS), mpc(JWT), proved(mpc(JWT)), with(proved(mpc(JWT)), func(m *plan.Member) { m.Evidence.Presents = []cred{MTLS} })} {
				for _, mtls := range modes {
					for _, jwt := range modes {
						a.Name, b.Name = "edge-a", "edge-b"
						f := fleet(mtls, jwt, a, b, m)
						for _, s := range nextWave(f, plan.Goal{To: JWT}).Steps {
							if s.Withdraws == nil {
								continue
							}
							if blockers := guard.Withdraw(f.Hub.Accepts, *s.Withdraws, f.GuardMembers(), noon); len(blockers) > 0 {
								t.Fatalf("case %d %d %v %v: the plan withdraws what is presented: %v", i, j, mtls, jwt, blockers)
							}
						}
					}
				}
			}
		}
	}
}

func TestUnfoldArrives(t *testing.T) {
	f := fleet(guard.Yes, guard.No, fenceable(edge("edge-1", MTLS)), edge("edge-2", MTLS), fenceable(edge("edge-3", JWT)), mpc(MTLS))
	f.Hub.Roster = plan.RosterState{}
	var waves []string
	p := plan.Build(Provider(), f, plan.Goal{To: JWT})
	for _, w := range p.Waves {
		waves = append(waves, said(w))
	}
	want := []string{"register", "open", "prove/edge-3", "witness/edge-3", "move/edge-1 move/edge-2", "witness/edge-1 witness/edge-2", "fence/edge-1 fence/edge-3", "prove/mpc", "close"}
	if d := cmp.Diff(want, waves); d != "" || len(p.Obstacles) > 0 {
		t.Errorf("waves (-want +got):\n%s\nblocked %v", d, p.Obstacles)
	}
	if p.Changes() != 7 {
		t.Errorf("%d changes, want 7", p.Changes())
	}
}

func BenchmarkUnfold(b *testing.B) {
	var members []plan.Member
	for i := range 1000 {
		members = append(members, edge(fmt.Sprintf("edge-%04d", i), MTLS))
	}
	f := fleet(guard.Yes, guard.No, members...)
	d := Provider()
	b.ReportAllocs()
	for b.Loop() {
		plan.Build(d, f, plan.Goal{To: JWT})
	}
}
