package engine_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
	"github.com/xcpauth/kubectl-xcpauth/test/bed"
)

// Whoever can write the journal must not withdraw a credential, or move an edge unchecked, with the rights of whoever
// runs next.
func TestAJournalThatWouldWithdrawACredentialIsRefused(t *testing.T) {
	hub := plan.Ref{Group: "install.tetrate.io", Version: "v1alpha1", Resource: "managementplanes",
		Kind: "ManagementPlane", Namespace: "tsb", Name: "managementplane"}
	modes := func(jwt, mtls any) map[string]any {
		return map[string]any{"spec": map[string]any{"components": map[string]any{"xcp": map[string]any{"centralAuthModes": map[string]any{"jwt": jwt, "mutualTls": mtls}}}}}
	}
	edge := bed.Moved("a", "a").Writes[0].Object
	for name, tc := range map[string]struct {
		from guard.Cred
		undo plan.Write
	}{
		"mTLS off": {"", plan.Write{Context: "hub", Object: hub, Before: modes(true, true),
			After: modes(true, false)}},
		"mTLS unset": {"", plan.Write{Context: "hub", Object: hub, Before: modes(true, true),
			After: modes(true, nil)}},
		"JWT off": {"", plan.Write{Context: "hub", Object: hub, Before: modes(true, true),
			After: modes(false, true)}},
		"JWT unset": {"", plan.Write{Context: "hub", Object: hub, After: modes(nil, true)}},
		"an edge, the hub not asked": {"", plan.Write{Context: "a", Object: edge, Before: bed.Mode("JWT"),
			After: bed.Mode("MUTUAL_TLS")}},
		"an edge, the hub asked else": {state.JWT, plan.Write{Context: "a", Object: edge, Before: bed.Mode("JWT"),
			After: bed.Mode("MUTUAL_TLS")}},
		"an edge to JWT for mTLS's sake": {state.MTLS, plan.Write{Context: "a", Object: edge, Before: bed.Mode("MUTUAL_TLS"),
			After: bed.Mode("JWT")}},
	} {
		t.Run(name, func(t *testing.T) {
			b, e := newBed(t, map[string][]bed.Object{"hub": bed.OpenHub("a"), "a": bed.OnJWT("a")})
			text, err := json.Marshal(engine.Entry{Wave: "mTLS off", By: "mallory@host",
				Steps: []engine.EntryStep{{ID: "close", Member: "hub", From: tc.from, Undo: []plan.Write{tc.undo}}}})
			if err != nil {
				t.Fatal(err)
			}
			b.Journal = string(text)
			restored, err := restoreIn(t, e)
			if !restored || err == nil || !strings.Contains(err.Error(), api.JournalName) {
				t.Errorf("restored %v, %v; want it refused, and where the journal is", restored, err)
			}
			if len(b.Wrote) > 0 || b.Journal == "" {
				t.Errorf("wrote %q, journal %q; want nothing written and the journal left to be looked at", b.Wrote, b.Journal)
			}
		})
	}
}

// withJournal is a cluster in which a run without a hub left a wave in flight.
func withJournal(text string, objects []bed.Object) []bed.Object {
	return append(objects, bed.Object{"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": bed.Object{"name": api.JournalName, "namespace": api.Namespace, "uid": "uid-journal"},
		"data":     bed.Object{api.JournalKey: text}})
}

// An edge's own team may put the edge back without asking the hub, for as long as its journal holds it in flight.
func TestMTLSStaysOnWhileAnEdgesOwnRunMayPutItBack(t *testing.T) {
	for _, tc := range []struct {
		name    string
		journal string
		want    bool // mTLS goes off
	}{
		{"in flight", bed.InFlight(t, bed.Moved("a", "a")), false},
		{"a journal that is not JSON", "{", false},
		{"another edge in flight", bed.InFlight(t, bed.Moved("b", "b")), true},
		{"nothing in flight", "", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b, e := newBed(t, map[string][]bed.Object{"hub": append(bed.OpenHub("a"), bed.Stated("a")),
				"a": withJournal(tc.journal, bed.OnJWT("a"))})
			r := e.Migrate(t.Context())
			if got := slices.Contains(b.Wrote, "hub managementplane"); got != tc.want {
				t.Errorf("mTLS was turned off: %v, want %v; %+v", got, tc.want, r.Outcomes)
			}
			b, e = newBed(t, map[string][]bed.Object{"a": withJournal(tc.journal, bed.OnJWT("a"))})
			b.Where, e.Goal.NoHub = plan.Selection{NoHub: true}, true
			res, err := e.VerifyMembers(t.Context(), nil)
			if err != nil || len(res.Outcomes) != 1 || (res.Outcomes[0].State == engine.Refused) == tc.want {
				t.Errorf("published without a hub: %+v, %v", res.Outcomes, err)
			}
		})
	}
}

func TestASavedPlanOfAnotherHubWritesNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		hub  string // of the plan
		want bool   // it is carried out
	}{"the same": {"uid-of-hub", true}, "another": {"uid-of-the-hub-that-was-here-before", false}} {
		t.Run(name, func(t *testing.T) {
			hub := bed.OpenHub("a")
			b, e := newBed(t, map[string][]bed.Object{"hub": hub, "a": bed.OnJWT("a")})
			b.Journal = bed.InFlight(t, bed.Moved("a", "a"))
			e.Saved = &plan.Saved{HubUID: tc.hub}
			r := e.Migrate(t.Context())
			var stale *plan.StaleError
			if got := len(b.Wrote) > 0; got != tc.want || !tc.want && !errors.As(r.Err, &stale) {
				t.Errorf("wrote %q, %v; want it carried out: %v", b.Wrote, r.Err, tc.want)
			}
		})
	}
}

// Two waves of one moment are two: the end of one does not take the other's place.
func TestWavesOfOneMomentAreTwoRecords(t *testing.T) {
	at := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	var j engine.Journal
	for _, step := range []string{"prove/a", "prove/b"} {
		w := plan.WaveRecord{Wave: "verify", Began: at, Steps: []string{step}}
		j.Record(w)
		w.Ended, w.Result = at, plan.ResultVerified
		j.Record(w)
	}
	if len(j.History) != 2 || plan.Unverified(j.History, "a") || plan.Unverified(j.History, "b") {
		t.Errorf("the history is %+v", j.History)
	}
}

// What a clean-up was to delete and did not is found by the history: of a wave that failed, or was interrupted, as of
// one that was killed. Of one that is verified nothing is left.
func TestTheHistoryKeepsWhatACleanUpMayHaveLeft(t *testing.T) {
	secret := plan.Ref{Version: "v1", Resource: "secrets", Kind: "Secret", Namespace: "tsb", Name: "xcp-edge-cert"}
	clean := func(member string) plan.Step {
		return plan.Step{ID: "clean/" + member, Member: member, Irreversible: true,
			Writes: []plan.Write{{Context: "hub", Cluster: "uid-of-hub", Object: secret, Op: plan.OpDelete}}}
	}
	wave := plan.Wave{Title: "clean-up", Steps: []plan.Step{clean("a"), clean("b")}}
	for name, tc := range map[string]struct {
		failed map[string]string
		want   []string
	}{
		"proved":         {nil, nil},
		"one has failed": {map[string]string{"clean/b": "interrupted"}, []string{"b"}},
	} {
		b, e := newBed(t, map[string][]bed.Object{"hub": bed.OpenHub("a", "b"), "a": bed.OnJWT("a"), "b": bed.OnJWT("b")})
		f := e.ObserveNow(t.Context())
		if err := e.LockAll(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		left := func() (members []string) {
			var past []plan.WaveRecord
			if err := json.Unmarshal([]byte(b.History), &past); err != nil || len(past) != 1 {
				t.Fatalf("%s: the history is %s, %v", name, b.History, err)
			}
			for _, d := range past[0].Deletes {
				members = append(members, d.Member)
			}
			return members
		}
		past := plan.WaveRecord{Wave: wave.Title, Began: e.Now()}
		if err := e.Begin(t.Context(), wave, f, past); err != nil || !slices.Equal(left(), []string{"a", "b"}) {
			t.Errorf("%s: begun, it keeps what of %q is deleted, %v", name, left(), err)
		}
		if err := e.End(t.Context(), wave, f, past, tc.failed); err != nil || !slices.Equal(left(), tc.want) {
			t.Errorf("%s: ended, it keeps what of %q is deleted, %v; want %q", name, left(), err, tc.want)
		}
	}
}
