package engine_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
	"github.com/xcpauth/kubectl-xcpauth/test/bed"
)

// Nothing goes on beside a hub that may not be restored.
func TestAHubThatMayNotBeRestoredEndsTheRun(t *testing.T) {
	b, e := newBed(t, map[string][]bed.Object{"hub": bed.OpenHub("a"), "a": bed.OnJWT("a")})
	b.Servers["hub"].Allows = func(verb, resource, _, _ string) bool {
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
	b.Journal = bed.InFlight(
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
	left := b.Journal
	restored, err := restoreIn(t, e)
	if !restored || err == nil ||
		!strings.Contains(err.Error(), "rights are missing in hub: patch managementplanes.install.tetrate.io") ||
		len(b.Wrote) > 0 {
		t.Errorf("restored %v, %v; wrote %q", restored, err, b.Wrote)
	}
	var was, is engine.Entry
	if json.Unmarshal([]byte(left), &was) != nil || json.Unmarshal([]byte(b.Journal), &is) != nil ||
		len(is.Steps) != 1 ||
		is.By != was.By {
		t.Errorf("the journal holds %s, and held %s", b.Journal, left)
	}
}

// A member whose step is kept is left out whatever this run calls it: its name comes from that of its context where
// several clusters claim one.
func TestAMemberThatMayNotBeRestoredIsLeftOutUnderEachOfItsNames(t *testing.T) {
	renewed := plan.Step{ID: "renew/a-ann", Member: "a-ann", Undo: []plan.Write{{Cluster: "uid-of-a", Op: plan.OpCreate,
		RestoreFrom: "xcp-edge-central-auth-token-xcpauth-before",
		Object: plan.Ref{Version: "v1", Resource: "secrets", Kind: "Secret", Namespace: "istio-system",
			Name: "xcp-edge-central-auth-token"}}}}
	step := bed.Moved("ann", "a")
	step.ID, step.Member = "move/a-ann", "a-ann"
	for _, s := range []plan.Step{step, renewed} {
		b, e := newBed(t, map[string][]bed.Object{"hub": bed.OpenHub("a", "b"), "a": bed.OnJWT("a"), "b": bed.OnJWT("b")})
		b.Servers["a"].Allows = func(verb, _, _, _ string) bool { return verb == "get" || verb == "list" }
		b.Journal = bed.InFlight(t, s)
		if _, err := restoreIn(t, e); err != nil || len(b.Wrote) > 0 || !strings.Contains(b.Journal, s.ID) {
			t.Errorf("%s: %v; wrote %q; the journal: %s", s.ID, err, b.Wrote, b.Journal)
		}
		if a, b := e.Goal.Skipped("a"), e.Goal.Skipped("b"); !strings.Contains(a, "rights are missing in a: ") || b != "" {
			t.Errorf("%s: a is left out for %q, b for %q", s.ID, a, b)
		}
	}
}

// The right to a fence is one of those to the way back that the fence denies, and of no other.
func TestAFenceThatMayNotBeRemovedKeepsItsMemberAloneOut(t *testing.T) {
	forth := bed.Moved("a", "a")
	forth.RevertsTo = state.JWT
	forth.Writes[0].Before, forth.Writes[0].After = bed.Mode("JWT"), bed.Mode("MUTUAL_TLS")
	for name, tc := range map[string]struct {
		step   plan.Step
		barred bool
	}{"back to its certificate": {bed.Moved("a", "a"), true}, "forth to its JWT": {forth, false}} {
		b, e := newBed(t, map[string][]bed.Object{"hub": bed.OpenHub("a", "b"), "a": bed.OnJWT("a"), "b": bed.OnJWT("b")})
		b.Servers["a"].Allows = func(_, resource, _, _ string) bool {
			return !strings.HasPrefix(resource, "validatingadmission")
		}
		e.Provider.RemoveFence = func(_ plan.State, m plan.Member) []plan.Write {
			return []plan.Write{{Context: m.Context, Op: plan.OpDelete, Object: plan.Ref{Group: "admissionregistration.k8s.io",
				Version: "v1", Resource: "validatingadmissionpolicybindings", Name: plan.FenceName, UID: "u"}}}
		}
		b.Journal = bed.InFlight(t, tc.step, bed.Moved("b", "b"))
		if _, err := restoreIn(t, e); err != nil || !slices.Contains(b.Wrote, "b controlplane") {
			t.Errorf("%s: %v; wrote %q", name, err, b.Wrote)
		}
		why := e.Goal.Skipped("a")
		if strings.Contains(why, "delete validatingadmissionpolicybindings") != tc.barred ||
			strings.Contains(b.Journal, "move/a") != tc.barred {
			t.Errorf("%s: left out for %q; the journal holds %s", name, why, b.Journal)
		}
	}
}

// Rights that could not be asked for are not known to be missing: the step is restored, or ends the run.
func TestAStepWhoseRightsCouldNotBeAskedForIsRestored(t *testing.T) {
	b, e := newBed(t, map[string][]bed.Object{"hub": bed.OpenHub("a"), "a": bed.OnJWT("a")})
	answer := b.Servers["a"].Answer
	b.Servers["a"].Answer = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/selfsubjectaccessreviews") {
			return answer(w, r)
		}
		apifake.Status(w, http.StatusForbidden, "Forbidden", "nobody may ask")
		return true
	}
	b.Journal = bed.InFlight(t, bed.Moved("a", "a"))
	if _, err := restoreIn(t, e); err != nil || !slices.Contains(b.Wrote, "a controlplane") || b.Journal != "" {
		t.Errorf("%v; wrote %q; the journal holds %s", err, b.Wrote, b.Journal)
	}
}

// A step whose member has no journal in this run is not begun: nothing would keep its way back.
func TestAStepWithoutAJournalIsNotBegun(t *testing.T) {
	b, e := newBed(t, map[string][]bed.Object{"hub": bed.OpenHub("a"), "a": bed.OnJWT("a")})
	e.WithoutJournals()
	wave := plan.Wave{Title: "canary", Steps: []plan.Step{bed.Moved("a", "a")}}
	err := e.Begin(t.Context(), wave, e.ObserveNow(t.Context()), plan.WaveRecord{})
	if err == nil || !strings.Contains(err.Error(), "nothing was written: a has no journal in this run") ||
		len(b.Kept) > 0 {
		t.Errorf("error %v; the journals: %q", err, b.Kept)
	}
}
