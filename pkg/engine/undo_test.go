package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
	"github.com/xcpauth/kubectl-xcpauth/test/bed"
)

// newBed is clusters with a run on them that has found its hub.
func newBed(t *testing.T, clusters map[string][]bed.Object) (*bed.Bed, *engine.Executor) {
	t.Helper()
	b, e := bed.New(t, clusters)
	e.In("hub")
	return b, e
}

// restoreIn enters the hub and restores what its journal holds.
func restoreIn(t *testing.T, e *engine.Executor) (bool, error) {
	t.Helper()
	f := e.ObserveNow(t.Context())
	if err := e.LockAll(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	return e.UndoInterrupted(t.Context(), f)
}

func TestRestoring(t *testing.T) {
	// no centralAuthMode: the write of it was denied, or the run died before it
	neverWritten := func(cluster string) []bed.Object {
		objects := apifake.Edge(cluster)
		for _, o := range objects {
			if o["kind"] == "ControlPlane" {
				delete(o["spec"].(bed.Object), "components")
			}
		}
		return objects
	}
	otherName := bed.Moved("a", "a")
	otherName.Member = "a-ann"
	fromUnset := bed.Moved("a", "a")
	fromUnset.Writes[0].Before, fromUnset.Writes[0].UndoTo = bed.Mode(nil), bed.Mode("MUTUAL_TLS")
	for _, tc := range []struct {
		name     string
		clusters map[string][]bed.Object
		down     string
		steps    []plan.Step
		wrote    []string // what is written before the journal is, or the run goes on
		left     []string // the steps that stay in the journal
	}{
		{"one dead cluster does not keep the others from being restored",
			map[string][]bed.Object{"hub": bed.OpenHub("a", "b"), "a": bed.OnJWT("a"), "b": bed.OnJWT("b")}, "a",
			[]plan.Step{bed.Moved("a", "a"), bed.Moved("b", "b")}, []string{"b controlplane"}, []string{"move/a"}},
		{"a colleague calls the cluster otherwise, and another one so",
			map[string][]bed.Object{"hub": bed.OpenHub("a", "z"), "prod-a": bed.OnJWT("a"), "a": apifake.Edge("z")}, "",
			[]plan.Step{bed.Moved("a", "a")}, []string{"prod-a controlplane"}, nil},
		{"a colleague has the cluster in no context",
			map[string][]bed.Object{"hub": bed.OpenHub("a", "z"), "a": apifake.Edge("z")}, "",
			[]plan.Step{bed.Moved("a", "a")}, nil, []string{"move/a"}},
		{"the statement is taken back first",
			map[string][]bed.Object{"hub": append(bed.OpenHub("a"), bed.Stated("a")), "a": bed.OnJWT("a")}, "",
			[]plan.Step{bed.Moved("a", "a")}, []string{"hub status", "a controlplane"}, nil},
		{"the statement is taken back under the name that this run has for it",
			map[string][]bed.Object{"hub": append(bed.OpenHub("a"), bed.Stated("a")), "a": bed.OnJWT("a")}, "",
			[]plan.Step{otherName}, []string{"hub status", "a controlplane"}, nil},
		{"a ControlPlane that was re-created is left alone",
			map[string][]bed.Object{"hub": bed.OpenHub("b"), "a": append(apifake.Edge("b"), apifake.KubeSystem("a"))}, "",
			[]plan.Step{bed.Moved("a", "a")}, nil, nil},
		{"a write that was never made",
			map[string][]bed.Object{"hub": bed.OpenHub("a"), "a": neverWritten("a")}, "",
			[]plan.Step{fromUnset}, nil, nil},
		{"a hub that accepts no certificates any more",
			map[string][]bed.Object{"hub": bed.JWTHub("a"), "a": bed.OnJWT("a")}, "",
			[]plan.Step{bed.Moved("a", "a")}, nil, nil},
		{"a hub of which it is not known whether it accepts certificates",
			map[string][]bed.Object{"hub": bed.SilentHub("a"), "a": bed.OnJWT("a")}, "",
			[]plan.Step{bed.Moved("a", "a")}, nil, []string{"move/a"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b, e := newBed(t, tc.clusters)
			b.Journal = bed.InFlight(t, tc.steps...)
			if tc.down != "" {
				b.Servers[tc.down].Close()
			}
			restored, err := restoreIn(t, e)
			if !restored || (err != nil) != (tc.left != nil) {
				t.Errorf("restored %v, %v; want the steps %v left", restored, err, tc.left)
			}
			if !slices.Equal(b.Wrote, tc.wrote) {
				t.Errorf("wrote %q, want %q", b.Wrote, tc.wrote)
			}
			var left []string
			if b.Journal != "" {
				var entry engine.Entry
				if err := json.Unmarshal([]byte(b.Journal), &entry); err != nil {
					t.Fatal(err)
				}
				for _, s := range entry.Steps {
					left = append(left, s.ID)
				}
			}
			if !slices.Equal(left, tc.left) {
				t.Errorf("the journal holds %q, want %q", left, tc.left)
			}
		})
	}
}

// An edge that went back is not set forward again by the journal of the run that died on the way, where it would not
// connect.
func TestNothingIsRestoredToWhatWouldNotConnect(t *testing.T) {
	back := bed.Moved("a", "a")
	back.ID, back.RevertsTo = "back/a", state.JWT
	back.Writes[0].Before, back.Writes[0].After = bed.Mode("JWT"), bed.Mode("MUTUAL_TLS")
	for why, wrote := range map[string]int{"": 1, "Central's certificate lacks the name that it dials": 0} {
		went := apifake.Edge("a")
		for _, o := range went {
			if o["kind"] == "ControlPlane" {
				o["spec"].(bed.Object)["components"] = bed.Object{"xcp": bed.Object{"centralAuthMode": "MUTUAL_TLS"}}
			}
		}
		b, e := newBed(t, map[string][]bed.Object{"hub": bed.OpenHub("a"), "a": went})
		b.Journal = bed.InFlight(t, back)
		e.Provider.CannotPresent = func(_ plan.State, m plan.Member, _ guard.Cred) string {
			return tsb.Provider().CannotPresent(plan.State{}, plan.Member{Identity: plan.Identity{Name: m.Name},
				Connecting: plan.Connecting{Trust: plan.Trust{Unnamed: why != "", Why: why}}}, state.JWT)
		}
		if restored, err := restoreIn(t, e); !restored || err != nil || len(b.Wrote) != wrote || b.Journal != "" {
			t.Errorf("%q: restored %v, %v; wrote %q, left %q", why, restored, err, b.Wrote, b.Journal)
		}
	}
}

func TestAJournalThatAsksForAnythingButAModeIsRefused(t *testing.T) {
	change := func(change func(*plan.Write)) plan.Write {
		p := bed.Moved("a", "a").Writes[0]
		p.Before, p.After = p.After, p.Before
		change(&p)
		return p
	}
	host := map[string]any{"spec": map[string]any{"managementPlane": map[string]any{"host": "elsewhere.example.test"}}}
	for name, p := range map[string]plan.Write{
		"another field": change(func(p *plan.Write) { p.Before, p.After = nil, host }),
		"another field, too": change(func(p *plan.Write) {
			p.After["spec"].(map[string]any)["managementPlane"] = map[string]any{"host": "elsewhere.example.test"}
		}),
		"labels":                change(func(p *plan.Write) { p.After["metadata"] = map[string]any{"labels": map[string]any{"a": "b"}} }),
		"a new object":          change(func(p *plan.Write) { p.Op = plan.OpCreate }),
		"a status":              change(func(p *plan.Write) { p.Op = plan.OpUpdateStatus }),
		"another kind":          change(func(p *plan.Write) { p.Object.Resource = "gateways" }),
		"another group":         change(func(p *plan.Write) { p.Object.Group = "" }),
		"the wrong kind's mode": change(func(p *plan.Write) { p.Object.Resource = "managementplanes" }),
	} {
		t.Run(name, func(t *testing.T) {
			b, e := newBed(t, map[string][]bed.Object{"hub": bed.OpenHub("a"), "a": bed.OnJWT("a")})
			text, err := json.Marshal(engine.Entry{Wave: "canary", By: "mallory@host",
				Steps: []engine.EntryStep{{ID: "move/a", Member: "a", From: state.MTLS, Undo: []plan.Write{p}}}})
			if err != nil {
				t.Fatal(err)
			}
			b.Journal = string(text)
			r := e.Migrate(t.Context())
			if r.Err == nil || !strings.Contains(r.Err.Error(), "a change of") ||
				!strings.Contains(r.Err.Error(), api.JournalName) {
				t.Errorf("the run ends with %v, want what the journal asks for and where it is", r.Err)
			}
			if len(b.Wrote) > 0 || b.Journal == "" {
				t.Errorf("wrote %q, journal %q; want nothing written and the journal left to be looked at", b.Wrote, b.Journal)
			}
		})
	}
}

func TestMTLSIsTurnedOffOnWhatWasJustReadAlone(t *testing.T) {
	for _, tc := range []struct {
		name   string
		fails  string        // the list that cannot be read when it is asked for again
		passes time.Duration // right before the write: a lid is closed, an API server hangs
		want   bool
	}{
		{name: "all read, at once", want: true},
		{name: "eight hours pass", passes: 8 * time.Hour},
		{name: "a minute passes", passes: time.Minute},
		{name: "the hub is not read", fails: "/managementplanes"},
		{name: "the roster is not read", fails: "/edgeclusters"},
		{name: "the inventory is not read", fails: "/clusters"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b, e := newBed(t, map[string][]bed.Object{"hub": append(bed.OpenHub("a", "far"), bed.Stated("a"), bed.Stated("far")),
				"a": bed.OnJWT("a")})
			var mu sync.Mutex
			lists := 0
			b.OnGet = func(cluster, path string) bool {
				mu.Lock()
				defer mu.Unlock()
				switch {
				case cluster == "hub" && strings.HasSuffix(path, "/managementplanes/managementplane"):
					b.Elapse(tc.passes)
				case cluster == "hub" && tc.fails != "" && strings.HasSuffix(path, tc.fails):
					lists++
					return lists > 1
				}
				return false
			}
			r := e.Migrate(t.Context())
			if got := slices.Contains(b.Wrote, "hub managementplane"); got != tc.want {
				t.Errorf("mTLS was turned off: %v, want %v; %+v", got, tc.want, r.Outcomes)
			}
			if tc.fails != "" && lists < 2 {
				t.Errorf("%s was listed %d times, so this shows nothing", tc.fails, lists)
			}
			if b.Journal != "" {
				t.Errorf("a wave is left in flight: %s", b.Journal)
			}
		})
	}
}

