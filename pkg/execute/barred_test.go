package execute

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
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
		for _, part := range []string{"rights are missing in " + step.Member + ": ", "kubectl xcpauth migrate", "of model, begun"} {
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

// Nothing goes on beside a hub that may not be restored.
func TestAHubThatMayNotBeRestoredEndsTheRun(t *testing.T) {
	b, e := newBed(t, map[string][]object{"hub": openHub("a"), "a": onJWT("a")})
	b.servers["hub"].Allows = func(verb, resource, _, _ string) bool {
		return verb != "patch" || !strings.HasPrefix(resource, "managementplanes")
	}
	stanza := func(mtls bool) map[string]any {
		return map[string]any{
			"spec": map[string]any{
				"components": map[string]any{
					"xcp": map[string]any{"centralAuthModes": map[string]any{"mutualTls": mtls, "jwt": true}},
				},
			},
		}
	}
	b.journal = inFlight(
		t,
		plan.Step{
			ID:     "close",
			Member: "hub",
			Writes: []plan.Write{{Context: "hub", Cluster: "uid-of-hub", Before: stanza(true), After: stanza(false),
				Object: plan.Ref{
					Group:     "install.tetrate.io",
					Version:   "v1alpha1",
					Resource:  "managementplanes",
					Kind:      "ManagementPlane",
					Namespace: "tsb",
					Name:      "managementplane",
					UID:       "uid-hub-managementplane",
				}}},
		},
	)
	left := b.journal
	restored, err := restoreIn(t, e)
	if !restored || err == nil ||
		!strings.Contains(err.Error(), "rights are missing in hub: patch managementplanes.install.tetrate.io") ||
		len(b.wrote) > 0 {
		t.Errorf("restored %v, %v; wrote %q", restored, err, b.wrote)
	}
	var was, is Entry
	if json.Unmarshal([]byte(left), &was) != nil || json.Unmarshal([]byte(b.journal), &is) != nil ||
		len(is.Steps) != 1 ||
		is.By != was.By {
		t.Errorf("the journal holds %s, and held %s", b.journal, left)
	}
}

// A member whose step is kept is left out whatever this run calls it: its name comes from that of its context where
// several clusters claim one.
func TestAMemberThatMayNotBeRestoredIsLeftOutUnderEachOfItsNames(t *testing.T) {
	renewed := plan.Step{ID: "renew/a-ann", Member: "a-ann", Undo: []plan.Write{{Cluster: "uid-of-a", Op: plan.OpCreate,
		RestoreFrom: "xcp-edge-central-auth-token-xcpauth-before",
		Object: plan.Ref{Version: "v1", Resource: "secrets", Kind: "Secret", Namespace: "istio-system",
			Name: "xcp-edge-central-auth-token"}}}}
	step := moved("ann", "a")
	step.ID, step.Member = "move/a-ann", "a-ann"
	for _, s := range []plan.Step{step, renewed} {
		b, e := newBed(t, map[string][]object{"hub": openHub("a", "b"), "a": onJWT("a"), "b": onJWT("b")})
		b.servers["a"].Allows = func(verb, _, _, _ string) bool { return verb == "get" || verb == "list" }
		b.journal = inFlight(t, s)
		if _, err := restoreIn(t, e); err != nil || len(b.wrote) > 0 || !strings.Contains(b.journal, s.ID) {
			t.Errorf("%s: %v; wrote %q; the journal: %s", s.ID, err, b.wrote, b.journal)
		}
		if a, b := e.Goal.Skipped("a"), e.Goal.Skipped("b"); !strings.Contains(a, "rights are missing in a: ") || b != "" {
			t.Errorf("%s: a is left out for %q, b for %q", s.ID, a, b)
		}
	}
}

// A run of a product that states nothing in the roster takes no right to it, although another product's is installed
// in the same cluster: the roles of the one give none.
func TestNobodyIsAskedForTheRightsToAnotherProductsRoster(t *testing.T) {
	for _, states := range []bool{false, true} {
		e := &Executor{hub: "hub"}
		f := plan.State{UsesRoster: states,
			Hub: plan.Hub{HubRecords: plan.HubRecords{Roster: plan.RosterState{Namespace: true, Kind: true}}}}
		asked := slices.ContainsFunc(e.journalPermissions(f, plan.Plan{}), func(n plan.Permission) bool { return n.Verb == "state" })
		if asked != states {
			t.Errorf("states %v: asked %v", states, asked)
		}
	}
}

// The right to a fence is one of those to the way back that the fence denies, and of no other.
func TestAFenceThatMayNotBeRemovedKeepsItsMemberAloneOut(t *testing.T) {
	forth := moved("a", "a")
	forth.RevertsTo = state.JWT
	forth.Writes[0].Before, forth.Writes[0].After = mode("JWT"), mode("MUTUAL_TLS")
	for name, tc := range map[string]struct {
		step   plan.Step
		barred bool
	}{"back to its certificate": {moved("a", "a"), true}, "forth to its JWT": {forth, false}} {
		b, e := newBed(t, map[string][]object{"hub": openHub("a", "b"), "a": onJWT("a"), "b": onJWT("b")})
		b.servers["a"].Allows = func(_, resource, _, _ string) bool {
			return !strings.HasPrefix(resource, "validatingadmission")
		}
		e.Provider.RemoveFence = func(_ plan.State, m plan.Member) []plan.Write {
			return []plan.Write{{Context: m.Context, Op: plan.OpDelete, Object: plan.Ref{Group: "admissionregistration.k8s.io",
				Version: "v1", Resource: "validatingadmissionpolicybindings", Name: plan.FenceName, UID: "u"}}}
		}
		b.journal = inFlight(t, tc.step, moved("b", "b"))
		if _, err := restoreIn(t, e); err != nil || !slices.Contains(b.wrote, "b controlplane") {
			t.Errorf("%s: %v; wrote %q", name, err, b.wrote)
		}
		why := e.Goal.Skipped("a")
		if strings.Contains(why, "delete validatingadmissionpolicybindings") != tc.barred ||
			strings.Contains(b.journal, "move/a") != tc.barred {
			t.Errorf("%s: left out for %q; the journal holds %s", name, why, b.journal)
		}
	}
}

// Rights that could not be asked for are not known to be missing: the step is restored, or ends the run.
func TestAStepWhoseRightsCouldNotBeAskedForIsRestored(t *testing.T) {
	b, e := newBed(t, map[string][]object{"hub": openHub("a"), "a": onJWT("a")})
	answer := b.servers["a"].Answer
	b.servers["a"].Answer = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/selfsubjectaccessreviews") {
			return answer(w, r)
		}
		apifake.Status(w, http.StatusForbidden, "Forbidden", "nobody may ask")
		return true
	}
	b.journal = inFlight(t, moved("a", "a"))
	if _, err := restoreIn(t, e); err != nil || !slices.Contains(b.wrote, "a controlplane") || b.journal != "" {
		t.Errorf("%v; wrote %q; the journal holds %s", err, b.wrote, b.journal)
	}
}

// Rights that could not be asked for are unknown: they are not said to be missing.
func TestRightsThatCouldNotBeAskedForAreNotCalledMissing(t *testing.T) {
	got := words(map[string]Denial{"b": {Why: "it did not answer", Unknown: true}, "a": {Why: "get pods"}})
	if want := "rights are missing in a: get pods; rights in b could not be asked for: it did not answer"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// A step whose member has no journal in this run is not begun: nothing would keep its way back.
func TestAStepWithoutAJournalIsNotBegun(t *testing.T) {
	b, e := newBed(t, map[string][]object{"hub": openHub("a"), "a": onJWT("a")})
	e.hub, e.journals = "", map[string]*journalCluster{}
	wave := plan.Wave{Title: "canary", Steps: []plan.Step{moved("a", "a")}}
	err := e.begin(t.Context(), wave, e.observe(t.Context()), plan.WaveRecord{})
	if err == nil || !strings.Contains(err.Error(), "nothing was written: a has no journal in this run") || len(b.kept) > 0 {
		t.Errorf("error %v; the journals: %q", err, b.kept)
	}
}
