//go:build linux

package webhook

import (
	"context"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
)

// registering has somebody with the shipped roles for registering state what a member presents in each way that admits
// an edit of the hub.
func registering(h *hub, _ node) {
	h.emptyRoster()
	h.register("edge-1", "uid-1", time.Hour, "mtls")
	for user, roles := range map[string][]string{"rita": {"xcpauth-read", "xcpauth-register"}, "mia": {"xcpauth-read",
		"xcpauth-migrate"}} {
		for _, role := range roles {
			if out, code := h.shell("", "", fmt.Sprintf("kubectl -n %s create rolebinding %s-%s --role=%s --user=%s",
				system, role, user, role, user)); code != 0 {
				h.Fatal(out)
			}
		}
	}
	rita, mia := h.as("rita"), h.as("mia")
	h.eventually("the roles are bound, and the policy is in force", func(context.Context) error {
		if err := rita.mergePatchStatus("edge-1",
			m{"status": m{"presents": []string{"jwt"}}}); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(),
			"xcpauth-statements") {
			return fmt.Errorf("not denied by the policy: %w", err)
		}
		return nil
	})
	later := time.Now().Add(2 * time.Hour).UTC().Format(time.RFC3339) // another than what is stated
	for _, status := range []m{
		{"presents": []string{"jwt"}},
		{"presents": []string{"mtls", "jwt"}},
		{"validUntil": later},
		{"observedTime": later},
		{"controlPlaneUID": "uid-2"},
		{"fence": m{"binding": "b", "uid": "u/v", "provenTime": later}},
		{"rotationTime": later},
		{"source": "somebody@else"},
		{"witnesses": []string{"seen"}},
	} {
		err := rita.mergePatchStatus("edge-1", m{"status": status})
		if !apierrors.IsForbidden(err) || !strings.Contains(fmt.Sprint(err), "rita may not state what edge-1 presents") ||
			!strings.Contains(fmt.Sprint(err), "xcpauth-migrate") {
			h.Errorf("%v by who registers: %v", status, err)
		}
		if err := mia.mergePatchStatus("edge-1", m{"status": status}); err != nil {
			h.Errorf("%v by who migrates: %v", status, err)
		}
	}
	stated := m{"presents": []string{"jwt"}, "controlPlaneUID": "uid-1"}
	h.must(mia.mergePatchStatus("edge-1", m{"status": stated}))
	// of another member
	for _, spec := range []m{{"clusterName": "edge-9"}, {"role": "MPC"}, {"controlPlane": m{"name": "another"}}} {
		err := rita.mergePatch(api.EdgeClusters, system, "edge-1", m{"spec": spec})
		if !apierrors.IsForbidden(err) || !strings.Contains(fmt.Sprint(err), "rita may not state") {
			h.Errorf("the statement is given to %v: %v", spec, err)
		}
	}
	// what registering edits
	for _, spec := range []m{{"evidence": "Live"}, {"evidence": nil}, {"controlPlane": m{"uid": "uid-3"}}} {
		h.must(rita.mergePatch(api.EdgeClusters, system, "edge-1", m{"spec": spec}))
	}
	condition := m{"type": "Accepted", "status": "True", "reason": "Accepted", "message": "", "lastTransitionTime": later}
	h.must(rita.mergePatchStatus("edge-1",
		m{"status": m{"conditions": []m{condition}}})) // it leaves the statement as it is
	h.must(rita.mergePatchStatus("edge-1", m{"status": m{"presents": nil, "validUntil": nil, "witnesses": nil,
		"controlPlaneUID": nil, "rotationTime": nil, "fence": nil}}))
	entry := copied(m{"apiVersion": api.GroupVersion.String(), "kind": "EdgeCluster", "metadata": m{"namespace": system,
		"name": "edge-2"},
		"spec": m{"role": "Edge", "clusterName": "edge-2"}, "status": m{"presents": []string{"jwt"}, "validUntil": later,
			"observedTime": later}})
	made, err := rita.objects.Resource(api.EdgeClusters).Namespace(system).Create(h.Context(), entry,
		metav1.CreateOptions{})
	h.must(err)
	if made.Object["status"] != nil {
		h.Errorf("an entry is registered with a statement: %v", made.Object["status"])
	}
	h.emptyRoster()
}
