//go:build linux

package webhook

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/xcpauth/kubectl-xcpauth/test/cases"
)

// remove deletes the ManagementPlane of a namespace.
func (h *hub) remove(ns string) error {
	return h.objects.Resource(managementPlanes).Namespace(ns).Delete(h.Context(), "managementplane",
		metav1.DeleteOptions{})
}

// as is the hub with a client that acts for another user.
func (h *hub) as(user string) *hub {
	h.Helper()
	sub := *h
	cfg := rest.CopyConfig(h.cluster.Config)
	cfg.Impersonate = rest.ImpersonationConfig{UserName: user}
	var err error
	sub.objects, err = dynamic.NewForConfig(cfg)
	h.must(err)
	return &sub
}

// kept fails unless the ManagementPlane of a namespace is the one with this UID, and is not being deleted.
func (h *hub) kept(ns, uid string) {
	h.Helper()
	o, err := h.objects.Resource(managementPlanes).Namespace(ns).Get(h.Context(), "managementplane", metav1.GetOptions{})
	h.must(err)
	if string(o.GetUID()) != uid || o.GetDeletionTimestamp() != nil {
		h.Errorf("the ManagementPlane is %s, deleted %v; want %s", o.GetUID(), o.GetDeletionTimestamp(), uid)
	}
}

func deleting(h *hub, _ node) {
	const ns = "deleting"
	h.guarded(ns, cases.OnJWT)
	planes := h.objects.Resource(managementPlanes).Namespace(ns)
	o, err := planes.Get(h.Context(), "managementplane", metav1.GetOptions{})
	h.must(err)
	uid := string(o.GetUID())
	const denial = `admission webhook "managementplane-deletion.webhook.xcpauth.io" denied the request`
	held := func(what string, err error, texts ...string) {
		h.Helper()
		for _, text := range append(texts, denial) {
			if err == nil || !strings.Contains(err.Error(), text) {
				h.Errorf("%s: not %q: %v", what, text, err)
			}
		}
		h.kept(ns, uid)
	}
	held("deleted", h.remove(ns), "edge-1: jwt", "kubectl replace --force")
	held("its collection", planes.DeleteCollection(h.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}),
		"edge-1: jwt")
	held("a dry run", planes.Delete(h.Context(), "managementplane",
		metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}}), "edge-1: jwt")
	h.event(ns, "WithdrawalDenied", "a deletion by admin", "edge-1")

	file := filepath.Join(h.TempDir(), "plane.json") // without the stanza
	text, err := managementPlane(ns, "managementplane", nil).MarshalJSON()
	h.must(err)
	h.must(os.WriteFile(file, text, 0o600))
	out, err := h.kubectl("replace", "--force", "-f", file)
	if err == nil {
		h.Error("kubectl replace --force went through")
	}
	held("replaced by force", errors.New(out), "edge-1: jwt")

	// An owner that is not there: giving one is denied, and where an object has had one from its creation the collector's
	// deletion is.
	owner := []any{m{"apiVersion": "v1", "kind": "ConfigMap", "name": "gone",
		"uid": "00000000-0000-0000-0000-000000000000"}}
	held("owned", h.mergePatch(managementPlanes, ns, "managementplane", m{"metadata": m{"ownerReferences": owner}}),
		"Leave the owner out (ConfigMap gone")
	o = managementPlane(ns, "owned", bothModes)
	o.Object["metadata"].(m)["ownerReferences"] = owner
	owned, err := planes.Create(h.Context(), o, metav1.CreateOptions{})
	h.must(err)
	h.event(ns, "WithdrawalDenied", "a deletion by system:kube-controller-manager", "edge-1")
	if still, err := planes.Get(h.Context(), "owned", metav1.GetOptions{}); err != nil ||
		still.GetUID() != owned.GetUID() || still.GetDeletionTimestamp() != nil {
		h.Errorf("the garbage collector deleted it: %v", err)
	}

	// The override, with a finalizer that takes its time.
	h.must(h.mergePatch(managementPlanes, ns, "managementplane",
		m{"metadata": m{"finalizers": []string{"e2e.example/f"}}}))
	refusal := fmt.Sprint(h.remove(ns))
	for _, program := range []string{"kubectl annotate", "kubectl delete"} {
		if out, code := h.shell("", "", h.printed(refusal,
			program)+map[string]string{"kubectl delete": " --wait=false"}[program]); code != 0 {
			h.Fatalf("%s: exit code %d\n%s", program, code, out)
		}
	}
	h.event(ns, "OverrideAdmitted", "admin", "edge-1")
	h.must(h.remove(ns)) // once more, while its finalizer is there
	h.must(h.mergePatch(managementPlanes, ns, "managementplane", m{"metadata": m{"finalizers": nil}}))
	h.gone(ns, "managementplane")

	h.emptyRoster()
	if err := planes.Delete(h.Context(), "owned", metav1.DeleteOptions{}); !apierrors.IsNotFound(err) {
		h.must(err) // the collector, which nothing holds back any more, may have been faster
	}
	h.gone(ns, "owned")
}

// gone waits until a ManagementPlane is not there any more.
func (h *hub) gone(ns, name string) {
	h.Helper()
	h.eventually(fmt.Sprintf("ManagementPlane %s/%s is gone", ns, name), func(ctx context.Context) error {
		if _, err := h.objects.Resource(managementPlanes).Namespace(ns).Get(ctx, name,
			metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("still there: %v", err)
		}
		return nil
	})
}

func namespaceDeleted(h *hub, _ node) {
	h.guarded("ending", cases.OnMTLS)
	h.must(h.kube.CoreV1().Namespaces().Delete(h.Context(), "ending", metav1.DeleteOptions{}))
	h.gone("ending", "managementplane")
}
