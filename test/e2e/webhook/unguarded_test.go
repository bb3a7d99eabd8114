//go:build linux

package webhook

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/test/cases"
)

// action is one write that the webhook has no business with.
type action struct {
	name string
	do   func() error
}

// unguarded lists writes of a ManagementPlane that leave xcp alone, and of everything else that a hub's cluster holds.
func unguarded(h *hub, ns string) []action {
	mp := func(patch m) func() error {
		return func() error { return h.mergePatch(managementPlanes, ns, "managementplane", patch) }
	}
	list := []action{
		{"spec.hub", mp(m{"spec": m{"hub": "other.example"}})},
		{"a label", mp(m{"metadata": m{"labels": m{"a": "b"}}})},
		{"an annotation", mp(m{"metadata": m{"annotations": m{"a": "b"}}})},
		{"kubeSpec of another component",
			mp(m{"spec": m{"components": m{"oap": m{"kubeSpec": m{"deployment": m{"replicaCount": 2}}}}}})},
		{"a new component", mp(m{"spec": m{"components": m{"web": m{"kubeSpec": m{}}}}})},
		{"the same xcp again", mp(m{"spec": m{"components": m{"xcp": bothModes}}})},
		{"a status", mp(m{"status": m{"phase": "Ready"}})},
		{"a finalizer comes", mp(m{"metadata": m{"finalizers": []string{"e2e.example/f"}}})},
		{"a finalizer goes", mp(m{"metadata": m{"finalizers": nil}})},
		{"a roster entry", func() error {
			return h.mergePatch(api.EdgeClusters, system, "edge-1", m{"metadata": m{"labels": m{"a": "b"}}})
		}},
	}
	for _, o := range []struct {
		gvr    schema.GroupVersionResource
		fields m
	}{
		{schema.GroupVersionResource{Version: "v1", Resource: "secrets"}, m{"apiVersion": "v1", "kind": "Secret",
			"stringData": m{"jwt": "x"}}},
		{schema.GroupVersionResource{Version: "v1", Resource: "configmaps"},
			m{"apiVersion": "v1", "kind": "ConfigMap", "data": m{"a": "b"}}},
		{schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"},
			m{"apiVersion": "apps/v1", "kind": "Deployment", "spec": m{"replicas": 0,
				"selector": m{"matchLabels": m{"app": "central"}}, "template": m{"metadata": m{"labels": m{"app": "central"}},
					"spec": m{"containers": []m{{"name": "c", "image": "i"}}}}}}},
		{controlPlanes, m{"apiVersion": "install.tetrate.io/v1alpha1", "kind": "ControlPlane",
			"spec": m{"components": m{"xcp": m{"centralAuthMode": "JWT"}}}}},
		{xcpClusters, m{"apiVersion": "xcp.tetrate.io/v2", "kind": "Cluster"}},
	} {
		client := h.objects.Resource(o.gvr).Namespace(ns)
		o.fields["metadata"] = m{"namespace": ns, "name": "unguarded"}
		list = append(list,
			action{"creating " + o.gvr.Resource, func() error {
				_, err := client.Create(h.Context(), copied(o.fields), metav1.CreateOptions{})
				return err
			}},
			action{"editing " + o.gvr.Resource, func() error {
				return h.mergePatch(o.gvr, ns, "unguarded", m{"metadata": m{"labels": m{"a": "b"}}})
			}},
			action{"deleting " + o.gvr.Resource, func() error {
				return client.Delete(h.Context(), "unguarded", metav1.DeleteOptions{})
			}})
	}
	return list
}

func nothingElseCalls(h *hub, n node) {
	h.guarded("unguarded", cases.OnMTLS)
	before := n.calls(h)
	for _, e := range unguarded(h, "unguarded") {
		if err := e.do(); err != nil {
			h.Errorf("%s: %v", e.name, err)
		}
		if after := n.calls(h); after != before {
			h.Errorf("%s called the webhook %d times", e.name, after-before)
			before = after
		}
	}
	h.denied(h.mergePatch(managementPlanes, "unguarded", "managementplane", withoutMTLS), "edge-1: mtls")
	if after := n.calls(h); after != before+1 {
		h.Errorf("the guarded edit called the webhook %d times", after-before)
	}
}
