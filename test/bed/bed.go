// Package bed is clusters over real HTTP for tests of a run: they store nothing but the journal, record what is
// written, and have a clock of their own. It must not decide what is right.
package bed

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/apply"
	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/observe"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

type Object = apifake.Object

// Bed is clusters over real HTTP that store nothing but the journal and record what is written, with a clock of their
// own.
type Bed struct {
	*apply.Live
	Servers map[string]*apifake.Server
	OnGet   func(context, path string) (fail bool) // set before the run

	mu      sync.Mutex
	ahead   time.Duration // of the real time
	Wrote   []string      // "context object", in order
	Journal string
	History string
	Kept    []string // each journal that was written, in order
}

// New starts a server for each context, and returns a run on them whose hub is the context "hub".
func New(t *testing.T, clusters map[string][]Object) (*Bed, *engine.Executor) {
	t.Helper()
	b := &Bed{Servers: map[string]*apifake.Server{}}
	for name, objects := range clusters {
		s := apifake.Start(objects...)
		t.Cleanup(s.Close)
		s.Answer = func(w http.ResponseWriter, r *http.Request) bool { return b.answer(name, w, r) }
		b.Servers[name] = s
	}
	f := Fleet(t, b.Servers)
	d := tsb.Provider()
	b.Live = &apply.Live{Fleet: f, Provider: d, Where: plan.Selection{Hub: "hub"},
		Observer: &observe.Observer{Fleet: f, Reads: d.Reads, RequestTimeout: 5 * time.Second,
			MemberTimeout: 10 * time.Second, Limit: 8, Now: time.Now}}
	return b, &engine.Executor{Clusters: b, Provider: d, Source: "me", Poll: time.Millisecond,
		UndoWithin: 10 * time.Second,
		Goal:       plan.Goal{To: state.JWT, Pace: plan.Pace{Within: time.Millisecond, Unrotated: []string{"a", "far"}}},
		Report:     func(e engine.Event) { t.Logf("%s: %s", e.Member, e.Text) }}
}

