//go:build linux

package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/test/cases"
	"github.com/xcpauth/kubectl-xcpauth/test/testbed"
	"github.com/xcpauth/kubectl-xcpauth/test/webhooknode"
)

type m = map[string]any

var (
	managementPlanes = schema.GroupVersionResource{Group: "install.tetrate.io", Version: "v1alpha1",
		Resource: "managementplanes"}
	controlPlanes = schema.GroupVersionResource{Group: "install.tetrate.io", Version: "v1alpha1",
		Resource: "controlplanes"}
	edgeXcps = schema.GroupVersionResource{Group: "install.xcp.tetrate.io", Version: "v1alpha1",
		Resource: "edgexcps"}
	xcpClusters = schema.GroupVersionResource{Group: "xcp.tetrate.io", Version: "v2", Resource: "clusters"}
	crds        = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1",
		Resource: "customresourcedefinitions"}
)

const (
	system    = api.Namespace
	component = webhooknode.Name
	limit     = 2 * time.Minute // how long anything may take that is waited for
)

// hub is a real cluster with the webhook's manifests in it.
type hub struct {
	*testing.T
	bed     *testbed.Bed
	cluster *testbed.Cluster
	objects dynamic.Interface // as administrator
	kube    kubernetes.Interface
	warned  *warnings
	binary  string // the webhook's, once it is installed
}

// startHub starts the hub, and more clusters beside it.
func startHub(t *testing.T, more ...string) *hub {
	t.Parallel() // each has clusters of its own
	h := &hub{T: t, bed: testbed.ForTest(t, append([]string{"hub"}, more...)...), warned: &warnings{}}
	h.cluster = h.bed.Cluster("hub")
	cfg := rest.CopyConfig(h.cluster.Config)
	cfg.WarningHandler = h.warned
	var err error
	if h.objects, err = dynamic.NewForConfig(cfg); err != nil {
		t.Fatal(err)
	}
	if h.kube, err = kubernetes.NewForConfig(cfg); err != nil {
		t.Fatal(err)
	}
	return h
}

// in is the hub for one subtest.
func (h *hub) in(t *testing.T) *hub {
	t.Helper()
	sub := *h
	sub.T = t
	return &sub
}

func (h *hub) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// eventually polls until check returns nil, and fails the test with its last error after the limit.
func (h *hub) eventually(what string, check func(context.Context) error) {
	h.Helper()
	var last error
	if err := wait.PollUntilContextTimeout(h.Context(), 50*time.Millisecond, limit, true,
		func(ctx context.Context) (bool, error) {
			last = check(ctx)
			return last == nil, nil
		}); err != nil {
		h.Fatalf("%s: not within %s: %v", what, limit, last)
	}
}

// kubectl runs the real kubectl as administrator and returns what it printed on both streams.
func (h *hub) kubectl(args ...string) (string, error) { return h.kubectlInput("", args...) }