func TestPublishingAnEdgeThatNothingReachesIsNotSuccess(t *testing.T) {
	_, e := newBed(t, map[string][]bed.Object{"hub": bed.OpenHub("a", "far"), "a": bed.OnJWT("a")})
	r, err := e.VerifyMembers(t.Context(), []string{"far"})
	if err != nil || r.ExitCode() != 4 {
		t.Errorf("exit code %d, %v; want 4: %+v", r.ExitCode(), err, r.Outcomes)
	}
}

func TestPuttingBack(t *testing.T) {
	for _, tc := range []struct {
		name  string
		where string // which context's reads fail
		times int
		want  bool
	}{
		{"nothing fails", "a", 0, true},
		{"one failed request to the hub", "hub", 1, true},
		{"one failed request to the edge", "a", 1, true},
		{"the edge answers no more", "a", 1000, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b, e := newBed(t, map[string][]bed.Object{"hub": bed.OpenHub("a"), "a": bed.OnJWT("a")})
			var mu sync.Mutex
			failed := 0
			b.OnGet = func(cluster, path string) bool {
				mu.Lock()
				defer mu.Unlock()
				needed := strings.HasSuffix(path, "/managementplanes") || strings.HasSuffix(path, "/controlplane")
				if cluster != tc.where || !needed || failed >= tc.times {
					return false
				}
				failed++
				return true
			}
			interrupted, cancel := context.WithCancelCause(t.Context())
			cancel(errors.New("Ctrl-C"))
			step := bed.Moved("a", "a")
			back := e.UndoAll(interrupted, []plan.Step{step})[step.ID]
			put, err := back.Wrote, back.Err
			if put != tc.want || (err == nil) != tc.want || slices.Contains(b.Wrote, "a controlplane") != tc.want {
				t.Errorf("put back: %v, %v, wrote %q; want %v", put, err, b.Wrote, tc.want)
			}
			if tc.times > 0 && failed == 0 {
				t.Error("no request failed, so this shows nothing")
			}
		})
	}
}

