package migration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbfleet"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbobjects"
)

func TestNext(t *testing.T) {
	const on, off, unknown = guard.Yes, guard.No, guard.Unknown
	unreachable := plan.Member{Identity: plan.Identity{Name: "edge-9", ClusterName: "edge-9", Role: plan.RoleEdge,
		Err: "the API server did not answer in time"}, Evidence: guard.Member{Name: "edge-9"}}
	stated := tsbfleet.With(unreachable, func(m *plan.Member) {
		m.Evidence.Presents, m.Evidence.Until = []guard.Cred{state.JWT}, tsbobjects.Noon.Add(time.Minute)
		m.Statement = &plan.Statement{Presents: []guard.Cred{state.JWT}, Until: tsbobjects.Noon.Add(time.Minute),
			Rotated: true}
	})
	unrotated := tsbfleet.With(stated, func(m *plan.Member) {
		m.Statement = &plan.Statement{Presents: []guard.Cred{state.JWT}, Until: tsbobjects.Noon.Add(time.Minute)}
	})
	static := tsbfleet.With(tsbfleet.Young("edge-1"), func(m *plan.Member) {
		m.Rotation = plan.Rotation{Static: true,
			Why: "nobody renews it"}
	})
	expired := func(m *plan.Member) {
		m.Credential = plan.Credential{State: plan.CredentialBad, Why: "its token expired and nothing renewed it"}
	}
	blockedEdge := tsbfleet.With(tsbfleet.Edge("edge-3", state.MTLS),
		func(m *plan.Member) { m.Obstacles = []string{"no token"} })
	for _, tc := range []struct {
		name  string
		facts plan.State
		want  string
	}{
		{"mtls alone: both modes on first", tsbfleet.Fleet(on, off, tsbfleet.Edge("edge-1", state.MTLS),
			tsbfleet.Mpc(state.MTLS)), "open"},
		{"unset: both modes on, explicitly", tsbfleet.Fleet(unknown, unknown, tsbfleet.Edge("edge-1", state.MTLS)), "open"},
		{"jwt alone and an edge still on mtls: accept it again", tsbfleet.Fleet(off, on, tsbfleet.Edge("edge-1", state.MTLS)),
			"open"},
		{"both on: the first edge by name is the canary", tsbfleet.Fleet(on, on, tsbfleet.Edge("edge-1", state.MTLS),
			tsbfleet.Edge("edge-2", state.MTLS), tsbfleet.Mpc(state.JWT)), "move/edge-1"},
		{"an edge set to JWT by hand is verified before any other moves", tsbfleet.Fleet(on, on,
			tsbfleet.Edge("edge-1", state.MTLS), tsbfleet.Edge("edge-2", state.JWT)), "prove/edge-2"},
		{"a verified edge is canary enough", tsbfleet.Fleet(on, on, tsbfleet.Verified(tsbfleet.Edge("edge-1", state.JWT)),
			tsbfleet.Edge("edge-2", state.MTLS), tsbfleet.Edge("edge-3", state.MTLS)), "move/edge-2 move/edge-3"},
		{"a proof that ran out is renewed", tsbfleet.Fleet(on, on, tsbfleet.With(tsbfleet.Verified(tsbfleet.Edge("edge-1",
			state.JWT)), func(m *plan.Member) { m.Statement.Until = tsbobjects.Noon })), "prove/edge-1"},
		{"a proof that is about to run out is renewed", tsbfleet.Fleet(on, on,
			tsbfleet.With(tsbfleet.Verified(tsbfleet.Edge("edge-1", state.JWT)),
				func(m *plan.Member) { m.Statement.Until = tsbobjects.Noon.Add(proofMargin) })), "prove/edge-1"},
		{"a statement is taken back once an old pod is back", tsbfleet.Fleet(on, on,
			tsbfleet.With(tsbfleet.Verified(tsbfleet.Edge("edge-1", state.JWT)),
				func(m *plan.Member) { m.Evidence.Presents = []guard.Cred{state.JWT, state.MTLS} })), "void/edge-1"},
		{"a statement is taken back before its edge is moved again", tsbfleet.Fleet(on, on,
			tsbfleet.Verified(tsbfleet.Edge("edge-1", state.MTLS)), tsbfleet.Edge("edge-2", state.MTLS)), "void/edge-1"},
		{"the canary must outlive its first token before others move", tsbfleet.Fleet(on, on, tsbfleet.Young("edge-1"),
			tsbfleet.Edge("edge-2", state.MTLS)), "witness/edge-1"},
		{"one canary is enough", tsbfleet.Fleet(on, on, tsbfleet.Young("edge-1"),
			tsbfleet.Verified(tsbfleet.Edge("edge-2", state.JWT)), tsbfleet.Edge("edge-3", state.MTLS)), "move/edge-3"},
		{"every edge must, before mTLS goes off", tsbfleet.Fleet(on, on, tsbfleet.Young("edge-1"),
			tsbfleet.Verified(tsbfleet.Edge("edge-2", state.JWT)), tsbfleet.Young("edge-3"),
			tsbfleet.Verified(tsbfleet.Mpc(state.JWT))), "witness/edge-1 witness/edge-3"},
		{"a token that nobody renews keeps the others away", tsbfleet.Fleet(on, on, static,
			tsbfleet.Edge("edge-2", state.MTLS)), "!edge-1"},
		{"a token that nobody renews keeps the last step away", tsbfleet.Fleet(on, on, static,
			tsbfleet.Verified(tsbfleet.Mpc(state.JWT))), "!edge-1"},
		{"so does a statement of an edge whose rotation nobody saw", tsbfleet.Fleet(on, on,
			tsbfleet.Verified(tsbfleet.Edge("edge-1", state.JWT)), unrotated, tsbfleet.Verified(tsbfleet.Mpc(state.JWT))),
			"!edge-9"},
		{"all edges verified: MPC before the end", tsbfleet.Fleet(on, on, tsbfleet.Verified(tsbfleet.Edge("edge-1",
			state.JWT)),
			tsbfleet.Mpc(state.JWT)), "prove/mpc"},
		{"all verified: mTLS off", tsbfleet.Fleet(on, on, tsbfleet.Verified(tsbfleet.Edge("edge-1", state.JWT)),
			tsbfleet.Verified(tsbfleet.Mpc(state.JWT))), "close"},
		{"an edge that cannot move keeps the last step away, not the others",
			tsbfleet.Fleet(on, on, tsbfleet.Verified(tsbfleet.Edge("edge-1", state.JWT)), tsbfleet.Edge("edge-2", state.MTLS),
				blockedEdge), "move/edge-2 !edge-3"},
		{"nothing but a blocked edge is left", tsbfleet.Fleet(on, on, tsbfleet.Verified(tsbfleet.Edge("edge-1", state.JWT)),
			blockedEdge, tsbfleet.Verified(tsbfleet.Mpc(state.JWT))), "!edge-3"},
		{"an unreachable edge keeps the last step away", tsbfleet.Fleet(on, on,
			tsbfleet.Verified(tsbfleet.Edge("edge-1", state.JWT)), unreachable, tsbfleet.Verified(tsbfleet.Mpc(state.JWT))),
			"!edge-9"},
		{"an edge that its team has stated does not", tsbfleet.Fleet(on, on,
			tsbfleet.Verified(tsbfleet.Edge("edge-1", state.JWT)), stated, tsbfleet.Verified(tsbfleet.Mpc(state.JWT))), "close"},
		{"an edge that lives on its session alone, since its token expired, keeps the last step away",
			tsbfleet.Fleet(on, on, tsbfleet.With(tsbfleet.Verified(tsbfleet.Edge("edge-1", state.JWT)), expired),
				tsbfleet.Verified(tsbfleet.Mpc(state.JWT))), "!edge-1"},
		{"and Central from being rolled out", tsbfleet.Changed(tsbfleet.Fleet(on, on,
			tsbfleet.With(tsbfleet.Verified(tsbfleet.Edge("edge-1", state.JWT)), expired), tsbfleet.Edge("edge-2", state.MTLS)),
			func(f *plan.State) { f.Hub.Workload.RestartedFor = "" }), "!edge-1"},
		{"done", tsbfleet.Fleet(off, on, tsbfleet.Edge("edge-1", state.JWT), tsbfleet.Mpc(state.JWT)), ""},
		{"done, and proofs may have run out", tsbfleet.Fleet(off, on, tsbfleet.With(tsbfleet.Verified(tsbfleet.Edge("edge-1",
			state.JWT)), func(m *plan.Member) { m.Statement.Until = tsbobjects.Noon })), ""},
		{"done, but an edge does not do as it is set: it is cut off, so accept it again",
			tsbfleet.Fleet(off, on, tsbfleet.With(tsbfleet.Edge("edge-1", state.JWT),
				func(m *plan.Member) { m.Evidence.Presents = []guard.Cred{state.MTLS} })), "open"},
		{"done, but MPC presents a certificate", tsbfleet.Fleet(off, on, tsbfleet.Edge("edge-1", state.JWT),
			tsbfleet.Mpc(state.MTLS)), "!mpc"},
		{"a finished hub is not reopened for an edge of which nothing is known",
			tsbfleet.Fleet(off, on, tsbfleet.Edge("edge-1", state.JWT), unreachable), "!edge-9"},
		{"a statement that ran out says nothing", tsbfleet.Fleet(on, on, tsbfleet.Verified(tsbfleet.Edge("edge-1",
			state.JWT)),
			tsbfleet.With(stated, func(m *plan.Member) { m.Evidence.Until = tsbobjects.Noon }),
			tsbfleet.Verified(tsbfleet.Mpc(state.JWT))), "!edge-9"},
		{"an entry of a re-created ControlPlane is renewed first", tsbfleet.Fleet(on, on,
			tsbfleet.With(tsbfleet.Edge("edge-1", state.JWT), func(m *plan.Member) { m.EntryStale = true })), "register"},
		{"no members at all: nobody keeps mTLS", tsbfleet.Fleet(on, on), "close"},
		{"an unregistered member is listed first", tsbfleet.Fleet(on, off, tsbfleet.With(tsbfleet.Edge("edge-1", state.MTLS),
			func(m *plan.Member) { m.Registered = false })), "register"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if d := cmp.Diff(tc.want, tsbfleet.Said(nextWave(tc.facts, plan.Goal{To: state.JWT}))); d != "" {
				t.Errorf("next wave (-want +got):\n%s", d)
			}
		})
	}

	t.Run("a hub that is kept by somebody else is not written, and what comes after waits", func(t *testing.T) {
		f := tsbfleet.Fleet(guard.No, on, tsbfleet.Edge("edge-1", state.MTLS))
		f.Hub.Owner = "Argo CD (tsb)"
		if w := nextWave(f, plan.Goal{}); tsbfleet.Said(w) != "!hub" || !strings.Contains(w.Obstacles[0].Why,
			"kept by Argo CD (tsb)") {
			t.Errorf("%+v", w)
		}
	})
	t.Run("an edge that something else sets gets the CA that it lacks, in time", func(t *testing.T) {
		f := tsbfleet.Fleet(on, on, tsbfleet.With(tsbfleet.Edge("edge-1", state.MTLS), func(m *plan.Member) {
			m.Owner, m.Trust = "Flux (app)", plan.Trust{OK: true, Absent: true, CA: []byte("ca")}
		}))
		w := nextWave(f, plan.Goal{Pace: plan.Pace{Within: time.Minute}})
		if tsbfleet.Said(w) != "prepare/edge-1 !edge-1" || len(w.Steps) != 1 || w.Steps[0].Timeout != time.Minute {
			t.Errorf("%s: %+v", tsbfleet.Said(w), w)
		}
	})
	t.Run("once it accepts both, the edges are switched", func(t *testing.T) {
		f := tsbfleet.Fleet(on, on, tsbfleet.Edge("edge-1", state.MTLS))
		f.Hub.Owner = "Argo CD (tsb)"
		if w := nextWave(f, plan.Goal{}); tsbfleet.Said(w) != "move/edge-1" {
			t.Errorf("%s: %+v", tsbfleet.Said(w), w)
		}
	})
	t.Run("a hub that is written strangely", func(t *testing.T) {
		f := tsbfleet.Fleet(on, on, tsbfleet.Edge("edge-1", state.MTLS))
		f.Hub.Anomalies = []string{"x is 1: not a boolean"}
		if w := nextWave(f, plan.Goal{}); tsbfleet.Said(w) != "!hub" {
			t.Errorf("%+v", w)
		}
	})
	t.Run("an unreachable context may hold an edge", func(t *testing.T) {
		f := tsbfleet.Fleet(on, on, tsbfleet.Verified(tsbfleet.Edge("edge-1", state.JWT)),
			tsbfleet.Verified(tsbfleet.Mpc(state.JWT)))
		f.Others = []plan.OtherContext{{Context: "edge-2", State: "unreachable", Why: "timed out"}}
		if w := nextWave(f, plan.Goal{}); tsbfleet.Said(w) != "!context edge-2" {
			t.Errorf("%+v", w)
		}
	})
	t.Run("a finished hub is not reopened for a context that cannot be looked at", func(t *testing.T) {
		f := tsbfleet.Fleet(off, on, tsbfleet.Edge("edge-1", state.JWT), tsbfleet.Mpc(state.JWT))
		f.Others = []plan.OtherContext{{Context: "kind-laptop", State: "unreachable", Why: "timed out"}}
		if w := nextWave(f, plan.Goal{}); tsbfleet.Said(w) != "!context kind-laptop" {
			t.Errorf("%+v", w)
		}
	})
	t.Run("an inventory that cannot be read may hold an edge", func(t *testing.T) {
		f := tsbfleet.Fleet(on, on, tsbfleet.Verified(tsbfleet.Edge("edge-1", state.JWT)),
			tsbfleet.Verified(tsbfleet.Mpc(state.JWT)))
		f.Hub.InventoryErr = "forbidden"
		if w := nextWave(f, plan.Goal{}); tsbfleet.Said(w) != "!hub" {
			t.Errorf("%+v", w)
		}
	})
	t.Run("both modes are declared, and Central is older than that", func(t *testing.T) {
		f := tsbfleet.Fleet(on, on, tsbfleet.Edge("edge-1", state.MTLS))
		f.Hub.VerifiedBasis, f.Hub.Since = "", tsbobjects.Noon
		f.Hub.Workload = plan.Workload{Found: true, Settled: true, Processes: []plan.Process{{UID: "a", Ready: true,
			Created: tsbobjects.Noon}}}
		if w := nextWave(f, plan.Goal{}); tsbfleet.Said(w) != "prove/hub" {
			t.Errorf("%+v", w)
		}
		f.Hub.Workload.Processes[0].Created = tsbobjects.Noon.Add(time.Second)
		if w := nextWave(f, plan.Goal{}); tsbfleet.Said(w) != "move/edge-1" {
			t.Errorf("%+v", w)
		}
	})
	t.Run("the canary must connect again before others move", func(t *testing.T) {
		f := tsbfleet.Fleet(on, on, tsbfleet.Verified(tsbfleet.Edge("edge-1", state.JWT)),
			tsbfleet.Edge("edge-2", state.MTLS))
		f.Hub.Workload.RestartedFor = ""
		if w := nextWave(f, plan.Goal{To: state.JWT}); tsbfleet.Said(w) != "redial/edge-1" || len(w.Steps[0].Undo) != 1 {
			t.Errorf("%+v", w)
		}
		if w := nextWave(f, plan.Goal{To: state.JWT, Pace: plan.Pace{HastyCanary: true}}); tsbfleet.Said(w) != "move/edge-2" {
			t.Errorf("%+v", w)
		}
		f.Hub.Workload.RestartedFor = reconnectKey(plan.Member{})
		f.Hub.Workload.Processes = []plan.Process{{UID: "a", Created: tsbobjects.Noon}}
		if w := nextWave(f, plan.Goal{To: state.JWT}); tsbfleet.Said(w) != "redial/edge-1" {
			t.Errorf("not verified since Central's pods were started: %+v", w)
		}
		f.Hub.Workload.Processes[0].Created = tsbobjects.Noon.Add(-time.Second)
		if w := nextWave(f, plan.Goal{To: state.JWT}); tsbfleet.Said(w) != "move/edge-2" {
			t.Errorf("%+v", w)
		}
	})
	t.Run("an edge connects again before mTLS goes off", func(t *testing.T) {
		f := tsbfleet.Fleet(on, on, tsbfleet.Verified(tsbfleet.Edge("edge-1", state.JWT)),
			tsbfleet.Verified(tsbfleet.Mpc(state.JWT)))
		f.Hub.Workload.RestartedFor = ""
		if w := nextWave(f, plan.Goal{To: state.JWT}); tsbfleet.Said(w) != "redial/edge-1" {
			t.Errorf("%+v", w)
		}
	})
	t.Run("the named canary goes first", func(t *testing.T) {
		f := tsbfleet.Fleet(on, on, tsbfleet.Edge("edge-1", state.MTLS), tsbfleet.Edge("edge-2", state.MTLS))
		if w := nextWave(f, plan.Goal{Pace: plan.Pace{Canary: "edge-2"}}); tsbfleet.Said(w) != "move/edge-2" {
			t.Errorf("%+v", w)
		}
		if w := nextWave(f, plan.Goal{Pace: plan.Pace{Canary: "edge-7"}}); tsbfleet.Said(w) != "!edge-7" {
			t.Errorf("%+v", w)
		}
	})
	t.Run("a canary that cannot go says why", func(t *testing.T) {
		blind := tsbfleet.With(tsbfleet.Edge("edge-3", state.MTLS), func(m *plan.Member) { m.Err = "did not answer" })
		f := tsbfleet.Fleet(on, on, tsbfleet.Edge("edge-1", state.MTLS), tsbfleet.Edge("edge-2", state.MTLS), blind,
			tsbfleet.Mpc(state.JWT))
		for canary, why := range map[string]string{
			"edge-7":      `no edge is called "edge-7", which is named as the canary; kubectl xcpauth status lists them`,
			"edge-3":      "it is named as the canary, but it cannot be moved now: did not answer",
			state.MPCName: "it is named as the canary, and it is no edge",
		} {
			w := nextWave(f, plan.Goal{Pace: plan.Pace{Canary: canary}})
			last := w.Obstacles[len(w.Obstacles)-1]
			if want := why + "; name one that can be moved with --canary: edge-1, edge-2"; last.Member != canary ||
				last.Why != want {
				t.Errorf("%+v, want %q", last, want)
			}
		}
	})
}

