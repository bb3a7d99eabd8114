package manifests_test

import (
	"context"
	"maps"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	celplugin "k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
	"pgregory.net/rapid"

	"github.com/xcpauth/kubectl-xcpauth/manifests"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
	"github.com/xcpauth/kubectl-xcpauth/test/cases"
)

// fence evaluates the shipped policy with the API server's own compiler.
type fence struct {
	celplugin.ConditionEvaluator
	variables *celplugin.CompositedCompiler
}

func shippedFence(t *testing.T) fence {
	t.Helper()
	policy := objects[admissionregistrationv1.ValidatingAdmissionPolicy](t, manifests.EdgeFence,
		"ValidatingAdmissionPolicy")[0]
	compiler, err := celplugin.NewCompositedCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
	if err != nil {
		t.Fatal(err)
	}
	var variables []celplugin.NamedExpressionAccessor
	for _, v := range policy.Spec.Variables {
		variables = append(variables, &validating.Variable{Name: v.Name, Expression: v.Expression})
	}
	compiler.CompileAndStoreVariables(variables, celplugin.OptionalVariableDeclarations{}, environment.StoredExpressions)
	var validations []celplugin.ExpressionAccessor
	for _, v := range policy.Spec.Validations {
		validations = append(validations, &validating.ValidationCondition{Expression: v.Expression})
	}
	f := fence{compiler.CompileCondition(validations, celplugin.OptionalVariableDeclarations{},
		environment.StoredExpressions), compiler}
	if errs := f.CompilationErrors(); len(errs) > 0 {
		t.Fatalf("the API server does not take the policy: %v", errs)
	}
	return f
}

type evaluating interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
	Context() context.Context
}

// admits says whether the fence lets an edit pass; a nil old is a CREATE. An expression that cannot be evaluated
// denies, as failurePolicy Fail does.
func (f fence) admits(t evaluating, old, new m) (bool, error) {
	t.Helper()
	gvk := schema.GroupVersionKind{Group: "install.tetrate.io", Version: "v1alpha1", Kind: "ControlPlane"}
	object := func(fields m) *unstructured.Unstructured {
		u := &unstructured.Unstructured{Object: maps.Clone(fields)}
		u.Object["metadata"] = m{"namespace": "istio-system", "name": "controlplane"}
		u.SetGroupVersionKind(gvk)
		return u
	}
	operation, before := admission.Create, runtime.Object(nil)
	if old != nil {
		operation, before = admission.Update, object(old)
	}
	attributes := admission.NewAttributesRecord(object(new), before, gvk, "istio-system", "controlplane",
		gvk.GroupVersion().WithResource("controlplanes"), "", operation, nil, false, nil)
	versioned, err := admission.NewVersionedAttributes(attributes, gvk,
		admission.NewObjectInterfacesFromScheme(runtime.NewScheme()))
	if err != nil {
		t.Fatal(err)
	}
	request := celplugin.CreateAdmissionRequest(attributes, metav1.GroupVersionResource(attributes.GetResource()),
		metav1.GroupVersionKind(gvk))
	results, _, err := f.ForInput(f.variables.CreateContext(t.Context()), versioned, request,
		celplugin.OptionalVariableBindings{}, nil, celconfig.RuntimeCELCostBudget)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Error != nil || r.EvalResult.Value() != true {
			return false, r.Error
		}
	}
	return true, nil
}

func TestTheFenceKeepsAnEdgeAtJWT(t *testing.T) {
	f := shippedFence(t)
	for _, tc := range cases.Fence() {
		t.Run(tc.Name, func(t *testing.T) {
			if admitted, err := f.admits(t, tc.Old, tc.New); admitted != tc.Admitted {
				t.Errorf("admitted %v (%v), want %v", admitted, err, tc.Admitted)
			}
		})
	}
}

