package live

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/edgereader"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
	"github.com/xcpauth/kubectl-xcpauth/webhook/verdict"
)

type m = map[string]any

const secretsPath = "/api/v1/namespaces/xcpauth-edges/secrets"

// fakeHub is a hub: its roster, and the API server of its Secrets with their resourceVersions.
type fakeHub struct {
	testing.TB
	server *httptest.Server

	mu      sync.Mutex
	secrets map[string]m
	version int
	roster  []api.EdgeCluster
	answer  func(w http.ResponseWriter, r *http.Request) bool
	asked   []string
}

func startHub(t testing.TB) *fakeHub {
	h := &fakeHub{TB: t, secrets: map[string]m{}}
	h.server = httptest.NewServer(http.HandlerFunc(h.handle))
	t.Cleanup(h.server.Close)
	return h
}

// put stores the Secret of an edge; nil data deletes it.
func (h *fakeHub) put(name string, data m, annotations map[string]string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if data == nil {
		delete(h.secrets, name)
		return
	}
	h.version++
	h.secrets[name] = m{"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": data,
		"metadata": m{"namespace": "xcpauth-edges", "name": name, "annotations": annotations,
			"resourceVersion": fmt.Sprint(h.version)}}
}

// register puts an edge into the roster, to be read live, with its kubeconfig.
func (h *fakeHub) register(e *fakeEdge) {
	h.Helper()
	h.store(e)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.roster = append(h.roster, api.EdgeCluster{TypeMeta: metav1.TypeMeta{APIVersion: "xcpauth.io/v1alpha1",
		Kind: "EdgeCluster"}, ObjectMeta: metav1.ObjectMeta{Namespace: api.Namespace, Name: e.name},
		Spec: api.EdgeClusterSpec{ClusterName: e.name, Role: api.RoleEdge, Evidence: api.EvidenceLive,
			ControlPlane: &api.ControlPlaneReference{Namespace: "istio-system", Name: "controlplane", UID: "uid-" + e.name +
				"-controlplane"}}})
}

func (h *fakeHub) listRoster(context.Context) ([]api.EdgeCluster, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.roster), nil
}

// store writes the edge's kubeconfig of now.
func (h *fakeHub) store(e *fakeEdge) {
	h.put(e.name, m{"kubeconfig": e.kubeconfig()}, edgereader.Token{Issued: time.Now(),
		Expires: time.Now().Add(time.Hour)}.Annotations())
}

// kubeconfig is the one that lies in the hub.
func (h *fakeHub) kubeconfig(name string) edgereader.Kubeconfig {
	h.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	data := h.secrets[name]["data"].(m)
	b, err := json.Marshal(data)
	if err != nil {
		h.Fatal(err)
	}
	var decoded struct{ Kubeconfig []byte }
	if err := json.Unmarshal(b, &decoded); err != nil {
		h.Fatal(err)
	}
	k, err := edgereader.Parse(decoded.Kubeconfig)
	if err != nil {
		h.Fatal(err)
	}
	return k
}

func (h *fakeHub) handle(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	answer := h.answer
	h.asked = append(h.asked, r.Method+" "+r.URL.Path)
	h.mu.Unlock()
	if answer != nil && answer(w, r) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	name := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, secretsPath), "/")
	switch {
	case r.URL.Path == secretsPath:
		var items []m
		for _, n := range slices.Sorted(maps.Keys(h.secrets)) {
			items = append(items, h.secrets[n])
		}
		json.NewEncoder(w).Encode(m{"apiVersion": "v1", "kind": "SecretList", "metadata": m{}, "items": items})
	case h.secrets[name] == nil:
		apifake.Status(w, http.StatusNotFound, "NotFound", "not found")
	case r.Method == http.MethodPut:
		var o m
		if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
			apifake.Status(w, http.StatusBadRequest, "BadRequest", err.Error())
			return
		}
		if o["metadata"].(m)["resourceVersion"] != h.secrets[name]["metadata"].(m)["resourceVersion"] {
			apifake.Status(w, http.StatusConflict, "Conflict", "changed meanwhile")
			return
		}
		h.version++
		o["metadata"].(m)["resourceVersion"] = fmt.Sprint(h.version)
		h.secrets[name] = o
		json.NewEncoder(w).Encode(o)
	default:
		json.NewEncoder(w).Encode(h.secrets[name])
	}
}

// decider is a webhook's replica as far as live reads go.
type decider struct {
	testing.TB
	hub    *fakeHub
	reader *Reader
	log    *bytes.Buffer
	within time.Duration // what the API server gives a decision
}

func (h *fakeHub) decider(within time.Duration) *decider {
	h.Helper()
	d := &decider{TB: h, hub: h, log: &bytes.Buffer{}, within: within}
	var mu sync.Mutex
	var err error
	d.reader, err = NewReader(&rest.Config{Host: h.server.URL}, api.EdgesNamespace(api.Namespace), h.listRoster, "test",
		slog.New(slog.NewTextHandler(locked{&mu, d.log}, nil)))
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(d.reader.Close)
	return d
}

type locked struct {
	mu *sync.Mutex
	to *bytes.Buffer
}

func (l locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.to.Write(p)
}

// decide answers whether mTLS may go off. The roster's statements say that everybody is on JWT: they must not count.
func (d *decider) decide() verdict.Verdict {
	d.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d.within)
	defer cancel()
	read := d.reader.WithLiveReads(func(context.Context, string) (verdict.Inventory, error) {
		d.hub.mu.Lock()
		defer d.hub.mu.Unlock()
		now, until := metav1.Now(), metav1.NewTime(time.Now().Add(time.Minute))
		var inv verdict.Inventory
		for _, e := range d.hub.roster {
			e.Status = api.EdgeClusterStatus{Presents: []string{"jwt"}, ObservedTime: &now, ValidUntil: &until,
				ControlPlaneUID: e.Spec.ControlPlane.UID, Source: "a statement"}
			inv.Roster = append(inv.Roster, e)
		}
		return inv, nil
	})
	q, err := verdict.Ask(verdict.Request{Operation: verdict.Update, Namespace: "tsb", Name: "managementplane",
		Old: managementPlane(true), New: managementPlane(false)})
	if err != nil {
		d.Fatal(err)
	}
	inv, err := read(ctx, "tsb")
	if err != nil {
		d.Fatal(err)
	}
	v := q.Answer(inv, time.Now())
	if strings.Contains(fmt.Sprintf("%+v", v)+fmt.Sprintf("%+v", inv.Live), canary) {
		d.Errorf("a token is in the answer: %s", v.Message)
	}
	return v
}

func managementPlane(mutualTLS bool) m {
	return m{"metadata": m{"namespace": "tsb", "name": "managementplane"},
		"spec": m{"components": m{"xcp": m{"centralAuthModes": m{"jwt": true, "mutualTls": mutualTLS}}}}}
}

// admits and denies decide, and fail unless the answer is that.
func (d *decider) admits(when string) {
	d.Helper()
	if v := d.decide(); !v.Allowed {
		d.Errorf("%s: denied, want it admitted: %s", when, v.Message)
	}
}

func (d *decider) denies(when string, texts ...string) {
	d.Helper()
	v := d.decide()
	if v.Allowed || v.Code != http.StatusForbidden {
		d.Errorf("%s: allowed %v, code %d, want a denial by the rule", when, v.Allowed, v.Code)
	}
	for _, text := range texts {
		if !strings.Contains(v.Message, text) {
			d.Errorf("%s: the denial lacks %q:\n%s", when, text, v.Message)
		}
	}
}
