package state

import (
	"fmt"
	"reflect"
	"strings"
	"sync"

	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/manifests"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// The fence of an edge: a ValidatingAdmissionPolicy of its cluster, which the API server itself enforces (Kubernetes
// 1.30 and newer).
var (
	FencePolicyRead = plan.Read{Group: "admissionregistration.k8s.io", Version: "v1",
		Resource: "validatingadmissionpolicies", Name: plan.FenceName}
	FenceBindingRead = plan.Read{Group: "admissionregistration.k8s.io", Version: "v1",
		Resource: "validatingadmissionpolicybindings", Name: plan.FenceName}
)

var (
	FencePolicyRef = plan.Ref{Group: FencePolicyRead.Group, Version: FencePolicyRead.Version,
		Resource: FencePolicyRead.Resource, Kind: "ValidatingAdmissionPolicy", Name: plan.FenceName}
	FenceBindingRef = plan.Ref{Group: FenceBindingRead.Group, Version: FenceBindingRead.Version,
		Resource: FenceBindingRead.Resource, Kind: "ValidatingAdmissionPolicyBinding", Name: plan.FenceName}
)

// FenceObjects are the policy and its binding as manifests/ ships them, decoded once: every member's facts are held
// against them. Nobody may change them.
var FenceObjects = sync.OnceValues(func() (policy, binding map[string]any) {
	docs := strings.SplitN(string(manifests.EdgeFence), "\n---\n", 2)
	for i, into := range []*map[string]any{&policy, &binding} {
		if err := yaml.Unmarshal([]byte(docs[i]), into); err != nil {
			panic("tsb: the fence does not decode: " + err.Error()) // it is embedded, and a test decodes it
		}
	}
	return policy, binding
})

// Fence reads what keeps a member's cluster from being edited.
func Fence(reads map[plan.Read]plan.Result) plan.Fence {
	f := plan.Fence{Policy: FencePolicyRef, Binding: FenceBindingRef}
	policy, binding := reads[FencePolicyRead], reads[FenceBindingRead]
	switch {
	case policy.NoKind || binding.NoKind:
		f.Unavailable = "its API server has no ValidatingAdmissionPolicy in version v1 (Kubernetes 1.30 and newer have)"
	case policy.Err != "":
		f.Unavailable = "whether it has one could not be read: " + policy.Err
	case binding.Err != "":
		f.Unavailable = "whether it has one could not be read: " + binding.Err
	}
	var specs [2]map[string]any
	for i, r := range []plan.Result{policy, binding} {
		o := kube.One(r)
		if o == nil {
			continue
		}
		specs[i], _ = o.Raw["spec"].(map[string]any)
		if specs[i] == nil {
			specs[i] = map[string]any{}
		}
		if i == 0 {
			f.Policy.UID, f.PolicySpec = o.Metadata.UID, specs[i]
		} else {
			f.Binding.UID, f.BindingSpec = o.Metadata.UID, specs[i]
		}
	}
	p, b := FenceObjects()
	both := f.Policy.UID != "" && f.Binding.UID != ""
	f.Current = both && Enforces(specs[0], p["spec"]) && Enforces(specs[1], b["spec"])
	if both && !f.Current {
		if is, want := fenceVersion(specs[0]), fenceVersion(AsMap(p["spec"])); is != want {
			f.OutdatedReason = fmt.Sprintf("another release of xcpauth installed it: it is version %s, and this release has version %s",
				is, want)
		} else {
			f.OutdatedReason = "somebody changed it after it was installed"
		}
	}
	return f
}

// fenceVersion is the number that a policy of ours carries in its variable version. The first one carried none.
func fenceVersion(policy map[string]any) string {
	variables, _ := policy["variables"].([]any)
	for _, v := range variables {
		if variable := AsMap(v); variable["name"] == "version" {
			number, _ := variable["expression"].(string)
			return number
		}
	}
	return "1"
}

// Enforces says whether a stored spec of a policy or a binding is ours: every field that we write is as we write it,
// and none that we do not write narrows it.
func Enforces(stored map[string]any, ours any) bool {
	want, _ := ours.(map[string]any)
	for key, v := range want {
		if key == "matchConstraints" {
			if !Enforces(AsMap(stored[key]), v) {
				return false
			}
		} else if !reflect.DeepEqual(stored[key], v) {
			return false
		}
	}
	for _, key := range []string{"excludeResourceRules", "paramKind", "paramRef", "matchResources", "auditAnnotations"} {
		if v := stored[key]; v != nil && want[key] == nil && Canonical(v) != "{}" && Canonical(v) != "[]" {
			return false
		}
	}
	return true
}

func AsMap(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}
