package engine

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// keeping watches that every journal of the hub holds a step.
type keeping struct {
	Clusters
	*testing.T
	step  string
	wrote int
}

func (k *keeping) WriteJournal(ctx context.Context, home string, j Journal) error {
	if home == "hub" {
		if k.wrote++; !j.InFlight.holds(k.step) {
			k.Errorf("journal %d does not hold %s any more: %+v", k.wrote, k.step, j.InFlight)
		}
	}
	return k.Clusters.WriteJournal(ctx, home, j)
}

// What an interrupted run left of a member that this user may not write keeps that member alone out: its way back
// stays written down while the others go on, and a user who may writes it later.
func TestWhatAUserMayNotRestoreKeepsItsMemberAloneOut(t *testing.T) {
	seen, others := 0, 0
	for seed := range uint64(150) {
		w := newWorld(seed + 1)
		if len(w.edges) < 3 || w.hopeless() != "" {
			continue
		}
		w.strangers, w.flippers = false, false
		w.killAt = 12 + w.IntN(20)
		runOnce(w, plan.Goal{Pace: plan.Pace{WaveSize: 1}, Stage: plan.Edges}, nil)
		in := w.homes["hub"].InFlight
		if in == nil || len(in.Steps) != 1 || !strings.HasPrefix(in.Steps[0].ID, "move/") ||
			w.edges[in.Steps[0].Member].declared != state.JWT {
			continue
		}
		step, began := in.Steps[0], in.Began
		w.killAt, w.mayNot = 0, step.Member
		was := map[string]guard.Cred{}
		for name, e := range w.edges {
			e.reachable = true
			was[name] = e.declared
		}
		k := &keeping{T: t, step: step.ID}
		r, _ := runOnce(
			w,
			plan.Goal{Pace: plan.Pace{WaveSize: 1}, Stage: plan.Edges},
			func(e *Executor) { k.Clusters, e.Clusters = e.Clusters, k },
		)
		i := slices.IndexFunc(r.Outcomes, func(o Outcome) bool { return o.Member == step.Member })
		for _, part := range []string{"rights are missing in " + step.Member + ": ", "kubectl xcpauth migrate",
			"of model, begun"} {
			if o := r.Outcomes[i]; o.State != Refused || !strings.Contains(o.Why, part) {
				t.Errorf("seed %d: %s: %s: %s; want %q in it", seed+1, step.Member, o.State, o.Why, part)
			}
		}
		left := w.homes["hub"].InFlight
		if r.Err != nil || left == nil || len(left.Steps) != 1 || !left.holds(step.ID) || !left.Began.Equal(began) {
			t.Errorf("seed %d: the run ends with %v, and the journal holds %+v", seed+1, r.Err, left)
		}
		seen++
		for name, e := range w.edges {
			if name != step.Member && was[name] != e.declared {
				others++
			}
		}
		w.mayNot = ""
		if r := w.arrive(plan.Goal{Stage: plan.Edges}, nil); !r.Done || w.homes["hub"].InFlight != nil ||
			len(w.refused) > 0 {
			t.Errorf(
				"seed %d: with the right to it, the next run: %+v; in flight: %+v; refused: %q",
				seed+1,
				r,
				w.homes["hub"].InFlight,
				w.refused,
			)
		}
	}
	if seen < 5 || others < 3 {
		t.Errorf("it came to that %d times, and %d others went on, so this shows nothing", seen, others)
	}
}

// A run of a product that states nothing in the roster takes no right to it, although another product's is installed
// in the same cluster: the roles of the one give none.
func TestNobodyIsAskedForTheRightsToAnotherProductsRoster(t *testing.T) {
	for _, states := range []bool{false, true} {
		e := &Executor{hub: "hub"}
		f := plan.State{UsesRoster: states,
			Hub: plan.Hub{HubRecords: plan.HubRecords{Roster: plan.RosterState{Namespace: true, Kind: true}}}}
		asked := slices.ContainsFunc(e.journalPermissions(f, plan.Plan{}),
			func(n plan.Permission) bool { return n.Verb == "state" })
		if asked != states {
			t.Errorf("states %v: asked %v", states, asked)
		}
	}
}

// Rights that could not be asked for are unknown: they are not said to be missing.
func TestRightsThatCouldNotBeAskedForAreNotCalledMissing(t *testing.T) {
	got := words(map[string]Denial{"b": {Why: "it did not answer", Unknown: true}, "a": {Why: "get pods"}})
	if want := "rights are missing in a: get pods; rights in b could not be asked for: it did not answer"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}
