package manifests_test

import (
	"context"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	celplugin "k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/webhook"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	"k8s.io/apiserver/pkg/cel/environment"
	"pgregory.net/rapid"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb"
	"github.com/xcpauth/kubectl-xcpauth/test/cases"
)

type m = map[string]any

// conditions evaluates the shipped matchConditions with the API server's own compiler.
type conditions struct{ matchconditions.Matcher }

func shipped(t *testing.T) conditions {
	t.Helper()
	conf := objects[admissionregistrationv1.ValidatingWebhookConfiguration](t, reviewed(t, "self-signed"), "ValidatingWebhookConfiguration")[0]
	compiler := celplugin.NewConditionCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
	return conditions{webhook.NewValidatingWebhookAccessor("uid", conf.Name, &conf.Webhooks[0]).GetCompiledMatcher(compiler)}
}

// calls says whether the API server would call the webhook, and the error that it would refuse the request with instead.
// A nil old is a CREATE.
func (c conditions) calls(t interface {
	Fatal(...any)
	Context() context.Context
}, old, new m) (bool, error) {
	kind := schema.GroupVersionKind{Group: "install.tetrate.io", Version: "v1alpha1", Kind: "ManagementPlane"}
	object := func(fields m) runtime.Object {
		u := &unstructured.Unstructured{Object: m{"metadata": m{"namespace": "tsb", "name": "managementplane"}}}
		for k, v := range fields {
			u.Object[k] = v
		}
		u.SetGroupVersionKind(kind)
		return u
	}
	operation, before := admission.Create, runtime.Object(nil)
	if old != nil {
		operation, before = admission.Update, object(old)
	}
	attributes := admission.NewAttributesRecord(object(new), before, kind, "tsb", "managementplane", kind.GroupVersion().WithResource("managementplanes"), "", operation, nil, false, nil)
	versioned, err := admission.NewVersionedAttributes(attributes, kind, admission.NewObjectInterfacesFromScheme(runtime.NewScheme()))
	if err != nil {
		t.Fatal(err)
	}
	r := c.Match(t.Context(), versioned, nil, nil)
	return r.Matches, r.Error
}

func TestTheWebhookIsAskedAboutEditsOfXCPOnly(t *testing.T) {
	both := m{"centralAuthModes": m{"jwt": true, "mutualTls": true}}
	spec := func(xcp any) m {
		return m{"spec": m{"hub": "registry", "components": m{"xcp": xcp, "oap": m{"kubeSpec": m{}}}}}
	}
	for _, tc := range []struct {
		name     string
		old, new m
		called   bool
	}{
		{"created", nil, spec(both), true},
		{"created without a spec", nil, m{}, true},
		{"nothing changes", spec(both), spec(both), false},
		{"spec.hub changes", spec(both), m{"spec": m{"hub": "other", "components": m{"xcp": both}}}, false},
		{"a label changes", spec(both), m{"spec": spec(both)["spec"], "metadata": m{"labels": m{"a": "b"}}}, false},
		{"the status changes", spec(both), m{"spec": spec(both)["spec"], "status": m{"a": "b"}}, false},
		{"the stanza changes", spec(both), spec(m{"centralAuthModes": m{"jwt": true}}), true},
		{"an alias appears", spec(both), spec(m{"centralAuthModes": both["centralAuthModes"], "central_auth_modes": m{}}), true},
		{"xcp becomes null", spec(both), spec(nil), true},
		{"xcp goes", spec(both), m{"spec": m{"components": m{}}}, true},
		{"components goes", spec(both), m{"spec": m{}}, true},
		{"spec goes", spec(both), m{}, true},
		{"components becomes a list", spec(both), m{"spec": m{"components": []any{"xcp"}}}, true},
		{"components stays a list", m{"spec": m{"components": []any{"xcp"}}}, m{"spec": m{"components": []any{"xcp"}}, "metadata": m{"labels": m{"a": "b"}}}, false},
		{"spec stays a string", m{"spec": "x"}, m{"spec": "x"}, false},
		{"spec becomes another string", m{"spec": "x"}, m{"spec": "y"}, true},
		{"a spec appears", m{}, spec(both), true},
		{"its last finalizer goes", m{"spec": spec(both)["spec"], "metadata": m{"deletionTimestamp": "2026-01-02T12:00:00Z", "finalizers": []any{"a"}}},
			m{"spec": m{}, "metadata": m{"deletionTimestamp": "2026-01-02T12:00:00Z"}}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if called, err := shipped(t).calls(t, tc.old, tc.new); called != tc.called || err != nil {
				t.Errorf("called %v (%v), want %v", called, err, tc.called)
			}
		})
	}
	for _, c := range cases.All() {
		t.Run(c.Name, func(t *testing.T) {
			place := func(xcp m) m {
				if xcp == nil {
					return m{"spec": m{"components": m{}}}
				}
				return spec(xcp)
			}
			called, err := shipped(t).calls(t, place(c.Old), place(c.New))
			if err != nil || !called && len(c.Denied) > 0 {
				t.Errorf("called %v (%v), denied for %v", called, err, c.Denied)
			}
		})
	}
}