// kubectlInput is kubectl with text on its standard input.
func (h *hub) kubectlInput(stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(h.Context(), filepath.Join(h.bed.Bin, "kubectl"),
		append([]string{"--kubeconfig", h.bed.Kubeconfig, "--context", "hub"}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (h *hub) namespace(name string) string {
	h.Helper()
	_, err := h.objects.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}).
		Create(h.Context(), &unstructured.Unstructured{Object: m{"apiVersion": "v1", "kind": "Namespace",
			"metadata": m{"name": name}}}, metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		h.must(err)
	}
	return name
}

// managementPlane is an object with xcp at its place (nil: absent) and something beside it.
func managementPlane(ns, name string, xcp m) *unstructured.Unstructured {
	components := m{"oap": m{"streamingLogEnabled": true}}
	if xcp != nil {
		components["xcp"] = xcp
	}
	return copied(m{"apiVersion": "install.tetrate.io/v1alpha1", "kind": "ManagementPlane",
		"metadata": m{"namespace": ns, "name": name},
		"spec":     m{"hub": "registry.example", "components": components}})
}

// copied makes an object of its own of fields that are shared between cases.
func copied(fields m) *unstructured.Unstructured {
	b, err := json.Marshal(fields)
	if err != nil {
		panic(err) // the fields are literals of this package
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(b); err != nil {
		panic(err)
	}
	return u
}

// create creates an object as the server-side apply of an owner would, so that the same owner can take fields away
// later.
func (h *hub) create(r schema.GroupVersionResource, o *unstructured.Unstructured) *unstructured.Unstructured {
	h.Helper()
	made, err := h.objects.Resource(r).Namespace(o.GetNamespace()).Apply(h.Context(), o.GetName(), o,
		metav1.ApplyOptions{FieldManager: owner, Force: true})
	if err != nil {
		h.Fatalf("creating %s %s/%s: %v", o.GetKind(), o.GetNamespace(), o.GetName(), err)
	}
	return made
}

const owner = "e2e"

// emptyRoster removes every entry.
func (h *hub) emptyRoster() {
	h.Helper()
	h.must(h.objects.Resource(api.EdgeClusters).Namespace(system).DeleteCollection(h.Context(), metav1.DeleteOptions{},
		metav1.ListOptions{}))
}

// register puts one member into the roster, with a statement that is valid for valid; no presents is no statement.
func (h *hub) register(name, uid string, valid time.Duration, presents ...string) {
	h.Helper()
	now := time.Now().UTC()
	entry := m{"apiVersion": api.GroupVersion.String(), "kind": "EdgeCluster",
		"metadata": m{"namespace": system, "name": name},
		"spec": m{"clusterName": name, "role": "Edge", "controlPlane": m{"namespace": "istio-system",
			"name": "controlplane", "uid": uid}}}
	entries := h.objects.Resource(api.EdgeClusters).Namespace(system)
	_, err := entries.Apply(h.Context(), name, copied(entry), metav1.ApplyOptions{FieldManager: owner, Force: true})
	h.must(err)
	if len(presents) == 0 {
		return
	}
	entry["status"] = m{"presents": presents, "controlPlaneUID": uid, "source": "ci@e2e",
		"observedTime": now.Format(time.RFC3339), "validUntil": now.Add(valid).Format(time.RFC3339)}
	_, err = entries.ApplyStatus(h.Context(), name, copied(entry), metav1.ApplyOptions{FieldManager: owner, Force: true})
	h.must(err)
}

// fleet makes the roster hold one member, edge-1, that presents what the table's fleet says.
func (h *hub) fleet(edges cases.Edges) {
	h.Helper()
	h.emptyRoster()
	switch edges {
	case cases.Unknown:
		h.register("edge-1", "uid-1", time.Hour)
	default:
		h.register("edge-1", "uid-1", time.Hour, string(edges))
	}
}

// mergePatch edits an object as administrator.
func (h *hub) mergePatch(r schema.GroupVersionResource, ns, name string, patch m) error {
	b, err := json.Marshal(patch)
	h.must(err)
	_, err = h.objects.Resource(r).Namespace(ns).Patch(h.Context(), name, "application/merge-patch+json", b,
		metav1.PatchOptions{})
	return err
}

// withoutMTLS is the guarded edit of the tests: it withdraws mTLS from an object that had both modes on.
var withoutMTLS = m{"spec": m{"components": m{"xcp": m{"centralAuthModes": m{"mutualTls": false}}}}}

var bothModes = m{"centralAuthModes": m{"jwt": true, "mutualTls": true}}

// denied fails unless err is a denial by the webhook that holds every one of the texts.
func (h *hub) denied(err error, texts ...string) {
	h.Helper()
	if err == nil {
		h.Fatalf("admitted, want a denial with %q", texts)
	}
	for _, text := range append(texts, `admission webhook "managementplanes.webhook.xcpauth.io" denied the request`) {
		if !strings.Contains(err.Error(), text) {
			h.Errorf("the denial lacks %q:\n%v", text, err)
		}
	}
}

// byRule is denied with 403, as the rule denies; an undecided request has another code.
func byRule(err error) error {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Code != 403 {
		return fmt.Errorf("not a denial by the rule: %w", err)
	}
	return nil
}

// warnings collects the warnings of the API server.
type warnings struct {
	mu   sync.Mutex
	said []string
}

func (w *warnings) HandleWarningHeader(_ int, _ string, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, text)
}

// take returns the warnings since the last call, without those that say that the webhook was asked.
func (w *warnings) take() []string {
	said, _ := w.asked()
	return said
}

// asked returns the warnings since the last call, and how many of them said that the webhook was asked.
func (w *warnings) asked() (said []string, asked int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, text := range w.said {
		if text == "xcpauth-webhook devel was asked" {
			asked++
		} else {
			said = append(said, text)
		}
	}
	w.said = nil
	return said, asked
}

// mergePatchStatus edits the status of a roster entry.
func (h *hub) mergePatchStatus(name string, patch m) error {
	b, err := json.Marshal(patch)
	h.must(err)
	_, err = h.objects.Resource(api.EdgeClusters).Namespace(system).Patch(h.Context(), name,
		"application/merge-patch+json", b, metav1.PatchOptions{}, "status")
	return err
}

// edgesNamespace is where the hub keeps the kubeconfigs of edges.
var edgesNamespace = api.EdgesNamespace(api.Namespace)