func TestTheGoalSaysHowFarAndHowCarefully(t *testing.T) {
	const on, off = guard.Yes, guard.No
	static := tsbfleet.With(tsbfleet.Young("edge-1"), func(m *plan.Member) {
		m.Rotation = plan.Rotation{Static: true,
			Why: "nobody renews it"}
	})
	lacks := tsbfleet.With(tsbfleet.Edge("edge-1", state.MTLS), func(m *plan.Member) {
		m.Credential = plan.Credential{State: plan.CredentialMissing, Why: "no token",
			MissingSecrets: []string{state.SecretToken}}
	})
	byHand := tsbfleet.With(tsbfleet.Edge("edge-1", state.JWT), func(m *plan.Member) {
		m.Credential = lacks.Credential
		m.Workload.Processes = []plan.Process{{Name: "a", Presents: state.JWT, Waiting: "ContainerCreating"}}
	})
	deleted := tsbfleet.With(byHand, func(m *plan.Member) {
		m.Workload.Processes = []plan.Process{{Name: "a", Presents: state.JWT, Started: true}}
	})
	paused := tsbfleet.With(tsbfleet.Edge("edge-1", state.MTLS), func(m *plan.Member) {
		m.Workload.Paused = true
		m.Obstacles = state.Blocked(*m)
	})
	halted := func(f plan.State) plan.State {
		return tsbfleet.Changed(f, func(f *plan.State) { f.Hub.Workload.Paused = true })
	}
	fresh := tsbfleet.Fleet(on, on, tsbfleet.Edge("edge-1", state.MTLS), tsbfleet.Edge("edge-2", state.MTLS))
	moved := tsbfleet.Fleet(on, on, tsbfleet.Verified(tsbfleet.Edge("edge-1", state.JWT)),
		tsbfleet.Edge("edge-2", state.MTLS), tsbfleet.Edge("edge-3", state.MTLS), tsbfleet.Edge("edge-4", state.MTLS))
	for _, tc := range []struct {
		name  string
		facts plan.State
		goal  plan.Goal
		want  string
	}{
		{"dual ends with both modes on", fresh, plan.Goal{Stage: plan.Dual}, ""},
		{"dual opens a hub on which no edge is left to move", tsbfleet.Fleet(off, on, tsbfleet.Edge("edge-1", state.MTLS)),
			plan.Goal{Stage: plan.Dual}, "open"},
		{"edges moves edges", fresh, plan.Goal{Stage: plan.Edges}, "move/edge-1"},
		{"edges ends before mTLS off", tsbfleet.Fleet(on, on, tsbfleet.Verified(tsbfleet.Edge("edge-1", state.JWT)),
			tsbfleet.Mpc(state.JWT)), plan.Goal{Stage: plan.Edges}, ""},
		{"a wave has a size", moved, plan.Goal{Pace: plan.Pace{WaveSize: 2}}, "move/edge-2 move/edge-3"},
		{"a wave may be smaller than its size", moved, plan.Goal{Pace: plan.Pace{WaveSize: 7}},
			"move/edge-2 move/edge-3 move/edge-4"},
		{"a hasty canary is not waited for", tsbfleet.Fleet(on, on, tsbfleet.Young("edge-1"),
			tsbfleet.Edge("edge-2", state.MTLS)), plan.Goal{Pace: plan.Pace{HastyCanary: true}}, "move/edge-2"},
		{"a rotation that would take too long is not waited for", tsbfleet.Fleet(on, on, tsbfleet.Young("edge-1"),
			tsbfleet.Verified(tsbfleet.Mpc(state.JWT))), plan.Goal{Pace: plan.Pace{RotationWithin: time.Minute}}, "!edge-1"},
		{"an expiry that is accepted is", tsbfleet.Fleet(on, on, static, tsbfleet.Verified(tsbfleet.Mpc(state.JWT))),
			plan.Goal{Pace: plan.Pace{Unrotated: []string{"edge-1"}}}, "close"},
		{"who failed in this run is left", moved, plan.Goal{Pace: plan.Pace{Skip: []plan.Obstacle{{Member: "edge-2",
			Why: "not verified"}}}}, "move/edge-3 move/edge-4 !edge-2"},
		{"without a credential an edge is blocked", tsbfleet.Fleet(on, on, lacks), plan.Goal{}, "!edge-1"},
		{"unless one is supplied", tsbfleet.Fleet(on, on, lacks), plan.Goal{Sources: plan.Sources{Supplied: "tctl"}},
			"provide/edge-1"},
		{"an edge that was set to JWT without a token is blocked, and not waited for", tsbfleet.Fleet(on, on, byHand),
			plan.Goal{}, "!edge-1"},
		{"it keeps no other from being moved", tsbfleet.Fleet(on, on, byHand, tsbfleet.Edge("edge-2", state.MTLS)),
			plan.Goal{}, "move/edge-2 !edge-1"},
		{"it is supplied like any other", tsbfleet.Fleet(on, on, byHand),
			plan.Goal{Sources: plan.Sources{Supplied: "tctl"}}, "provide/edge-1"},
		{"one whose pods run with a token that was deleted since is verified", tsbfleet.Fleet(on, on, deleted), plan.Goal{},
			"prove/edge-1"},
		{"an edge whose rollout is paused is blocked", tsbfleet.Fleet(on, on, paused, tsbfleet.Edge("edge-2", state.MTLS)),
			plan.Goal{}, "move/edge-2 !edge-1"},
		{"a hub whose rollout is paused is not changed", halted(tsbfleet.Fleet(off, on, tsbfleet.Edge("edge-1", state.MTLS))),
			plan.Goal{}, "!hub"},
		{"it keeps no edge from being moved", halted(fresh), plan.Goal{}, "move/edge-1"},
		{"nothing is to be done where all is done", halted(tsbfleet.Fleet(off, on,
			tsbfleet.Verified(tsbfleet.Edge("edge-1", state.JWT)), tsbfleet.Verified(tsbfleet.Mpc(state.JWT)))),
			plan.Goal{}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.goal.To = state.JWT
			if d := cmp.Diff(tc.want, tsbfleet.Said(Provider().Next(tc.facts, tc.goal))); d != "" {
				t.Errorf("next wave (-want +got):\n%s", d)
			}
		})
	}
}

