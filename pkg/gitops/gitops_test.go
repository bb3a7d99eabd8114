package gitops

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

const mode = "spec:\n  components:\n    xcp:\n      centralAuthMode: JWT\n"

// fleet is a hub and two edges, of which Git keeps the hub and one edge, which a Helm release made.
func fleet() plan.State {
	f := plan.State{Hub: plan.Hub{}}
	f.Hub.Found, f.Hub.Context = true, "arn:aws:eks:eu:1:cluster/hub"
	f.Hub.Object = plan.Ref{Group: "install.tetrate.io", Version: "v1alpha1", Kind: "ManagementPlane", Namespace: "tsb",
		Name: "managementplane"}
	f.Hub.Owner = "Argo CD (app)"
	for _, name := range []string{"one", "two"} {
		m := plan.Member{Identity: plan.Identity{Name: name, Role: plan.RoleEdge, Context: name,
			Object: plan.Ref{Group: "install.tetrate.io", Version: "v1alpha1", Kind: "ControlPlane", Namespace: "istio-system",
				Name: "controlplane"}}}
		if name == "one" {
			m.Owner, m.HelmNote = "Flux (helm release cp)", "istio-system/cp"
		}
		f.Members = append(f.Members, m)
	}
	return f
}

func xcp(fields map[string]any) map[string]any {
	return map[string]any{"spec": map[string]any{"components": map[string]any{"xcp": fields}}}
}

func switched(m plan.Member, more ...plan.Write) plan.Step {
	return plan.Step{Title: m.Name + ": present a JWT", Writes: append(more, plan.Write{Context: m.Context, Object: m.Object,
		After: xcp(map[string]any{"centralAuthMode": "JWT"})})}
}

func TestGitIsToldOfEachWaveWhatItKeeps(t *testing.T) {
	f := fleet()
	ca := plan.Write{Context: "one", Op: plan.OpCreate, Object: plan.Ref{Version: "v1", Kind: "Secret",
		Namespace: "istio-system", Name: "ca"}}
	withdrawn := plan.Step{Title: "hub: accept JWT alone", Withdraws: &guard.Hub{}, Writes: []plan.Write{{
		Context: f.Hub.Context, Object: f.Hub.Object, After: xcp(map[string]any{"centralAuthModes": map[string]any{
			"mutualTls": false}})}}}
	again := func(verb string) string { return "kubectl xcpauth " + verb }
	for name, tc := range map[string]struct {
		waves []plan.Wave
		files map[string]string // with what they hold
		index []string
	}{
		"each is a directory": {
			[]plan.Wave{{Title: "Both modes: on"}, {Title: "canary", Steps: []plan.Step{switched(f.Members[0], ca)}},
				{Title: "the rest", Steps: []plan.Step{switched(f.Members[1])}}},
			map[string]string{
				"02-canary/one/controlplane-controlplane.yaml": "# Of context one, kept by Flux (helm release cp).\n" +
					"apiVersion: install.tetrate.io/v1alpha1\nkind: ControlPlane\nmetadata:\n  name: controlplane\n" +
					"  namespace: istio-system\n" + mode,
				"02-canary/one/controlplane-controlplane.values.yaml": "# Of context one, kept by Flux (helm release cp).\n" +
					"# Values of Helm release istio-system/cp.\n" + mode,
				"02-canary/one/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\npatches:\n" +
					"- path: controlplane-controlplane.yaml\n"},
			[]string{"kubectl xcpauth migrate", "## 1. Both modes: on\n\n- Nothing is in Git. `migrate` does this wave.",
				"one: present a JWT: run `migrate` before you merge it: create Secret istio-system/ca in one",
				"## 3. the rest\n\n- Nothing is in Git."}},
		"what takes away is written when it is next": {
			[]plan.Wave{{Title: "canary"}, {Title: "mTLS off", Steps: []plan.Step{withdrawn}}}, map[string]string{},
			[]string{"hub: accept JWT alone: written when this wave is next."}},
		"and then it is": {
			[]plan.Wave{{Title: "mTLS off", Steps: []plan.Step{withdrawn}}},
			map[string]string{
				"01-mtls-off/arn-aws-eks-eu-1-cluster-hub/managementplane-managementplane.yaml": "# Of context " +
					"arn:aws:eks:eu:1:cluster/hub, kept by Argo CD (app).\napiVersion: install.tetrate.io/v1alpha1\n" +
					"kind: ManagementPlane\nmetadata:\n  name: managementplane\n  namespace: tsb\nspec:\n  components:\n    xcp:\n" +
					"      centralAuthModes:\n        mutualTls: false\n",
				"01-mtls-off/arn-aws-eks-eu-1-cluster-hub/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\n" +
					"kind: Component\npatches:\n- path: managementplane-managementplane.yaml\n"},
			[]string{"kept by Argo CD (app): `01-mtls-off/arn-aws-eks-eu-1-cluster-hub`"}},
	} {
		t.Run(name, func(t *testing.T) {
			files, err := Files(f, plan.Plan{Waves: tc.waves}, again)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for name, text := range files {
				if name != "INDEX.md" {
					got[name] = string(text)
				}
			}
			if d := cmp.Diff(tc.files, got); d != "" {
				t.Errorf("files (-want +got):\n%s", d)
			}
			for _, text := range tc.index {
				if !strings.Contains(string(files["INDEX.md"]), text) {
					t.Errorf("the index lacks %q:\n%s", text, files["INDEX.md"])
				}
			}
		})
	}
}

// The charts of Kong Mesh take variables, and those that come from a Secret as entries of a list; a strategic merge
// patch deletes an entry of a list by its name.
func TestAVariableIsAValueAndASecretAnEntry(t *testing.T) {
	env := []any{map[string]any{"name": "A", "value": "cpToken"}, map[string]any{"name": "B", "value": nil},
		map[string]any{"name": "C", "valueFrom": map[string]any{"secretKeyRef": map[string]any{"name": "s", "key": "token"}}}}
	w := plan.Write{ListsByName: true, Object: plan.Ref{Kind: "Deployment"}, After: map[string]any{"spec": map[string]any{
		"template": map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"name": "control-plane",
			"env": env}}}}}}}
	want := map[string]any{"kuma": map[string]any{"controlPlane": map[string]any{
		"envVars": map[string]any{"A": "cpToken", "B": nil},
		"secrets": []any{map[string]any{"Env": "C", "Secret": "s", "Key": "token"}}}}}
	if d := cmp.Diff(want, Values(w)); d != "" {
		t.Errorf("values (-want +got):\n%s", d)
	}
	deleted := func(e map[string]any) bool { return e["name"] == "B" && e["$patch"] == "delete" && len(e) == 2 }
	if got := environment(patched(w.After, true).(map[string]any)); len(got) != 3 || !slices.ContainsFunc(got, deleted) {
		t.Errorf("the patch says %v", got)
	}
}

func TestAStateWithoutOwnersIsACopy(t *testing.T) {
	f := fleet()
	u := Unowned(f)
	if u.Hub.Owner != "" || u.Members[0].Owner != "" || f.Hub.Owner == "" || f.Members[0].Owner == "" {
		t.Errorf("%q %q of %q %q", u.Hub.Owner, u.Members[0].Owner, f.Hub.Owner, f.Members[0].Owner)
	}
}