// An edge whose API server answers no more keeps no other from being put back, wherever in its wave it stands.
func TestAnEdgeThatDoesNotAnswerKeepsNoOtherFromBeingPutBack(t *testing.T) {
	b, e := newBed(t, map[string][]bed.Object{"hub": bed.OpenHub("a", "b"), "a": bed.OnJWT("a"), "b": bed.OnJWT("b")})
	var mu sync.Mutex
	tries, after := 0, 0
	b.OnGet = func(cluster, path string) bool {
		if cluster != "a" || !strings.HasSuffix(path, "/controlplane") {
			return false
		}
		mu.Lock()
		defer mu.Unlock()
		if tries++; after == 0 && b.HasWritten("b controlplane") {
			after = tries
		}
		return true
	}
	steps := []plan.Step{bed.Moved("a", "a"), bed.Moved("b", "b")}
	back := e.UndoAll(t.Context(), steps)
	if a, b := back[steps[0].ID], back[steps[1].ID]; a.Err == nil || b.Err != nil || !b.Wrote || after < 1 ||
		after > 2 || tries < 3 {
		t.Errorf("a: %v; b: %v, %v; it was put back before try %d of %d of a, and must be before the second", a.Err, b.Wrote,
			b.Err, after, tries)
	}
}

func TestAMemberThatIsGoneDoesNotStopEveryLaterRun(t *testing.T) {
	b, e := newBed(t, map[string][]bed.Object{"hub": bed.OpenHub("b"), "a": {apifake.KubeSystem("a")},
		"b": apifake.Edge("b")})
	b.Journal = bed.InFlight(t, bed.Moved("a", "a"))
	if _, err := restoreIn(t, e); err != nil || b.Journal != "" {
		t.Errorf("every later run ends here: %v; the journal: %s", err, b.Journal)
	}
}

