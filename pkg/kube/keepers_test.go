package kube_test

import (
	"encoding/json"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
)

// Who keeps an object is told by the marks of each tool, by a controller among its owners, and by who wrote the very
// fields.
func TestWhoKeepsAnObject(t *testing.T) {
	paths := [][]string{{"spec", "components", "xcp", "centralAuthModes"},
		{"spec", "template", "spec", "containers", `k:{"name":"cp"}`, "env", `k:{"name":"A"}`}}
	const ours = `{"f:spec":{"f:components":{"f:xcp":{"f:centralAuthModes":{"f:jwt":{}}}}}}`
	const beside = `{"f:spec":{"f:components":{"f:xcp":{"f:kubeSpec":{}}}}}`
	const variable = `{"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"cp\"}":{"f:env":{"k:{\"name\":\"A\"}":{}}}}}}}}`
	for _, tc := range []struct{ name, metadata, reverts, helm string }{
		{"nobody", `{}`, "", ""},
		{"kubectl", `{"managedFields":[{"manager":"kubectl-client-side-apply","fieldsV1":` + ours + `}]}`, "", ""},
		{"Argo CD by its annotation", `{"annotations":{"argocd.argoproj.io/tracking-id":"app:x"}}`, "Argo CD (app:x)", ""},
		{"Argo CD by its own label", `{"labels":{"argocd.argoproj.io/instance":"app"}}`, "Argo CD (app)", ""},
		{"Argo CD by the label of 2.x, and its writes",
			`{"labels":{"app.kubernetes.io/instance":"app"},"managedFields":[{"manager":"argocd-controller","fieldsV1":` +
				beside + `}]}`, "Argo CD (app)", ""},
		{"that label alone", `{"labels":{"app.kubernetes.io/instance":"app"},"managedFields":[{"manager":"helm","fieldsV1":` +
			ours + `}]}`, "", ""},
		{"Flux by a kustomization", `{"labels":{"kustomize.toolkit.fluxcd.io/name":"k"}}`, "Flux (kustomization k)", ""},
		{"Flux by a release, which is Helm's too",
			`{"labels":{"helm.toolkit.fluxcd.io/name":"r"},"annotations":{"meta.helm.sh/release-name":"r","meta.helm.sh/release-namespace":"n"}}`, "Flux (helm release r)", "n/r"},
		{"Fleet", `{"annotations":{"objectset.rio.cattle.io/id":"default-bundle"}}`, "Fleet (default-bundle)", ""},
		{"Helm alone", `{"annotations":{"meta.helm.sh/release-name":"r","meta.helm.sh/release-namespace":"n"}}`, "", "n/r"},
		{"an ExternalSecret", `{"ownerReferences":[{"kind":"ExternalSecret","name":"tokens","controller":true}]}`,
			"ExternalSecret tokens", ""},
		{"a SealedSecret", `{"ownerReferences":[{"kind":"SealedSecret","name":"tokens","controller":true}]}`,
			"SealedSecret tokens", ""},
		{"an owner that is no controller", `{"ownerReferences":[{"kind":"Namespace","name":"n"}]}`, "", ""},
		{"a tool that wrote our field", `{"managedFields":[{"manager":"kustomize-controller","fieldsV1":` + ours + `}]}`,
			"Flux (field manager kustomize-controller)", ""},
		{"a tool that wrote our variable", `{"managedFields":[{"manager":"fleetagent","fieldsV1":` + variable + `}]}`,
			"Fleet (field manager fleetagent)", ""},
		{"a tool that wrote another field", `{"managedFields":[{"manager":"kustomize-controller","fieldsV1":` +
			beside + `}]}`, "", ""},
		{"fields that are none", `{"managedFields":[{"manager":"kustomize-controller","fieldsV1":[]}]}`, "", ""},
	} {
		var m kube.Metadata
		if err := json.Unmarshal([]byte(tc.metadata), &m); err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		if reverts, helm := kube.Owners(m, paths...); reverts != tc.reverts || helm != tc.helm {
			t.Errorf("%s: kept by %q, Helm release %q; want %q, %q", tc.name, reverts, helm, tc.reverts, tc.helm)
		}
	}
}
