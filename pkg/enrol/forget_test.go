package enrol

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
	"github.com/xcpauth/kubectl-xcpauth/test/bed"
)

// The hub's team lets an edge go back and forgets it, and what its team provided before still lies around.
func TestWhatWasHandedOverBeforeAnEdgeWasForgottenIsNotTakenOver(t *testing.T) {
	b, _ := bed.New(t, map[string][]bed.Object{"hub": append(bed.OpenHub("far"), bed.Stated("far"))})
	before := bed.HandedOver("far", 0, nil)
	if err := (Enroller{Live: b.Live}).Forget(t.Context(), "far", "bob@hub", "its team goes back", true); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		handed api.EdgeCluster
		says   string
	}{
		"before":    {before, "it was forgotten at"},
		"afterward": {bed.HandedOver("far", -2*time.Second, nil), ""},
	} {
		if why := roster.Unacceptable(tc.handed, nil, b.Live.Observe(t.Context()), state.JWT); !strings.Contains(why,
			tc.says) || tc.says == "" && why != "" {
			t.Errorf("seen %s it was forgotten: refused with %q, want %q", name, why, tc.says)
		}
	}
}

// busy is a Lease that another run holds, and renewed some time ago.
func busy(ago time.Duration) bed.Object {
	at := time.Now().Add(-ago).UTC()
	now := at.Format("2006-01-02T15:04:05.000000Z07:00")
	return bed.Object{"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
		"metadata": bed.Object{"name": api.LockName, "namespace": api.Namespace, "resourceVersion": "1",
			"managedFields": []any{bed.Object{"time": at.Format(time.RFC3339),
				"fieldsV1": bed.Object{"f:spec": bed.Object{"f:renewTime": bed.Object{}}}}}},
		"spec": bed.Object{"holderIdentity": "ann@far/1", "leaseDurationSeconds": 30, "acquireTime": now, "renewTime": now}}
}

// Forgetting writes the journal as it was read: beside a run that has gone on to its next wave that would lose the
// way back.
func TestForgettingAMemberAliveTakesNoWaveFromARunAtWork(t *testing.T) {
	b, _ := bed.New(t, map[string][]bed.Object{"hub": append(bed.OpenHub("far"), bed.Stated("far"), busy(0))})
	b.Journal = bed.InFlight(t, bed.Moved("far", "far"))
	err := Enroller{Live: b.Live}.Forget(t.Context(), "far", "bob@hub", "gone", true)
	if err == nil || !strings.Contains(err.Error(), "nothing was forgotten: another run is at work: ann@far/1") ||
		b.Journal == "" || len(b.Wrote) > 0 {
		t.Errorf("%v; wrote %v; the journal: %s", err, b.Wrote, b.Journal)
	}
}

// The lock of a run that renews it no more is waited for, as long as is allowed.
func TestForgettingAMemberAliveWaitsForTheLock(t *testing.T) {
	b, _ := bed.New(t, map[string][]bed.Object{
		"hub": append(bed.OpenHub("far"), bed.Stated("far"), busy(engine.LockFor-3*time.Second))})
	var told []engine.Event
	l := Enroller{Live: b.Live, LockTimeout: engine.LockFor, Report: func(e engine.Event) { told = append(told, e) }}
	if err := l.Forget(t.Context(), "far", "bob@hub", "gone", true); err != nil {
		t.Fatal(err)
	}
	if len(told) != 1 || !strings.Contains(told[0].Text, "ann@far/1 holds the lock in hub since") {
		t.Errorf("told %+v", told)
	}
}

func TestForgettingAMemberTakesItOutOfTheWaveInFlight(t *testing.T) {
	b, _ := bed.New(t, map[string][]bed.Object{"hub": bed.OpenHub("b"), "b": apifake.Edge("b")})
	b.Journal = bed.InFlight(t, bed.Moved("a", "a"))
	if err := (Enroller{Live: b.Live}).Forget(t.Context(), "a", "me", "gone", false); err == nil {
		t.Error("forgotten while in flight, without being told that this is meant")
	}
	if err := (Enroller{Live: b.Live}).Forget(t.Context(), "a", "me", "gone", true); err != nil || b.Journal != "" {
		t.Errorf("%v; the journal: %s", err, b.Journal)
	}
}

// Something in front of the API server that answers everything with 200 has forgotten nothing.
func TestAMemberIsForgottenOnceTheAPIServerSaysSo(t *testing.T) {
	for name, tc := range map[string]struct {
		method, ends string // of the request that is answered so
		says         string
		wrote        []string
	}{
		"the Event": {http.MethodPost, "/events", "nothing was forgotten: writing the Event about far in hub: the API " +
			"server's answer is not Event", []string{"hub leases"}},
		"the deletion": {http.MethodDelete, "/far", "deleting EdgeCluster xcpauth-system/far in hub: the API server's " +
			"answer does not say that", []string{"hub leases", "hub events"}},
	} {
		t.Run(name, func(t *testing.T) {
			b, _ := bed.New(t, map[string][]bed.Object{"hub": append(bed.OpenHub("far"), bed.Stated("far"))})
			hub := b.Servers["hub"]
			answer := hub.Answer
			hub.Answer = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method == tc.method && strings.HasSuffix(r.URL.Path, tc.ends) {
					w.Header().Set("Content-Type", "application/json")
					io.WriteString(w, `{"ok":true}`)
					return true
				}
				return answer(w, r)
			}
			err := Enroller{Live: b.Live}.Forget(t.Context(), "far", "me", "gone", true)
			if err == nil || !strings.Contains(err.Error(), tc.says) || !slices.Equal(b.Wrote, tc.wrote) {
				t.Errorf("%v; wrote %v, want %q after %v", err, b.Wrote, tc.says, tc.wrote)
			}
		})
	}
}
