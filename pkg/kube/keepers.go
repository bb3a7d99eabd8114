package kube

import (
	"fmt"
	"slices"
	"strings"
)

// keepers are controllers that write again what they keep, by the name under which they write (metadata.managedFields).
var keepers = map[string]string{
	"argocd-controller":             "Argo CD",
	"argocd-application-controller": "Argo CD",
	"kustomize-controller":          "Flux",
	"helm-controller":               "Flux",
	"fleetagent":                    "Fleet",
	"fleet-agent":                   "Fleet",
	"external-secrets":              "External Secrets",
}

// Owners says who keeps an object as it is: reverts names what puts a change of the given paths back, helm the
// release that re-applies its own values at its next upgrade. What reverts is told by the marks that each tool
// leaves, by a controller among the owners (ExternalSecret, SealedSecret and the like), and by who wrote the paths
// last. app.kubernetes.io/managed-by shows nothing here: tctl's manifests carry it too.
func Owners(m Metadata, paths ...[]string) (reverts, helm string) {
	if r := m.Annotations["meta.helm.sh/release-name"]; r != "" {
		helm = m.Annotations["meta.helm.sh/release-namespace"] + "/" + r
	}
	for _, mark := range []struct{ who, id string }{
		{"Argo CD", m.Annotations["argocd.argoproj.io/tracking-id"]},
		{"Argo CD", m.Labels["argocd.argoproj.io/instance"]},
		{"Flux", prefixed("kustomization ", m.Labels["kustomize.toolkit.fluxcd.io/name"])},
		{"Flux", prefixed("helm release ", m.Labels["helm.toolkit.fluxcd.io/name"])},
		{"Fleet", m.Annotations["objectset.rio.cattle.io/id"]},
	} {
		if mark.id != "" {
			return fmt.Sprintf("%s (%s)", mark.who, mark.id), helm
		}
	}
	// Up to 2.x Argo CD marks by a label that others use too, so that it must have written there as well.
	if id := m.Labels["app.kubernetes.io/instance"]; id != "" {
		for _, f := range m.ManagedFields {
			if keepers[f.Manager] == "Argo CD" {
				return fmt.Sprintf("Argo CD (%s)", id), helm
			}
		}
	}
	for _, o := range m.OwnerReferences {
		if o.Controller {
			return fmt.Sprintf("%s %s", o.Kind, o.Name), helm
		}
	}
	for _, f := range m.ManagedFields {
		if who := keepers[f.Manager]; who != "" && slices.ContainsFunc(paths,
			func(p []string) bool { return has(f.FieldsV1, p) }) {
			return fmt.Sprintf("%s (field manager %s)", who, f.Manager), helm
		}
	}
	return "", helm
}

// Supplies says who supplies a secret from elsewhere and makes it again when it is deleted, "" when nobody is known
// to. A controller that owns an object for another reason is no objection to its deletion: that it makes the object
// again may be the purpose.
func Supplies(m Metadata) string {
	other := func(o Owner) bool { return !strings.Contains(o.Kind, "Secret") }
	m.OwnerReferences = slices.DeleteFunc(slices.Clone(m.OwnerReferences), other)
	who, _ := Owners(m, []string{"data"}, []string{"spec"})
	return who
}

func prefixed(prefix, id string) string {
	if id == "" {
		return ""
	}
	return prefix + id
}