// A statement that an edge's team provided lies around while the hub's team takes the edge back: it was seen after
// the one in the roster, and before that was taken back.
func TestTakingAStatementBackOutdatesEverythingThatWasSeenBefore(t *testing.T) {
	b, e := newBed(t, map[string][]bed.Object{"hub": append(bed.OpenHub("far"), bed.Stated("far"))})
	var body struct{ Status api.EdgeClusterStatus }
	b.Servers["hub"].Answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, "/far/status") {
			text, err := io.ReadAll(r.Body)
			if err = errors.Join(err, json.Unmarshal(text, &body)); err != nil {
				t.Error(err)
			}
			b.Servers["hub"].Written(w, r, text)
			return true
		}
		return false
	}
	void := plan.Write{Context: "hub", Object: roster.Ref("", "far"), Op: plan.OpUpdateStatus, After: roster.RetractedStatus()}
	if _, err := e.WriteOne(t.Context(), void); err != nil {
		t.Fatal(err)
	}
	listed := bed.HandedOver("far", time.Hour, nil)
	listed.Status = body.Status
	handed := bed.HandedOver("far", time.Minute, nil)
	if why := roster.Unacceptable(handed, &listed, e.Observe(t.Context()), state.JWT); !strings.Contains(why,
		"was taken back since") {
		t.Errorf("it is taken over (%q) although what was stated was taken back at %v", why, body.Status.ObservedTime)
	}
}
