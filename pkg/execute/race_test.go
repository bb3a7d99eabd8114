package execute

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// slow is a world in which something else happens between the last look of who publishes and what it writes.
type slow struct {
	Clusters
	meanwhile func()
}

func (s slow) Publish(ctx context.Context, hub string, m plan.Member, st api.EdgeClusterStatus) error {
	if m.Role == plan.RoleEdge {
		s.meanwhile()
	}
	return s.Clusters.Publish(ctx, hub, m, st)
}

// Somebody renews the statement of an edge while another run takes the edge back, and is as far as each of its
// writes: whatever the one saw before, or sees in the seconds in which the edge still presents its JWT, is not stated
// any more once the other has taken the statement back.
func TestNobodyStatesAMemberThatAnotherRunTakesBack(t *testing.T) {
	for _, when := range []string{"before it is seen", "after it was seen"} {
		t.Run(when, func(t *testing.T) {
			refused := 0
			for at := 1; at <= 3; at++ {
				w := newWorld(1)
				w.switches = switches{noWebhook: true, stuck: map[string]bool{}}
				if r, _ := runOnce(w, plan.Goal{Stage: plan.Edges, Pace: plan.Pace{HastyCanary: true}}, nil); !r.Done {
					t.Fatalf("not migrated: %+v, %v", r.Outcomes, r.Err)
				}
				name := w.names()[0]
				took := false
				takeBack := func() {
					if took {
						return
					}
					took, w.writes, w.killAt = true, 0, -at
					if _, died := runOnce(w, plan.Goal{RollbackTask: plan.RollbackTask{Back: true, Only: name}}, nil); !died {
						t.Fatalf("the rollback has no write %d", at)
					}
					w.killAt = 0
				}
				p := &Executor{Clusters: slow{w, takeBack}, Provider: tsb.Provider(), Source: "other", Poll: time.Second, oneByOne: true,
					Goal: plan.Goal{To: state.JWT, Pace: plan.Pace{Within: time.Minute, NoFence: true}}, Report: func(Event) {}}
				if when == "before it is seen" {
					takeBack()
				}
				if _, err := p.VerifyMembers(t.Context(), []string{name}); err != nil {
					t.Fatal(err)
				}
				_, began := w.voided[name]
				if began && w.entries[name] != nil {
					t.Errorf("the rollback had taken the statement back and was at its write %d, and %v was stated: %+v", at, w.entries[name].Presents, w.homes["hub"].InFlight)
				}
				if began {
					refused++
				}
			}
			if refused == 0 {
				t.Error("no rollback got as far as taking the statement back: this shows nothing")
			}
		})
	}
}

// A statement that an edge's team provided lies around while the hub's team takes the edge back: it was seen after
// the one in the roster, and before that was taken back.
func TestTakingAStatementBackOutdatesEverythingThatWasSeenBefore(t *testing.T) {
	b, e := newBed(t, map[string][]object{"hub": append(openHub("far"), stated("far"))})
	var body struct{ Status api.EdgeClusterStatus }
	b.servers["hub"].Answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, "/far/status") {
			if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
				t.Error(err)
			}
			w.Header().Set("Content-Type", "application/json")
			w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Success"}`))
			return true
		}
		return false
	}
	void := plan.Write{Context: "hub", Object: roster.Ref("far"), Op: plan.OpUpdateStatus, After: roster.RetractedStatus()}
	if _, err := e.write(t.Context(), void, nil); err != nil {
		t.Fatal(err)
	}
	listed := handedOver("far", time.Hour, nil)
	listed.Status = body.Status
	handed := handedOver("far", time.Minute, nil)
	if why := roster.Unacceptable(handed, &listed, e.Observe(t.Context()), state.JWT); !strings.Contains(why, "was taken back since") {
		t.Errorf("it is taken over (%q) although what was stated was taken back at %v", why, body.Status.ObservedTime)
	}
}

// What was taken back between the look and the write is found there.
func TestPublishingLooksWhatStands(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Second)
	entry := func(status object) object {
		e := stated("far")
		e["metadata"].(object)["uid"], e["metadata"].(object)["resourceVersion"] = "u", "7"
		e["status"] = status
		return e
	}
	for name, tc := range map[string]struct {
		stands object
		says   string
	}{
		"an older statement":             {object{"presents": []any{"jwt"}, "observedTime": now.Add(-time.Minute).Format(time.RFC3339)}, ""},
		"nothing":                        {object{}, ""},
		"taken back before it was seen":  {object{"observedTime": now.Add(-time.Minute).Format(time.RFC3339)}, ""},
		"taken back after it was seen":   {object{"observedTime": now.Add(time.Minute).Format(time.RFC3339)}, "was taken back at"},
		"taken back in that very second": {object{"observedTime": now.Format(time.RFC3339)}, "was taken back at"},
	} {
		t.Run(name, func(t *testing.T) {
			b, _ := newBed(t, map[string][]object{"hub": append(openHub("far"), entry(tc.stands))})
			handed := handedOver("far", 0, nil)
			handed.Status.ObservedTime.Time = now
			err := b.Publish(t.Context(), "hub", roster.MemberOf(handed), handed.Status)
			if (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error %v, want %q", err, tc.says)
			}
			if wrote := slices.Contains(b.wrote, "hub status"); wrote != (tc.says == "") {
				t.Errorf("wrote %v", b.wrote)
			}
		})
	}
}

// The hub's team lets an edge go back and forgets it, and what its team provided before still lies around.
func TestWhatWasHandedOverBeforeAnEdgeWasForgottenIsNotTakenOver(t *testing.T) {
	b, _ := newBed(t, map[string][]object{"hub": append(openHub("far"), stated("far"))})
	before := handedOver("far", 0, nil)
	if err := b.enroller().Forget(t.Context(), "far", "bob@hub", "its team goes back", true); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		handed api.EdgeCluster
		says   string
	}{
		"before":    {before, "it was forgotten at"},
		"afterward": {handedOver("far", -2*time.Second, nil), ""},
	} {
		if why := roster.Unacceptable(tc.handed, nil, b.Live.Observe(t.Context()), state.JWT); !strings.Contains(why, tc.says) || tc.says == "" && why != "" {
			t.Errorf("seen %s it was forgotten: refused with %q, want %q", name, why, tc.says)
		}
	}
}

// busy is a Lease that another run holds.
func busy() object {
	now := time.Now().UTC().Format(microTime)
	return object{"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": object{"name": api.LockName, "namespace": api.Namespace, "resourceVersion": "1",
		"managedFields": []any{object{"time": time.Now().UTC().Format(time.RFC3339), "fieldsV1": object{"f:spec": object{"f:renewTime": object{}}}}}},
		"spec": object{"holderIdentity": "ann@far/1", "leaseDurationSeconds": 30, "acquireTime": now, "renewTime": now}}
}

// Forgetting writes the journal as it was read: beside a run that has gone on to its next wave that would lose the
// way back.
func TestForgettingAMemberAliveTakesNoWaveFromARunAtWork(t *testing.T) {
	b, _ := newBed(t, map[string][]object{"hub": append(openHub("far"), stated("far"), busy())})
	b.journal = inFlight(t, moved("far", "far"))
	err := b.enroller().Forget(t.Context(), "far", "bob@hub", "gone", true)
	if err == nil || !strings.Contains(err.Error(), "nothing was forgotten: another run is at work: ann@far/1") || b.journal == "" || len(b.wrote) > 0 {
		t.Errorf("%v; wrote %v; the journal: %s", err, b.wrote, b.journal)
	}
}