// A cluster that cannot be called by its own name says how it is called, and so does who looks for it by that name.
func TestAClusterThatIsCalledOtherwiseSaysSo(t *testing.T) {
	f := tsbfleet.Fleet(guard.Yes, guard.Yes, tsbfleet.With(tsbfleet.Edge("standby-eu", state.MTLS), func(m *plan.Member) {
		m.ClusterName, m.Renamed = "standby", state.Renamed("standby", 1)
	}))
	want := `no edge is called "standby": cluster standby is called standby-eu here, since management planes are called hub and standby`
	if got := f.UnknownMember("standby"); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if got, want := f.UnknownMember("eu"), `no edge is called "eu"; the edges are: standby-eu`; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	for cluster, n := range map[string]int{"eu": 1} {
		if why := state.Renamed(cluster, n); why != "" {
			t.Errorf("%s is renamed: %s", cluster, why)
		}
	}
	for cluster, n := range map[string]int{"eu": 2, "": 1, "hub": 1, state.MPCName: 1} {
		if state.Renamed(cluster, n) == "" {
			t.Errorf("%q, claimed %d times, keeps its name", cluster, n)
		}
	}
}

// The last step of a plan is never reached while any member may present a certificate, whatever the fleet looks like.
func TestNextNeverClosesOnAMemberThatMayPresentACertificate(t *testing.T) {
	states := []plan.Member{tsbfleet.Edge("x", state.MTLS), tsbfleet.Edge("x", state.JWT),
		tsbfleet.Verified(tsbfleet.Edge("x", state.JWT)),
		tsbfleet.With(tsbfleet.Verified(tsbfleet.Edge("x", state.JWT)),
			func(m *plan.Member) { m.Evidence.Presents = []guard.Cred{state.JWT, state.MTLS} }),
		tsbfleet.With(tsbfleet.Verified(tsbfleet.Edge("x", state.JWT)), func(m *plan.Member) { m.Evidence.Presents = nil }),
		tsbfleet.With(tsbfleet.Verified(tsbfleet.Edge("x", state.JWT)), func(m *plan.Member) { m.Declared = state.MTLS }),
		tsbfleet.With(tsbfleet.Edge("x", state.MTLS), func(m *plan.Member) { m.Obstacles = []string{"no"} }),
		{Identity: plan.Identity{Role: plan.RoleEdge, Err: "unreachable"}},
	}
	modes := []guard.Tri{guard.Unknown, guard.No, guard.Yes}
	for i, a := range states {
		for j, b := range states {
			for _, m := range []plan.Member{tsbfleet.Mpc(state.MTLS), tsbfleet.Mpc(state.JWT),
				tsbfleet.Verified(tsbfleet.Mpc(state.JWT)), tsbfleet.With(tsbfleet.Verified(tsbfleet.Mpc(state.JWT)),
					func(m *plan.Member) { m.Evidence.Presents = []guard.Cred{state.MTLS} })} {
				for _, mtls := range modes {
					for _, jwt := range modes {
						a.Name, b.Name = "edge-a", "edge-b"
						f := tsbfleet.Fleet(mtls, jwt, a, b, m)
						for _, s := range nextWave(f, plan.Goal{To: state.JWT}).Steps {
							if s.Withdraws == nil {
								continue
							}
							if blockers := guard.Withdraw(f.Hub.Accepts, *s.Withdraws, f.GuardMembers(),
								tsbobjects.Noon); len(blockers) > 0 {
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
	f := tsbfleet.Fleet(guard.Yes, guard.No, tsbfleet.Fenceable(tsbfleet.Edge("edge-1", state.MTLS)),
		tsbfleet.Edge("edge-2", state.MTLS), tsbfleet.Fenceable(tsbfleet.Edge("edge-3", state.JWT)), tsbfleet.Mpc(state.MTLS))
	f.Hub.Roster = plan.RosterState{}
	var waves []string
	p := plan.Build(Provider(), f, plan.Goal{To: state.JWT})
	for _, w := range p.Waves {
		waves = append(waves, tsbfleet.Said(w))
	}
	want := []string{"register", "open", "prove/edge-3", "witness/edge-3", "move/edge-1 move/edge-2",
		"witness/edge-1 witness/edge-2", "fence/edge-1 fence/edge-3", "prove/mpc", "close"}
	if d := cmp.Diff(want, waves); d != "" || len(p.Obstacles) > 0 {
		t.Errorf("waves (-want +got):\n%s\nblocked %v", d, p.Obstacles)
	}
	if p.Changes() != 7 {
		t.Errorf("%d changes, want 7", p.Changes())
	}
}

// BenchmarkPlan plans the migration of fleets of many sizes.
func BenchmarkPlan(b *testing.B) {
	for _, n := range []int{10, 100, 1000, 5000} {
		b.Run(fmt.Sprintf("members=%d", n), func(b *testing.B) {
			var members []plan.Member
			for i := range n {
				members = append(members, tsbfleet.Edge(fmt.Sprintf("edge-%04d", i), state.MTLS))
			}
			f := tsbfleet.Fleet(guard.Yes, guard.No, members...)
			d := Provider()
			b.ReportAllocs()
			for b.Loop() {
				plan.Build(d, f, plan.Goal{To: state.JWT})
			}
		})
	}
}