// A key on the way to the stanza that comes, or changes, in another spelling is asked about.
func TestTheWebhookIsAskedAboutEverySpelling(t *testing.T) {
	c := shipped(t)
	plain := m{"spec": m{"components": m{"xcp": m{"centralAuthModes": m{"jwt": true, "mutualTls": true}}}}}
	jwtOnly := m{"spec": m{"components": m{"xcp": m{"centralAuthModes": m{"jwt": true, "mutualTls": false}}}}}
	for _, tc := range cases.HubSpellings() {
		for name, edit := range map[string]struct {
			old, new m
			asked    bool
		}{
			"it comes": {plain, tc.Object, true}, "it comes with both modes on": {jwtOnly, tc.Object, true},
			"it goes with one mode": {tc.Object, jwtOnly, true}, "it stays": {tc.Object, tc.Object, false},
		} {
			if asked, err := c.calls(t, edit.old, edit.new); asked != edit.asked || err != nil {
				t.Errorf("%s: %s: asked %v (%v)", tc.Name, name, asked, err)
			}
		}
	}
}

// The conditions are total, and what they hold back from the webhook withdraws nothing: for any two objects whatever.
func TestNoEditThatWithdrawsAnythingSlipsPastTheConditions(t *testing.T) {
	c := shipped(t)
	leaf := rapid.SampledFrom([]any{nil, true, false, "x", int64(1), 1.5, []any{}, []any{"jwt"}, m{}})
	within := func(keys []string, inner *rapid.Generator[any]) *rapid.Generator[any] {
		return rapid.Custom(func(t *rapid.T) any {
			if rapid.IntRange(0, 3).Draw(t, "shape") == 0 {
				return leaf.Draw(t, "leaf")
			}
			o := m{}
			for _, k := range keys {
				if rapid.Bool().Draw(t, k) {
					o[k] = inner.Draw(t, k)
				}
			}
			return o
		})
	}
	stanza := within([]string{"jwt", "mutualTls", "mutual_tls"}, leaf)
	xcp := within([]string{"centralAuthModes", "central_auth_modes"}, stanza)
	object := within([]string{"spec"}, within([]string{"components", "hub"}, within([]string{"xcp", "oap"}, xcp)))
	rapid.Check(t, func(t *rapid.T) {
		old, _ := object.Draw(t, "old").(m)
		new, _ := object.Draw(t, "new").(m)
		if old == nil {
			old = m{}
		}
		called, err := c.calls(t, old, new)
		if err != nil {
			t.Fatalf("not total: %v", err)
		}
		before, _ := tsb.ReadHub(old)
		after, _ := tsb.ReadHub(new)
		if gone := guard.Withdrawn(before, after); !called && len(gone) > 0 {
			t.Fatalf("not called although %v is withdrawn:\n%v\n%v", gone, old, new)
		}
	})
}
