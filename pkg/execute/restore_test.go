package execute

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
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/observe"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

type object = apifake.Object

// enroller enrols members of the bed.
func (b *bed) enroller() Enroller { return Enroller{b.Live} }

// bed is clusters over real HTTP that store nothing but the journal and record what is written, with a clock of their
// own.
type bed struct {
	*Live
	servers map[string]*apifake.Server
	onGet   func(context, path string) (fail bool) // set before the run

	mu      sync.Mutex
	ahead   time.Duration // of the real time
	wrote   []string      // "context object", in order
	journal string
	history string
	kept    []string // each journal that was written, in order
}

// newBed starts a server for each context and returns an executor whose hub is the context "hub".
func newBed(t *testing.T, clusters map[string][]object) (*bed, *Executor) {
	t.Helper()
	b := &bed{servers: map[string]*apifake.Server{}}
	for name, objects := range clusters {
		s := apifake.Start(objects...)
		t.Cleanup(s.Close)
		s.Answer = func(w http.ResponseWriter, r *http.Request) bool { return b.answer(name, w, r) }
		b.servers[name] = s
	}
	path, err := apifake.Kubeconfig(t.TempDir(), b.servers, nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := kubeconfig.Load(kubeconfig.Options{Kubeconfig: path})
	if err != nil {
		t.Fatal(err)
	}
	d := tsb.Provider()
	b.Live = &Live{Fleet: f, Provider: d, Where: plan.Selection{Hub: "hub"},
		Observer: &observe.Observer{Fleet: f, Reads: d.Reads, RequestTimeout: 5 * time.Second, MemberTimeout: 10 * time.Second, Limit: 8, Now: time.Now}}
	return b, &Executor{Clusters: b, Provider: d, Source: "me", Poll: time.Millisecond, UndoWithin: 10 * time.Second,
		Goal: plan.Goal{To: state.JWT, Pace: plan.Pace{Within: time.Millisecond, Unrotated: []string{"a", "far"}}}, Report: func(e Event) { t.Logf("%s: %s", e.Member, e.Text) }, hub: "hub"}
}

func (b *bed) answer(cluster string, w http.ResponseWriter, r *http.Request) bool {
	name := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	if r.Method == http.MethodGet && b.onGet != nil && b.onGet(cluster, r.URL.Path) {
		apifake.Status(w, http.StatusInternalServerError, "InternalError", "etcdserver: request timed out")
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch {
	case name == "selfsubjectaccessreviews": // who may do everything
		return false
	case r.Method != http.MethodGet && name == api.JournalName:
		var cm struct{ Data map[string]string }
		if err := json.NewDecoder(r.Body).Decode(&cm); err != nil {
			apifake.Status(w, http.StatusBadRequest, "BadRequest", err.Error())
			return true
		}
		b.journal, b.history = cm.Data[api.JournalKey], cm.Data[api.HistoryKey]
		b.kept = append(b.kept, b.journal)
	case r.Method != http.MethodGet:
		b.wrote = append(b.wrote, cluster+" "+name)
	case name == api.JournalName && (b.journal != "" || cluster == "hub" && b.history != ""):
		json.NewEncoder(w).Encode(object{"apiVersion": "v1", "kind": "ConfigMap", "metadata": object{"name": name}, "data": object{api.JournalKey: b.journal, api.HistoryKey: b.history}})
		return true
	default:
		return false
	}
	io.WriteString(w, `{"apiVersion":"v1","kind":"Status","status":"Success","metadata":{}}`)
	return true
}

// Now implements Clusters.
func (b *bed) Now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Now().Add(b.ahead)
}

// Pause implements Clusters: the time passes at once.
func (b *bed) Pause(_ context.Context, d time.Duration) { b.skip(d) }

func (b *bed) skip(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ahead += d
}

// free is a lock that nobody contends for.
type free struct{}

func (free) Held() error { return nil }
func (free) Unlock()     {}

// Lock implements Clusters: who holds the lock is shown on real API servers.
func (b *bed) Lock(context.Context, string, string) (Lock, error) { return free{}, nil }

// restoreIn enters the hub and restores what its journal holds.
func restoreIn(t *testing.T, e *Executor) (bool, error) {
	t.Helper()
	f := e.observe(t.Context())
	if err := e.lockAll(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	return e.undoInterrupted(t.Context(), f, map[string]Outcome{})
}

// openHub is a hub that accepts both modes, with an empty roster.
func openHub(clusters ...string) []object {
	objects := apifake.Hub(clusters...)
	for _, o := range objects {
		if o["kind"] == "ManagementPlane" {
			o["spec"] = object{"components": object{"xcp": object{"centralAuthModes": object{"jwt": true, "mutualTls": true}}}}
		}
	}
	return append(objects, object{"apiVersion": "v1", "kind": "Namespace", "metadata": object{"name": api.Namespace, "uid": "u"}})
}

// jwtHub is a hub that accepts JWTs alone.
func jwtHub(clusters ...string) []object {
	objects := openHub(clusters...)
	for _, o := range objects {
		if o["kind"] == "ManagementPlane" {
			o["spec"] = object{"components": object{"xcp": object{"centralAuthModes": object{"jwt": true, "mutualTls": false}}}}
		}
	}
	return objects
}

// onJWT is a cluster whose edge was moved to a JWT.
func onJWT(cluster string) []object {
	objects := apifake.Edge(cluster)
	for _, o := range objects {
		switch o["kind"] {
		case "ControlPlane":
			o["spec"].(object)["components"] = object{"xcp": object{"centralAuthMode": "JWT"}}
		case "EdgeXcp":
			o["spec"] = object{"centralAuthMode": "JWT"}
		case "Pod":
			o["spec"] = object{"volumes": []any{object{"name": "t", "secret": object{"secretName": "xcp-edge-central-auth-token"}}}}
		}
	}
	return objects
}

// stated is the roster's entry of an edge that was just proved to present a JWT.
func stated(name string) object {
	at := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }
	return object{"apiVersion": api.GroupVersion.String(), "kind": "EdgeCluster", "metadata": object{"name": name, "namespace": api.Namespace, "uid": "uid-entry-" + name},
		"spec":   object{"clusterName": name, "role": "Edge", "controlPlane": object{"namespace": "istio-system", "name": "controlplane", "uid": "uid-" + name + "-controlplane"}},
		"status": object{"presents": []any{"jwt"}, "observedTime": at(0), "validUntil": at(15 * time.Minute), "controlPlaneUID": "uid-" + name + "-controlplane"}}
}

func mode(v any) map[string]any {
	return map[string]any{"spec": map[string]any{"components": map[string]any{"xcp": map[string]any{"centralAuthMode": v}}}}
}

// moved is the step that set the edge of a cluster to JWT, as a run wrote it whose context for it had the given name.
func moved(context, cluster string) plan.Step {
	return plan.Step{ID: "move/" + cluster, Member: cluster, RevertsTo: state.MTLS, Writes: []plan.Write{{Context: context, Cluster: "uid-of-" + cluster, Before: mode("MUTUAL_TLS"), After: mode("JWT"),
		Object: plan.Ref{Group: "install.tetrate.io", Version: "v1alpha1", Resource: "controlplanes", Kind: "ControlPlane", Namespace: "istio-system", Name: "controlplane", UID: "uid-" + cluster + "-controlplane"}}}}
}

// inFlight is the journal of a run that was interrupted in a wave of these steps.
func inFlight(t *testing.T, steps ...plan.Step) string {
	t.Helper()
	text, err := json.Marshal(entryOf("the rest", steps, "ann@host", time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestRestoring(t *testing.T) {
	neverWritten := func(cluster string) []object { // no centralAuthMode: the write of it was denied, or the run died before it
		objects := apifake.Edge(cluster)
		for _, o := range objects {
			if o["kind"] == "ControlPlane" {
				delete(o["spec"].(object), "components")
			}
		}
		return objects
	}
	otherName := moved("a", "a")
	otherName.Member = "a-ann"
	fromUnset := moved("a", "a")
	fromUnset.Writes[0].Before, fromUnset.Writes[0].UndoTo = mode(nil), mode("MUTUAL_TLS")
	for _, tc := range []struct {
		name     string
		clusters map[string][]object
		down     string
		steps    []plan.Step
		wrote    []string // what is written before the journal is, or the run goes on
		left     []string // the steps that stay in the journal
	}{
		{"one dead cluster does not keep the others from being restored",
			map[string][]object{"hub": openHub("a", "b"), "a": onJWT("a"), "b": onJWT("b")}, "a",
			[]plan.Step{moved("a", "a"), moved("b", "b")}, []string{"b controlplane"}, []string{"move/a"}},
		{"a colleague calls the cluster otherwise, and another one so",
			map[string][]object{"hub": openHub("a", "z"), "prod-a": onJWT("a"), "a": apifake.Edge("z")}, "",
			[]plan.Step{moved("a", "a")}, []string{"prod-a controlplane"}, nil},
		{"a colleague has the cluster in no context",
			map[string][]object{"hub": openHub("a", "z"), "a": apifake.Edge("z")}, "",
			[]plan.Step{moved("a", "a")}, nil, []string{"move/a"}},
		{"the statement is taken back first",
			map[string][]object{"hub": append(openHub("a"), stated("a")), "a": onJWT("a")}, "",
			[]plan.Step{moved("a", "a")}, []string{"hub status", "a controlplane"}, nil},
		{"the statement is taken back under the name that this run has for it",
			map[string][]object{"hub": append(openHub("a"), stated("a")), "a": onJWT("a")}, "",
			[]plan.Step{otherName}, []string{"hub status", "a controlplane"}, nil},
		{"a ControlPlane that was re-created is left alone",
			map[string][]object{"hub": openHub("b"), "a": append(apifake.Edge("b"), apifake.KubeSystem("a"))}, "",
			[]plan.Step{moved("a", "a")}, nil, nil},
		{"a write that was never made",
			map[string][]object{"hub": openHub("a"), "a": neverWritten("a")}, "",
			[]plan.Step{fromUnset}, nil, nil},
		{"a hub that accepts no certificates any more",
			map[string][]object{"hub": jwtHub("a"), "a": onJWT("a")}, "",
			[]plan.Step{moved("a", "a")}, nil, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b, e := newBed(t, tc.clusters)
			b.journal = inFlight(t, tc.steps...)
			if tc.down != "" {
				b.servers[tc.down].Close()
			}
			restored, err := restoreIn(t, e)
			if !restored || (err != nil) != (tc.left != nil) {
				t.Errorf("restored %v, %v; want the steps %v left", restored, err, tc.left)
			}
			if !slices.Equal(b.wrote, tc.wrote) {
				t.Errorf("wrote %q, want %q", b.wrote, tc.wrote)
			}
			var left []string
			if b.journal != "" {
				var entry Entry
				if err := json.Unmarshal([]byte(b.journal), &entry); err != nil {
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
	back := moved("a", "a")
	back.ID, back.RevertsTo = "back/a", state.JWT
	back.Writes[0].Before, back.Writes[0].After = mode("JWT"), mode("MUTUAL_TLS")
	for why, wrote := range map[string]int{"": 1, "Central's certificate lacks the name that it dials": 0} {
		went := apifake.Edge("a")
		for _, o := range went {
			if o["kind"] == "ControlPlane" {
				o["spec"].(object)["components"] = object{"xcp": object{"centralAuthMode": "MUTUAL_TLS"}}
			}
		}
		b, e := newBed(t, map[string][]object{"hub": openHub("a"), "a": went})
		b.journal = inFlight(t, back)
		e.Provider.CannotPresent = func(_ plan.State, m plan.Member, _ guard.Cred) string {
			return tsb.Provider().CannotPresent(plan.State{}, plan.Member{Identity: plan.Identity{Name: m.Name}, Connecting: plan.Connecting{Trust: plan.Trust{Unnamed: why != "", Why: why}}}, state.JWT)
		}
		if restored, err := restoreIn(t, e); !restored || err != nil || len(b.wrote) != wrote || b.journal != "" {
			t.Errorf("%q: restored %v, %v; wrote %q, left %q", why, restored, err, b.wrote, b.journal)
		}
	}
}

func TestAJournalThatAsksForAnythingButAModeIsRefused(t *testing.T) {
	change := func(change func(*plan.Write)) plan.Write {
		p := moved("a", "a").Writes[0]
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
			b, e := newBed(t, map[string][]object{"hub": openHub("a"), "a": onJWT("a")})
			text, err := json.Marshal(Entry{Wave: "canary", By: "mallory@host", Steps: []EntryStep{{ID: "move/a", Member: "a", From: state.MTLS, Undo: []plan.Write{p}}}})
			if err != nil {
				t.Fatal(err)
			}
			b.journal = string(text)
			r := e.Migrate(t.Context())
			if r.Err == nil || !strings.Contains(r.Err.Error(), "a change of") || !strings.Contains(r.Err.Error(), api.JournalName) {
				t.Errorf("the run ends with %v, want what the journal asks for and where it is", r.Err)
			}
			if len(b.wrote) > 0 || b.journal == "" {
				t.Errorf("wrote %q, journal %q; want nothing written and the journal left to be looked at", b.wrote, b.journal)
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
			b, e := newBed(t, map[string][]object{"hub": append(openHub("a", "far"), stated("a"), stated("far")), "a": onJWT("a")})
			var mu sync.Mutex
			lists := 0
			b.onGet = func(cluster, path string) bool {
				mu.Lock()
				defer mu.Unlock()
				switch {
				case cluster == "hub" && strings.HasSuffix(path, "/managementplanes/managementplane"):
					b.skip(tc.passes)
				case cluster == "hub" && tc.fails != "" && strings.HasSuffix(path, tc.fails):
					lists++
					return lists > 1
				}
				return false
			}
			r := e.Migrate(t.Context())
			if got := slices.Contains(b.wrote, "hub managementplane"); got != tc.want {
				t.Errorf("mTLS was turned off: %v, want %v; %+v", got, tc.want, r.Outcomes)
			}
			if tc.fails != "" && lists < 2 {
				t.Errorf("%s was listed %d times, so this shows nothing", tc.fails, lists)
			}
			if b.journal != "" {
				t.Errorf("a wave is left in flight: %s", b.journal)
			}
		})
	}
}

func TestPublishingAnEdgeThatNothingReachesIsNotSuccess(t *testing.T) {
	_, e := newBed(t, map[string][]object{"hub": openHub("a", "far"), "a": onJWT("a")})
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
			b, e := newBed(t, map[string][]object{"hub": openHub("a"), "a": onJWT("a")})
			var mu sync.Mutex
			failed := 0
			b.onGet = func(cluster, path string) bool {
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
			step := moved("a", "a")
			back := e.undoAll(interrupted, []plan.Step{step})[step.ID]
			put, err := back.wrote, back.err
			if put != tc.want || (err == nil) != tc.want || slices.Contains(b.wrote, "a controlplane") != tc.want {
				t.Errorf("put back: %v, %v, wrote %q; want %v", put, err, b.wrote, tc.want)
			}
			if tc.times > 0 && failed == 0 {
				t.Error("no request failed, so this shows nothing")
			}
		})
	}
}

// An edge whose API server answers no more keeps no other from being put back, wherever in its wave it stands.
func TestAnEdgeThatDoesNotAnswerKeepsNoOtherFromBeingPutBack(t *testing.T) {
	b, e := newBed(t, map[string][]object{"hub": openHub("a", "b"), "a": onJWT("a"), "b": onJWT("b")})
	tries, after := 0, 0
	b.onGet = func(cluster, path string) bool {
		if cluster != "a" || !strings.HasSuffix(path, "/controlplane") {
			return false
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if tries++; after == 0 && slices.Contains(b.wrote, "b controlplane") {
			after = tries
		}
		return true
	}
	steps := []plan.Step{moved("a", "a"), moved("b", "b")}
	back := e.undoAll(t.Context(), steps)
	if a, b := back[steps[0].ID], back[steps[1].ID]; a.err == nil || b.err != nil || !b.wrote || after < 1 || after > 2 || tries < 3 {
		t.Errorf("a: %v; b: %v, %v; it was put back before try %d of %d of a, and must be before the second", a.err, b.wrote, b.err, after, tries)
	}
}

func TestAMemberThatIsGoneDoesNotStopEveryLaterRun(t *testing.T) {
	b, e := newBed(t, map[string][]object{"hub": openHub("b"), "a": {apifake.KubeSystem("a")}, "b": apifake.Edge("b")})
	b.journal = inFlight(t, moved("a", "a"))
	if _, err := restoreIn(t, e); err != nil || b.journal != "" {
		t.Errorf("every later run ends here: %v; the journal: %s", err, b.journal)
	}
}

func TestForgettingAMemberTakesItOutOfTheWaveInFlight(t *testing.T) {
	b, e := newBed(t, map[string][]object{"hub": openHub("b"), "b": apifake.Edge("b")})
	b.journal = inFlight(t, moved("a", "a"))
	live := e.Clusters.(*bed).Live
	if err := (Enroller{live}).Forget(t.Context(), "a", "me", "gone", false); err == nil {
		t.Error("forgotten while in flight, without being told that this is meant")
	}
	if err := (Enroller{live}).Forget(t.Context(), "a", "me", "gone", true); err != nil || b.journal != "" {
		t.Errorf("%v; the journal: %s", err, b.journal)
	}
}