// Fleet is the contexts of a kubeconfig with one for each server.
func Fleet(t *testing.T, servers map[string]*apifake.Server) *kubeconfig.Fleet {
	t.Helper()
	path, err := apifake.Kubeconfig(t.TempDir(), servers, nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := kubeconfig.Load(kubeconfig.Options{Kubeconfig: path})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (b *Bed) answer(cluster string, w http.ResponseWriter, r *http.Request) bool {
	name := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	if r.Method == http.MethodGet && b.OnGet != nil && b.OnGet(cluster, r.URL.Path) {
		apifake.Status(w, http.StatusInternalServerError, "InternalError", "etcdserver: request timed out")
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if name == "selfsubjectaccessreviews" { // who may do everything
		return false
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		apifake.Status(w, http.StatusBadRequest, "BadRequest", err.Error())
		return true
	}
	switch {
	case r.Method != http.MethodGet && name == api.JournalName:
		var cm struct{ Data map[string]string }
		if err := json.Unmarshal(body, &cm); err != nil {
			apifake.Status(w, http.StatusBadRequest, "BadRequest", err.Error())
			return true
		}
		b.Journal, b.History = cm.Data[api.JournalKey], cm.Data[api.HistoryKey]
		b.Kept = append(b.Kept, b.Journal)
	case r.Method != http.MethodGet:
		b.Wrote = append(b.Wrote, cluster+" "+name)
	case name == api.JournalName && (b.Journal != "" || cluster == "hub" && b.History != ""):
		json.NewEncoder(w).Encode(Object{"apiVersion": "v1", "kind": "ConfigMap", "metadata": Object{"name": name},
			"data": Object{api.JournalKey: b.Journal, api.HistoryKey: b.History}})
		return true
	default:
		return false
	}
	b.Servers[cluster].Written(w, r, body)
	return true
}

// Now implements Clusters.
func (b *Bed) Now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Now().Add(b.ahead)
}

// Pause implements Clusters: the time passes at once.
func (b *Bed) Pause(_ context.Context, d time.Duration) { b.Elapse(d) }

// Elapse lets time pass.
func (b *Bed) Elapse(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ahead += d
}

// Free is a lock that nobody contends for.
type Free struct{}

// Held says that it is held.
func (Free) Held() error { return nil }

// Unlock does nothing.
func (Free) Unlock() {}

// Lock implements Clusters: who holds the lock is shown on real API servers.
func (b *Bed) Lock(context.Context, string, string) (engine.Lock, error) { return Free{}, nil }

// HasWritten says whether an object of a context was written.
func (b *Bed) HasWritten(what string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Contains(b.Wrote, what)
}

// OpenHub is a hub that accepts both modes, with an empty roster.
func OpenHub(clusters ...string) []Object {
	objects := apifake.Hub(clusters...)
	for _, o := range objects {
		if o["kind"] == "ManagementPlane" {
			o["spec"] = Object{"components": Object{"xcp": Object{"centralAuthModes": Object{"jwt": true, "mutualTls": true}}}}
		}
	}
	return append(objects, Object{"apiVersion": "v1", "kind": "Namespace",
		"metadata": Object{"name": api.Namespace, "uid": "u"}})
}

// JWTHub is a hub that accepts JWTs alone.
func JWTHub(clusters ...string) []Object {
	objects := OpenHub(clusters...)
	for _, o := range objects {
		if o["kind"] == "ManagementPlane" {
			o["spec"] = Object{"components": Object{"xcp": Object{"centralAuthModes": Object{"jwt": true, "mutualTls": false}}}}
		}
	}
	return objects
}

// SilentHub is a hub that does not say what it accepts, where others did before: somebody has emptied that.
func SilentHub(clusters ...string) []Object {
	objects := OpenHub(clusters...)
	for _, o := range objects {
		if o["kind"] == "ManagementPlane" {
			o["spec"] = Object{"components": Object{"xcp": Object{"centralAuthModes": Object{}}}}
		}
	}
	return objects
}

// OnJWT is a cluster whose edge was moved to a JWT.
func OnJWT(cluster string) []Object {
	objects := apifake.Edge(cluster)
	for _, o := range objects {
		switch o["kind"] {
		case "ControlPlane":
			o["spec"].(Object)["components"] = Object{"xcp": Object{"centralAuthMode": "JWT"}}
		case "EdgeXcp":
			o["spec"] = Object{"centralAuthMode": "JWT"}
		case "Pod":
			o["spec"] = Object{"volumes": []any{Object{"name": "t",
				"secret": Object{"secretName": "xcp-edge-central-auth-token"}}}}
		}
	}
	return objects
}

// Stated is the roster's entry of an edge that was just verified to present a JWT.
func Stated(name string) Object {
	at := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }
	return Object{"apiVersion": api.GroupVersion.String(), "kind": "EdgeCluster",
		"metadata": Object{"name": name, "namespace": api.Namespace, "uid": "uid-entry-" + name},
		"spec": Object{"clusterName": name, "role": "Edge", "controlPlane": Object{"namespace": "istio-system",
			"name": "controlplane", "uid": "uid-" + name + "-controlplane"}},
		"status": Object{"presents": []any{"jwt"}, "observedTime": at(0), "validUntil": at(15 * time.Minute),
			"controlPlaneUID": "uid-" + name + "-controlplane"}}
}

// Mode is the part of a ControlPlane that says what the edge presents.
func Mode(v any) map[string]any {
	xcp := map[string]any{"centralAuthMode": v}
	return map[string]any{"spec": map[string]any{"components": map[string]any{"xcp": xcp}}}
}

// Moved is the step that set the edge of a cluster to JWT, as a run wrote it whose context for it had the given name.
func Moved(context, cluster string) plan.Step {
	return plan.Step{ID: "move/" + cluster, Member: cluster, RevertsTo: state.MTLS,
		Writes: []plan.Write{{Context: context, Cluster: "uid-of-" + cluster, Before: Mode("MUTUAL_TLS"), After: Mode("JWT"),
			Object: plan.Ref{Group: "install.tetrate.io", Version: "v1alpha1", Resource: "controlplanes", Kind: "ControlPlane",
				Namespace: "istio-system", Name: "controlplane", UID: "uid-" + cluster + "-controlplane"}}}}
}

// InFlight is the journal of a run that was interrupted in a wave of these steps.
func InFlight(t *testing.T, steps ...plan.Step) string {
	t.Helper()
	text, err := json.Marshal(engine.EntryOf("the rest", steps, "ann@host", time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// HandedOver is what the team of an edge verified a while ago.
func HandedOver(name string, ago time.Duration, change func(*api.EdgeCluster)) api.EdgeCluster {
	m := plan.Member{Identity: plan.Identity{Name: name, ClusterName: name, ClusterUID: "uid-of-" + name,
		Role: plan.RoleEdge, Object: plan.Ref{Namespace: "istio-system", Name: "controlplane",
			UID: "uid-" + name + "-controlplane"}}}
	e := roster.Entry("", m)
	e.Status = roster.Statement(m, state.JWT, true, nil, []string{"EdgeXcp says JWT"}, "ann@edge",
		time.Now().Add(-ago).UTC())
	if change != nil {
		change(&e)
	}
	return e
}
