package manifests_test

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apiserver/pkg/admission"
	celplugin "k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/admission/plugin/webhook"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	"k8s.io/apiserver/pkg/cel/environment"
	"pgregory.net/rapid"

	"github.com/xcpauth/kubectl-xcpauth/manifests"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
	"github.com/xcpauth/kubectl-xcpauth/pkg/webhookprobe"
	"github.com/xcpauth/kubectl-xcpauth/test/cases"
)

type m = map[string]any

// conditions evaluates the shipped matchConditions with the API server's own compiler.
type conditions struct{ matchconditions.Matcher }

func shipped(t *testing.T) conditions {
	t.Helper()
	conf := objects[admissionregistrationv1.ValidatingWebhookConfiguration](t, manifests.WebhookConfiguration,
		"ValidatingWebhookConfiguration")[0]
	compiler := celplugin.NewConditionCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
	return conditions{webhook.NewValidatingWebhookAccessor("uid", conf.Name,
		&conf.Webhooks[0]).GetCompiledMatcher(compiler)}
}

// calls says whether the API server would call the webhook, and the error that it would refuse the request with
// instead. A nil old is a CREATE.
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
	attributes := admission.NewAttributesRecord(object(new), before, kind, "tsb", "managementplane",
		kind.GroupVersion().WithResource("managementplanes"), "", operation, nil, false, nil)
	versioned, err := admission.NewVersionedAttributes(attributes, kind,
		admission.NewObjectInterfacesFromScheme(runtime.NewScheme()))
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
	c := shipped(t)
	for _, tc := range []struct {
		name     string
		old, new m
		called   bool
	}{
		{"created with both modes on, which cuts nobody off", nil, spec(both), false},
		{"created with one", nil, spec(m{"centralAuthModes": m{"jwt": true}}), true},
		{"created without a spec", nil, m{}, true},
		{"nothing changes", spec(both), spec(both), false},
		{"spec.hub changes", spec(both), m{"spec": m{"hub": "other", "components": m{"xcp": both}}}, false},
		{"a label changes", spec(both), m{"spec": spec(both)["spec"], "metadata": m{"labels": m{"a": "b"}}}, false},
		{"the status changes", spec(both), m{"spec": spec(both)["spec"], "status": m{"a": "b"}}, false},
		{"the stanza changes", spec(both), spec(m{"centralAuthModes": m{"jwt": true}}), true},
		{"an alias appears", spec(both), spec(m{"centralAuthModes": both["centralAuthModes"], "central_auth_modes": m{}}),
			true},
		{"xcp becomes null", spec(both), spec(nil), true},
		{"xcp goes", spec(both), m{"spec": m{"components": m{}}}, true},
		{"components goes", spec(both), m{"spec": m{}}, true},
		{"spec goes", spec(both), m{}, true},
		{"components becomes a list", spec(both), m{"spec": m{"components": []any{"xcp"}}}, true},
		{"components stays a list", m{"spec": m{"components": []any{"xcp"}}},
			m{"spec": m{"components": []any{"xcp"}}, "metadata": m{"labels": m{"a": "b"}}}, false},
		{"spec stays a string", m{"spec": "x"}, m{"spec": "x"}, false},
		{"spec becomes another string", m{"spec": "x"}, m{"spec": "y"}, true},
		{"a spec with both modes on appears", m{}, spec(both), false},
		{"a spec appears", m{}, spec(m{}), true},
		{"its last finalizer goes", m{"spec": spec(both)["spec"], "metadata": m{"deletionTimestamp": "2026-01-02T12:00:00Z",
			"finalizers": []any{"a"}}},
			m{"spec": m{}, "metadata": m{"deletionTimestamp": "2026-01-02T12:00:00Z"}}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if called, err := c.calls(t, tc.old, tc.new); called != tc.called || err != nil {
				t.Errorf("called %v (%v), want %v", called, err, tc.called)
			}
		})
	}
	for _, row := range cases.All() {
		t.Run(row.Name, func(t *testing.T) {
			place := func(xcp m) m {
				if xcp == nil {
					return m{"spec": m{"components": m{}}}
				}
				return spec(xcp)
			}
			called, err := c.calls(t, place(row.Old), place(row.New))
			if err != nil || !called && len(row.Denied) > 0 {
				t.Errorf("called %v (%v), denied for %v", called, err, row.Denied)
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

// The edit by which the plugin shows that the webhook is asked is one that it is asked about, whatever is stored.
func TestTheWebhookIsAskedAboutTheEditThatShowsIt(t *testing.T) {
	c := shipped(t)
	for _, row := range cases.All() {
		for _, xcp := range []m{row.Old, row.New} {
			stored := m{"spec": m{"components": m{"xcp": xcp}}}
			if xcp == nil {
				stored = m{"spec": m{}}
			}
			patch, what := webhookprobe.Edit(stored)
			old, patched := []byte(text(stored)), []byte(text(patch))
			changed, err := jsonpatch.MergePatch(old, patched)
			if err != nil {
				t.Fatal(err)
			}
			var new m
			if err := json.Unmarshal(changed, &new); err != nil {
				t.Fatal(err)
			}
			if called, err := c.calls(t, stored, new); !called || err != nil {
				t.Errorf("%s: %s of %s: called %v (%v)", row.Name, what, old, called, err)
			}
		}
	}
}

// A cluster whose API server is the oldest that is supported takes the expressions: it compiles new ones by the
// language of the release before it.
func TestTheOldestAPIServerTakesTheExpressions(t *testing.T) {
	check := func(what string, expressions []celplugin.ExpressionAccessor,
		compile func(celplugin.ExpressionAccessor) celplugin.CompilationResult) {
		for _, e := range expressions {
			if r := compile(e); r.Error != nil {
				t.Errorf("%s: %v in %s", what, r.Error, e.GetExpression())
			}
		}
	}
	conf := objects[admissionregistrationv1.ValidatingWebhookConfiguration](t, manifests.WebhookConfiguration,
		"ValidatingWebhookConfiguration")[0]
	var conditions []celplugin.ExpressionAccessor
	for _, w := range conf.Webhooks {
		for _, condition := range w.MatchConditions {
			conditions = append(conditions, &matchconditions.MatchCondition{Name: condition.Name,
				Expression: condition.Expression})
		}
	}
	plain := celplugin.NewCompiler(environment.MustBaseEnvSet(version.MajorMinor(1, 27)))
	check("the matchConditions in Kubernetes 1.28", conditions,
		func(e celplugin.ExpressionAccessor) celplugin.CompilationResult {
			return plain.CompileCELExpression(e, celplugin.OptionalVariableDeclarations{}, environment.NewExpressions)
		})
	policy := objects[admissionregistrationv1.ValidatingAdmissionPolicy](t, manifests.EdgeFence,
		"ValidatingAdmissionPolicy")[0]
	composed, err := celplugin.NewCompositedCompiler(environment.MustBaseEnvSet(version.MajorMinor(1, 29)))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range policy.Spec.Variables {
		if r := composed.CompileAndStoreVariable(&validating.Variable{Name: v.Name, Expression: v.Expression},
			celplugin.OptionalVariableDeclarations{}, environment.NewExpressions); r.Error != nil {
			t.Errorf("the fence's variable %s in Kubernetes 1.30: %v", v.Name, r.Error)
		}
	}
	var validations []celplugin.ExpressionAccessor
	for _, v := range policy.Spec.Validations {
		validations = append(validations, &validating.ValidationCondition{Expression: v.Expression})
	}
	check("the fence in Kubernetes 1.30", validations, func(e celplugin.ExpressionAccessor) celplugin.CompilationResult {
		return composed.CompileCELExpression(e, celplugin.OptionalVariableDeclarations{}, environment.NewExpressions)
	})
}

// The conditions are total, and what they hold back from the webhook withdraws nothing and is not worth a word: for any
// two objects whatever.
func TestNoEditThatWithdrawsAnythingSlipsPastTheConditions(t *testing.T) {
	c := shipped(t)
	leaf := rapid.SampledFrom([]any{nil, true, false, "x", int64(1), 1.5, []any{}, []any{"jwt"}, m{}})
	both := rapid.Just[any](m{"jwt": true, "mutualTls": true})
	within := func(fields map[string]*rapid.Generator[any], odd ...string) *rapid.Generator[any] {
		keys := slices.Sorted(maps.Keys(fields))
		return rapid.Custom(func(t *rapid.T) any {
			if rapid.IntRange(0, 7).Draw(t, "shape") == 0 {
				return leaf.Draw(t, "leaf")
			}
			o := m{}
			for _, k := range keys {
				if rapid.IntRange(0, 3).Draw(t, k) > 0 {
					o[k] = fields[k].Draw(t, k)
				}
			}
			if rapid.IntRange(0, 11).Draw(t, "another spelling") == 0 && len(odd) > 0 {
				o[rapid.SampledFrom(odd).Draw(t, "spelling")] = leaf.Draw(t, "value")
			}
			return o
		})
	}
	values := rapid.OneOf(both, both, rapid.SampledFrom([]any{true, false, true}), leaf)
	stanza := rapid.OneOf(both, both, within(map[string]*rapid.Generator[any]{"jwt": values, "mutualTls": values},
		"mutual_tls", "JWT", "x"))
	xcp := within(map[string]*rapid.Generator[any]{"centralAuthModes": stanza,
		"kubeSpec": rapid.OneOf(rapid.Just[any](m{}), kubeSpecs(1)), "logLevels": leaf},
		"central_auth_modes", "CentralAuthModes", "kube_spec", "KubeSpec", "centralAuthMode")
	components := within(map[string]*rapid.Generator[any]{"xcp": xcp, "oap": leaf}, "XCP", "Xcp")
	owners := rapid.SampledFrom([]any{nil, []any{}, []any{m{"uid": "1"}}, []any{m{"uid": "2"}}})
	spec := within(map[string]*rapid.Generator[any]{"components": components, "hub": leaf}, "Components", "COMPONENTS")
	object := within(map[string]*rapid.Generator[any]{"spec": spec, "owners": owners}, "Spec", "SPEC")
	all, called, rescued := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		draw := func(what string) (m, any) {
			o, _ := object.Draw(t, what).(m)
			fields := m{"metadata": m{"namespace": "tsb", "name": "managementplane"}}
			maps.Copy(fields, o)
			by := fields["owners"]
			if delete(fields, "owners"); by != nil {
				fields["metadata"].(m)["ownerReferences"] = by
			}
			return fields, by
		}
		old, ownersBefore := draw("old")
		new, ownersAfter := draw("new")
		switch rapid.IntRange(0, 5).Draw(t, "near") {
		case 0:
			new["spec"] = old["spec"]
		case 1: // the way back
			back, _ := xcp.Draw(t, "back").(m)
			back = maps.Clone(back)
			if back == nil {
				back = m{}
			}
			back["centralAuthModes"] = m{"jwt": true, "mutualTls": true}
			new["spec"] = m{"components": m{"xcp": back}}
		}
		asked, err := c.calls(t, old, new)
		if err != nil {
			t.Fatalf("not total: %v\n%s\n%s", err, text(old), text(new))
		}
		all++
		if asked {
			called++
			return
		}
		before, _ := state.ReadHub(old)
		after, odd := state.ReadHub(new)
		if gone := guard.Withdrawn(before, after); len(gone) > 0 {
			t.Fatalf("not asked although %v is withdrawn:\n%s\n%s", gone, text(old), text(new))
		}
		if before.Basis != after.Basis {
			if rescued++; len(odd) > 0 || after.Accepts[state.MTLS] != guard.Yes || after.Accepts[state.JWT] != guard.Yes ||
				text(ownersBefore) != text(ownersAfter) {
				t.Fatalf("not asked, and %v, %v, owners %v and %v:\n%s\n%s", after.Accepts, odd, ownersBefore, ownersAfter,
					text(old), text(new))
			}
		}
	})
	if called == 0 || called == all || rescued == 0 {
		t.Errorf("of %d pairs %d were asked about and %d not, since both modes are on: this shows nothing", all, called,
			rescued)
	}
}
