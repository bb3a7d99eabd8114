package manifests_test

import (
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	celplugin "k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/webhook"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/cel/environment"

	"github.com/xcpauth/kubectl-xcpauth/manifests"
)

// The webhook is asked about each deletion and each new owner, and about nothing that must never be held up: what is
// being deleted already, and what goes with its namespace.
func TestTheWebhookIsAskedAboutDeletionsAndNewOwnersOnly(t *testing.T) {
	conf := objects[admissionregistrationv1.ValidatingWebhookConfiguration](t, manifests.WebhookConfiguration,
		"ValidatingWebhookConfiguration")[0]
	compiler := celplugin.NewConditionCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
	matcher := webhook.NewValidatingWebhookAccessor("uid", conf.Name, &conf.Webhooks[1]).GetCompiledMatcher(compiler)
	kind := schema.GroupVersionKind{Group: "install.tetrate.io", Version: "v1alpha1", Kind: "ManagementPlane"}
	object := func(metadata m) runtime.Object {
		if metadata == nil {
			return nil
		}
		u := &unstructured.Unstructured{Object: m{"metadata": m{"namespace": "tsb", "name": "managementplane"}, "spec": "x"}}
		for k, v := range metadata {
			u.Object["metadata"].(m)[k] = v
		}
		u.SetGroupVersionKind(kind)
		return u
	}
	owner := func(uid, name string) any {
		return m{"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid}
	}
	owned := func(owners ...any) m { return m{"ownerReferences": owners} }
	ending := m{"deletionTimestamp": "2026-01-02T12:00:00Z", "finalizers": []any{"a"}}
	const admin, collector, namespaces = "admin", "system:serviceaccount:kube-system:generic-garbage-collector",
		"system:serviceaccount:kube-system:namespace-controller"
	for _, tc := range []struct {
		name      string
		operation admission.Operation
		old, new  m
		user      string
		called    bool
	}{
		{"deleted by a user", admission.Delete, m{}, nil, admin, true},
		{"deleted by the garbage collector", admission.Delete, owned(owner("a", "a")), nil, collector, true},
		{"deleted with its namespace", admission.Delete, m{}, nil, namespaces, false},
		{"deleted once more", admission.Delete, ending, nil, admin, false},
		{"a first owner", admission.Update, m{}, owned(owner("a", "a")), admin, true},
		{"a first owner, by the namespace controller", admission.Update, m{}, owned(owner("a", "a")), namespaces, true},
		{"a second owner", admission.Update, owned(owner("a", "a")), owned(owner("a", "a"), owner("b", "b")), admin, true},
		{"another owner", admission.Update, owned(owner("a", "a")), owned(owner("b", "a")), admin, true},
		{"the same UID under another name", admission.Update, owned(owner("a", "a")), owned(owner("a", "b")), admin, true},
		{"the same owner", admission.Update, owned(owner("a", "a")), owned(owner("a", "a")), admin, false},
		{"fewer owners", admission.Update, owned(owner("a", "a"), owner("b", "b")), owned(owner("b", "b")), admin, false},
		{"no owner any more", admission.Update, owned(owner("a", "a")), m{}, admin, false},
		{"no owner at all", admission.Update, m{}, m{"labels": m{"a": "b"}}, admin, false},
		{"a finalizer goes", admission.Update, ending, m{"deletionTimestamp": "2026-01-02T12:00:00Z"}, admin, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			attributes := admission.NewAttributesRecord(object(tc.new), object(tc.old), kind, "tsb", "managementplane",
				kind.GroupVersion().WithResource("managementplanes"), "",
				tc.operation, nil, false, &user.DefaultInfo{Name: tc.user})
			versioned, err := admission.NewVersionedAttributes(attributes, kind,
				admission.NewObjectInterfacesFromScheme(runtime.NewScheme()))
			if err != nil {
				t.Fatal(err)
			}
			if r := matcher.Match(t.Context(), versioned, nil, nil); r.Matches != tc.called || r.Error != nil {
				t.Errorf("called %v (%v), want %v", r.Matches, r.Error, tc.called)
			}
		})
	}
}
