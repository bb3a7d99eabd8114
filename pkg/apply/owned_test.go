package apply

import (
	"errors"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// Who keeps an object is asked of the object itself right before it is written or deleted, of every kind alike:
// nothing is written that would be put back.
func TestNothingIsWrittenThatSomethingElseWouldPutBack(t *testing.T) {
	marked := func(o apifake.Object, key string, value any) apifake.Object {
		o["metadata"].(apifake.Object)[key] = value
		return o
	}
	owner := func(kind string) []any {
		return []any{apifake.Object{"kind": kind, "name": "keeper", "uid": "u", "controller": true}}
	}
	manages := func(manager string, fields apifake.Object) []any {
		return []any{apifake.Object{"manager": manager, "operation": "Apply", "fieldsV1": fields}}
	}
	secret := func() apifake.Object { return apifake.Secret("ns", "token", map[string]string{"jwt": "old"}) }
	ref := plan.Ref{Version: "v1", Resource: "secrets", Kind: "Secret", Namespace: "ns", Name: "token", UID: "uid-token"}
	change := plan.Write{Context: "edge", Object: ref, Before: map[string]any{"data": map[string]any{"jwt": "b2xk"}},
		After: map[string]any{"data": map[string]any{"jwt": "bmV3"}}}
	remove := plan.Write{Context: "edge", Object: ref, Op: plan.OpDelete}
	renew := plan.Write{Context: "edge", Object: ref, Op: plan.OpDelete, BackupAs: "before"}
	deployment := func() apifake.Object {
		return apifake.Object{
			"apiVersion": "apps/v1",
			"kind":       "Deployment",
			"metadata":   apifake.Object{"name": "cp", "namespace": "ns", "uid": "uid-cp"},
			"spec": apifake.Object{
				"template": apifake.Object{
					"spec": apifake.Object{"containers": []any{apifake.Object{"name": "main",
						"env": []any{apifake.Object{"name": "A", "value": "1"}}}}},
				},
			},
		}
	}
	env := func(value string) map[string]any {
		return map[string]any{"spec": map[string]any{"template": map[string]any{"spec": map[string]any{
			"containers": []any{map[string]any{"name": "main", "env": []any{map[string]any{"name": "A", "value": value}}}}}}}}
	}
	variable := plan.Write{Context: "edge", ListsByName: true, Before: env("1"), After: env("2"),
		Object: plan.Ref{
			Group:     "apps",
			Version:   "v1",
			Resource:  "deployments",
			Kind:      "Deployment",
			Namespace: "ns",
			Name:      "cp",
			UID:       "uid-cp",
		}}
	restart := variable
	restart.ListsByName, restart.Op, restart.Before, restart.After = false, plan.OpRestart, nil, map[string]any{
		"spec": map[string]any{"template": map[string]any{"metadata": map[string]any{
			"annotations": map[string]any{"a": "b"}}}},
	}
	field := func(keys ...string) apifake.Object {
		fields := apifake.Object{}
		for i := len(keys) - 1; i >= 0; i-- {
			fields = apifake.Object{keys[i]: fields}
		}
		return fields
	}
	back := change
	back.Undoing = true
	for _, tc := range []struct {
		name  string
		it    apifake.Object
		patch plan.Write
		kept  string // by whom, where nothing is written
	}{
		{"a secret of nobody", secret(), change, ""},
		{"a secret of nobody, deleted", secret(), remove, ""},
		{"a secret that an ExternalSecret makes", marked(secret(), "ownerReferences", owner("ExternalSecret")), change,
			"ExternalSecret keeper"},
		{"a secret that a SealedSecret makes, deleted", marked(secret(), "ownerReferences", owner("SealedSecret")), remove,
			"SealedSecret keeper"},
		{"a token that an ExternalSecret makes, deleted to be made again", marked(secret(), "ownerReferences",
			owner("ExternalSecret")), renew, "ExternalSecret keeper"},
		{"a token that its operator makes again", marked(secret(), "ownerReferences", owner("ControlPlane")), renew, ""},
		{"a signing key that Argo CD tracks, deleted", marked(secret(), "annotations",
			apifake.Object{"argocd.argoproj.io/tracking-id": "keys"}), remove, "Argo CD (keys)"},
		{"a secret whose data Flux wrote", marked(secret(), "managedFields",
			manages("kustomize-controller", field("f:data", "f:jwt"))), change, "Flux (field manager kustomize-controller)"},
		{"a secret of which Flux wrote another key", marked(secret(), "managedFields",
			manages("kustomize-controller", field("f:data", "f:other"))), change, ""},
		{"the way back of what an ExternalSecret makes", marked(secret(), "ownerReferences", owner("ExternalSecret")), back,
			""},
		{"a variable that Flux wrote", marked(deployment(), "managedFields",
			manages("helm-controller", field("f:spec", "f:template", "f:spec", "f:containers", `k:{"name":"main"}`, "f:env",
				`k:{"name":"A"}`, "f:value"))), variable, "Flux (field manager helm-controller)"},
		{"another variable that Flux wrote", marked(deployment(), "managedFields",
			manages("helm-controller", field("f:spec", "f:template", "f:spec", "f:containers", `k:{"name":"main"}`, "f:env",
				`k:{"name":"B"}`, "f:value"))), variable, ""},
		{"a restart of what Argo CD tracks", marked(deployment(), "annotations",
			apifake.Object{"argocd.argoproj.io/tracking-id": "app"}), restart, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			live, wrote := writes(t, "", tc.it, apifake.Secret("ns", "before", map[string]string{"jwt": "old"}))
			_, err := live.Write(t.Context(), tc.patch, nil)
			var owned *OwnedError
			if errors.As(err, &owned) != (tc.kept != "") || tc.kept != "" && owned.Owner != tc.kept ||
				tc.kept == "" && err != nil {
				t.Errorf("error %v, want it kept by %q", err, tc.kept)
			}
			if all := wrote(); (len(all) == 0) != (tc.kept != "") {
				t.Errorf("wrote %q", all)
			}
		})
	}
}

// A secret that a member is supplied with is not replaced where something else supplies it.
func TestWhatIsSuppliedDoesNotReplaceWhatAnotherSupplies(t *testing.T) {
	there := apifake.Secret("ns", "token", map[string]string{"jwt": "old"})
	there["metadata"].(apifake.Object)["ownerReferences"] = []any{
		apifake.Object{"kind": "ExternalSecret", "name": "keeper", "uid": "u", "controller": true},
	}
	live, wrote := writes(t, "", there)
	live.Supplier = handed{names: []string{"token"}}
	_, err := live.Supply(
		t.Context(),
		plan.Supply{Member: "eu", Context: "edge", Namespace: "ns", Wants: []string{"token"}},
		nil,
	)
	var owned *OwnedError
	if !errors.As(err, &owned) || len(wrote()) > 0 ||
		!strings.Contains(err.Error(), "Secret ns/token in edge is kept by ExternalSecret keeper") {
		t.Errorf("error %v, wrote %q", err, wrote())
	}
}