// What the fence lets pass, the plugin goes on reading as JWT: for any two objects whatever, of which the first reads
// so.
func TestWhateverTheFenceLetsPassStillReadsAsJWT(t *testing.T) {
	f := shippedFence(t)
	leaf := rapid.SampledFrom([]any{nil, true, "JWT", "MUTUAL_TLS", "oauth", int64(1), 1.5, []any{}, m{},
		m{"auth": "x"}, m{"a": "b"}})
	path := rapid.SampledFrom([]any{"spec.centralAuthMode", "spec.centralAuthJwt.centralSni", "spec.x.centralCaSecret",
		"spec", "spec.AUTH", "spec.x", "", nil, int64(1)})
	of := func(t *rapid.T, into m, key string, g *rapid.Generator[any]) {
		if rapid.Bool().Draw(t, "has "+key) {
			into[key] = g.Draw(t, key)
		}
	}
	patch := rapid.Custom(func(t *rapid.T) any {
		if rapid.IntRange(0, 5).Draw(t, "odd") == 0 {
			return leaf.Draw(t, "patch")
		}
		p := m{}
		of(t, p, "path", path)
		of(t, p, "value", leaf)
		of(t, p, "more", leaf)
		return p
	})
	overlay := rapid.Custom(func(t *rapid.T) any {
		if rapid.IntRange(0, 5).Draw(t, "odd") == 0 {
			return leaf.Draw(t, "overlay")
		}
		o := m{}
		of(t, o, "kind", rapid.SampledFrom([]any{"EdgeXcp", "edgexcp", "Deployment", int64(1), nil}))
		of(t, o, "patches", rapid.Custom(func(t *rapid.T) any {
			if rapid.IntRange(0, 5).Draw(t, "odd") == 0 {
				return leaf.Draw(t, "patches")
			}
			return append([]any{}, rapid.SliceOfN(patch, 0, 2).Draw(t, "patches")...)
		}))
		return o
	})
	plane := rapid.Custom(func(t *rapid.T) m {
		if rapid.IntRange(0, 9).Draw(t, "odd") == 0 {
			return rapid.SampledFrom([]m{{}, {"spec": nil}, {"spec": "x"}, {"spec": m{"components": []any{}}},
				{"spec": m{"components": m{"xcp": "JWT"}}}}).Draw(t, "plane")
		}
		xcp := m{"centralAuthMode": "JWT"}
		if rapid.IntRange(0, 3).Draw(t, "mode") == 0 {
			of(t, xcp, "centralAuthMode", leaf)
		}
		if rapid.IntRange(0, 7).Draw(t, "alias") == 0 {
			xcp["central_auth_mode"] = leaf.Draw(t, "alias")
		}
		if rapid.IntRange(0, 7).Draw(t, "alias of kubeSpec") == 0 {
			xcp["kube_spec"] = leaf.Draw(t, "kube_spec")
		}
		of(t, xcp, "kubeSpec", rapid.Custom(func(t *rapid.T) any {
			if rapid.IntRange(0, 5).Draw(t, "odd") == 0 {
				return leaf.Draw(t, "kubeSpec")
			}
			return m{"overlays": append([]any{}, rapid.SliceOfN(overlay, 0, 2).Draw(t, "overlays")...)}
		}))
		return m{"spec": m{"components": m{"xcp": xcp}}}
	})
	kept, passed := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		old, new := plane.Draw(t, "old"), plane.Draw(t, "new")
		was, _ := state.ReadEdge(old)
		is, odd := state.ReadEdge(new)
		if was != state.JWT {
			old = nil // created
		}
		kept++
		if admitted, _ := f.admits(t, old, new); admitted {
			if passed++; is != state.JWT {
				t.Fatalf("let pass, and reads as %q (%v):\n%v\n%v", is, odd, old, new)
			}
		}
	})
	if passed == 0 || passed == kept {
		t.Errorf("%d of %d let pass: this shows nothing", passed, kept)
	}
}

func TestTheFenceIsEnforcedAndNarrowedByNothing(t *testing.T) {
	policy := objects[admissionregistrationv1.ValidatingAdmissionPolicy](t, manifests.EdgeFence,
		"ValidatingAdmissionPolicy")[0]
	binding := objects[admissionregistrationv1.ValidatingAdmissionPolicyBinding](t, manifests.EdgeFence,
		"ValidatingAdmissionPolicyBinding")[0]
	if *policy.Spec.FailurePolicy != admissionregistrationv1.Fail || binding.Spec.PolicyName != policy.Name ||
		len(binding.Spec.ValidationActions) != 1 || binding.Spec.ValidationActions[0] != admissionregistrationv1.Deny {
		t.Errorf("failurePolicy %s, policyName %s, validationActions %v", *policy.Spec.FailurePolicy, binding.Spec.PolicyName,
			binding.Spec.ValidationActions)
	}
	if binding.Spec.MatchResources != nil || binding.Spec.ParamRef != nil ||
		policy.Spec.MatchConstraints.ExcludeResourceRules != nil {
		t.Errorf("something narrows it")
	}
	for _, v := range policy.Spec.Variables { // a variable that holds an optional fails open
		if !strings.Contains(v.Expression, "orValue(") && v.Name != "fenced" && v.Name != "version" {
			t.Errorf("variable %s does not end in a value: %s", v.Name, v.Expression)
		}
	}
}
