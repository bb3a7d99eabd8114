package tsb

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/manifests"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// The fence of an edge: a ValidatingAdmissionPolicy of its cluster, which the API server itself enforces (Kubernetes 1.30 and newer).
var (
	readFencePolicy  = plan.Read{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicies", Name: plan.FenceName}
	readFenceBinding = plan.Read{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicybindings", Name: plan.FenceName}
)

var (
	fencePolicyRef  = plan.Ref{Group: readFencePolicy.Group, Version: readFencePolicy.Version, Resource: readFencePolicy.Resource, Kind: "ValidatingAdmissionPolicy", Name: plan.FenceName}
	fenceBindingRef = plan.Ref{Group: readFenceBinding.Group, Version: readFenceBinding.Version, Resource: readFenceBinding.Resource, Kind: "ValidatingAdmissionPolicyBinding", Name: plan.FenceName}
)

// fenceObjects are the policy and its binding as manifests/ ships them, decoded once: every member's facts are held against them. Nobody may
// change them.
var fenceObjects = sync.OnceValues(func() (policy, binding map[string]any) {
	docs := strings.SplitN(string(manifests.EdgeFence), "\n---\n", 2)
	for i, into := range []*map[string]any{&policy, &binding} {
		if err := yaml.Unmarshal([]byte(docs[i]), into); err != nil {
			panic("tsb: the fence does not decode: " + err.Error()) // it is embedded, and a test decodes it
		}
	}
	return policy, binding
})

// fence reads what keeps a member's cluster from being edited.
func fence(reads map[plan.Read]plan.Result) plan.Fence {
	f := plan.Fence{Policy: fencePolicyRef, Binding: fenceBindingRef}
	policy, binding := reads[readFencePolicy], reads[readFenceBinding]
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
	p, b := fenceObjects()
	both := f.Policy.UID != "" && f.Binding.UID != ""
	f.Current = both && enforces(specs[0], p["spec"]) && enforces(specs[1], b["spec"])
	if both && !f.Current {
		if is, want := fenceVersion(specs[0]), fenceVersion(asMap(p["spec"])); is != want {
			f.Outdated = fmt.Sprintf("another release of xcpauth installed it: it is version %s, and this release has version %s",
				is, want)
		} else {
			f.Outdated = "somebody changed it after it was installed"
		}
	}
	return f
}

// fenceVersion is the number that a policy of ours carries in its variable version. The first one carried none.
func fenceVersion(policy map[string]any) string {
	variables, _ := policy["variables"].([]any)
	for _, v := range variables {
		if variable := asMap(v); variable["name"] == "version" {
			number, _ := variable["expression"].(string)
			return number
		}
	}
	return "1"
}

// enforces says whether a stored spec of a policy or a binding is ours: every field that we write is as we write it, and none that we do
// not write narrows it.
func enforces(stored map[string]any, ours any) bool {
	want, _ := ours.(map[string]any)
	for key, v := range want {
		if key == "matchConstraints" {
			if !enforces(asMap(stored[key]), v) {
				return false
			}
		} else if !reflect.DeepEqual(stored[key], v) {
			return false
		}
	}
	for _, key := range []string{"excludeResourceRules", "paramKind", "paramRef", "matchResources", "auditAnnotations"} {
		if v := stored[key]; v != nil && want[key] == nil && canonical(v) != "{}" && canonical(v) != "[]" {
			return false
		}
	}
	return true
}

func asMap(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

// unfenced lists the edges that are proved, and could be fenced in, and are not proved to be.
func unfenced(v classified, goal plan.Goal) []plan.Member {
	if goal.NoFence {
		return nil
	}
	var all []plan.Member
	for _, m := range v.verified {
		if m.Err == "" && m.Fence.Unavailable == "" && !m.Fence.Verified {
			all = append(all, m)
		}
	}
	return all
}

// oldFences lists the edges that present a JWT behind a fence of another release, or one that somebody changed. Such a
// fence may deny what is harmless, or admit what is not, so it is replaced even where nothing else is to be done.
func oldFences(f plan.State, goal plan.Goal) []plan.Member {
	if goal.NoFence {
		return nil
	}
	var all []plan.Member
	for _, m := range f.Members {
		if m.Err == "" && m.Role == plan.RoleEdge && m.Registered && !m.EntryStale && len(m.Obstacles) == 0 &&
			m.Fence.Unavailable == "" && m.Fence.Outdated != "" &&
			m.Declared == JWT && slices.Equal(m.Evidence.Presents, []cred{JWT}) {
			all = append(all, m)
		}
	}
	return all
}

// fenceWave is the wave that fences edges in.
func fenceWave(members []plan.Member, goal plan.Goal, blocked []plan.Obstacle) plan.Wave {
	return plan.Wave{Title: "fences", Steps: stepsFor(members, func(m plan.Member) plan.Step { return installFenceStep(m, goal) }), Obstacles: blocked}
}

// installFenceStep installs the fence in an edge's cluster and proves that it denies: what its API server only stores keeps nobody out, and one
// that was just made is enforced some seconds later. The edge itself is not touched.
func installFenceStep(m plan.Member, goal plan.Goal) plan.Step {
	policy, binding := fenceObjects()
	proof := edgeConditions(m, JWT, 0)
	if m.Fence.Outdated == "" {
		proof = proof[:2] // the rest was just seen; what stood behind another fence is seen again
	}
	s := plan.Step{ID: "fence/" + m.Name, Kind: plan.InstallFence, Member: m.Name, Title: m.Name + ": deny every edit that would make it present a certificate again",
		Why:     "the hub is about to rely on what was proved of it; behind a fence that is believed for 7 days, without one for 15 minutes",
		Timeout: goal.Within, NoUndo: true, Optional: true,
		Probe: &plan.Write{Context: m.Context, Cluster: m.ClusterUID, Object: m.Object, After: modePatch("MUTUAL_TLS")},
		Conditions: append(proof,
			plan.Condition{Kind: conditionFenced, Member: m.Name, For: goal.FenceFor, Text: fmt.Sprintf("a dry run of such an edit is denied by %s, again and again for %s, each time on a new connection", plan.FenceName, goal.FenceFor)})}
	for _, o := range []struct {
		ref    plan.Ref
		stored map[string]any
		ours   map[string]any
	}{{m.Fence.Policy, m.Fence.PolicySpec, policy}, {m.Fence.Binding, m.Fence.BindingSpec, binding}} {
		p := plan.Write{Context: m.Context, Cluster: m.ClusterUID, Object: o.ref}
		switch {
		case o.stored == nil:
			p.Create, p.After = true, o.ours
		case enforces(o.stored, o.ours["spec"]):
			continue
		default: // another version's, or somebody has changed it
			p.Before, p.After = map[string]any{"spec": o.stored}, map[string]any{"spec": replacing(o.stored, o.ours["spec"])}
		}
		s.Writes = append(s.Writes, p)
	}
	return s
}

// replacing is a merge patch that turns stored into ours: what ours lacks is removed.
func replacing(stored map[string]any, ours any) map[string]any {
	patch := map[string]any{}
	want := asMap(ours)
	for key := range stored {
		patch[key] = nil
	}
	for key, v := range want {
		patch[key] = v
		if sub := asMap(v); sub != nil && asMap(stored[key]) != nil {
			patch[key] = replacing(asMap(stored[key]), sub)
		}
	}
	return patch
}

// removeFence removes the fence of a member's cluster, if there is one, having first taken back what the roster states of the member, and of whoever
// else the fence stands behind.
func removeFence(f plan.State, m plan.Member) []plan.Write {
	var writes []plan.Write
	for _, other := range f.Members {
		own := other.Name == m.Name && (other.Registered || other.Statement != nil) // one may be stated of it at this very moment
		relies := own || other.Context == m.Context && other.Statement != nil && other.Statement.Fence != ""
		if relies && f.Hub.Found {
			writes = append(writes, retraction(f, other))
		}
	}
	for _, o := range []plan.Ref{m.Fence.Binding, m.Fence.Policy} {
		if o.UID != "" {
			writes = append(writes, plan.Write{Context: m.Context, Cluster: m.ClusterUID, Object: o, Delete: true})
		}
	}
	return writes
}

// evaluateFenced wants every dry run of the stretch that ends now to have been denied by our policy and our binding, for as long as the claim asks,
// and the member to have been looked at after that: an edit that was admitted before the first denial is stored by then, and seen.
func evaluateFenced(c plan.Condition, seen []plan.State) plan.Evaluation {
	last := seen[len(seen)-1]
	var since, until time.Time // of the denials before the last look
	denied := 0
	for i := len(seen) - 1; i >= 1; i-- {
		probe, made := seen[i].Probes[c.Member]
		m := seen[i].Member(c.Member)
		if !made || !byFence(probe.Denied) || m == nil || !m.Fence.Current || m.Fence.ID() != last.Member(c.Member).Fence.ID() {
			break
		}
		if since, denied = probe.At, denied+1; denied == 2 {
			until = probe.At
		}
	}
	probe := last.Probes[c.Member]
	switch {
	case denied == 0 && probe.Err != "":
		return plan.Evaluation{Evidence: "the dry run of an edit did not come to an answer: " + probe.Err}
	case denied == 0 && probe.Denied != "":
		return plan.Evaluation{Evidence: "the dry run of an edit was denied by something else: " + probe.Denied}
	case denied == 0:
		return plan.Evaluation{Evidence: "the dry run of an edit was let through: its API server does not enforce the fence yet"}
	case denied < 2 || until.Sub(since) < c.For:
		return plan.Evaluation{Evidence: fmt.Sprintf("the fence denies since %s, and must be seen to for %s", since.UTC().Format(time.RFC3339), c.For)}
	}
	return plan.Evaluation{Met: true, Evidence: fmt.Sprintf("its API server denied %s of an edit in %s, on new connections", count(denied, "dry run"), probe.At.Sub(since).Round(time.Second))}
}

// byFence says whether admission's words name our policy and our binding.
func byFence(denied string) bool {
	return strings.Contains(denied, fmt.Sprintf("ValidatingAdmissionPolicy '%s' with binding '%s'", plan.FenceName, plan.FenceName))
}
