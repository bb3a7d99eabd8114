package migration

import (
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// Permissions lists, sorted, the rights that a run makes use of in a context of which that much was read: to look,
// and to migrate too when migrate is true. manifests/rbac/hub and manifests/rbac/edge give them.
func Permissions(soFar map[plan.Read]plan.Result, migrate bool) []plan.Permission {
	all := map[plan.Permission]bool{}
	add := func(verb, group, resource, ns, name string) {
		resource, sub, _ := strings.Cut(resource, "/")
		all[plan.Permission{Verb: verb, Group: group, Resource: resource, Subresource: sub, Namespace: ns, Name: name}] = true
	}
	for r := range soFar { // whatever is read must be readable
		switch {
		case r.Port != 0: // below
		case r.Labels != "": // to find out which product it is: nothing of this one rests on it
		case r.Name != "":
			add("get", r.Group, r.Resource, r.Namespace, r.Name)
		default:
			add("list", r.Group, r.Resource, r.Namespace, "")
			if r == kube.PodsRead(r.Namespace) { // one may come that does not tell whose it is
				sets := kube.ReplicaSetsRead(r.Namespace)
				add("list", sets.Group, sets.Resource, sets.Namespace, "")
			}
		}
	}
	hubs, edges := kube.Items(soFar[state.ManagementPlanesRead]), kube.Items(soFar[state.ControlPlanesRead])
	for _, plane := range slices.Concat(hubs, edges) {
		for _, verb := range []string{"create", "get"} { // for SPDY and for WebSockets
			add(verb, "", "pods/portforward", plane.Metadata.Namespace, "")
		}
	}
	if migrate {
		for _, mp := range hubs {
			ns := mp.Metadata.Namespace
			add("patch", state.ManagementPlanesRead.Group, state.ManagementPlanesRead.Resource, ns, mp.Metadata.Name)
			add("patch", "apps", "deployments", ns, "central")
			// its certificate is rehearsed, then re-issued
			if state.IssuerOf(soFar, mp, state.SecretCentralCert).Object.Name != "" {
				for _, verb := range []string{"create", "patch", "delete"} {
					add(verb, "cert-manager.io", "certificates", ns, "")
				}
				add("delete", "", "secrets", ns, state.TrialSecret)
			} else if soFar[state.SecretRead(ns,
				state.SecretCentralCert)].OK() { // it comes from files: it is patched, and kept beside
				add("create", "", "secrets", ns, "")
				add("patch", "", "secrets", ns, state.SecretCentralCert)
				add("get", "", "secrets", ns, state.PairBackup)
				add("patch", "", "secrets", ns, state.PairBackup)
			}
		}
		for _, cp := range edges {
			ns := cp.Metadata.Namespace
			add("patch", state.ControlPlanesRead.Group, state.ControlPlanesRead.Resource, ns, cp.Metadata.Name)
			if soFar[state.SecretRead(ns, state.SecretCA)].Missing {
				add("create", "", "secrets", ns, "")
			}
			for _, r := range []plan.Read{state.FencePolicyRead, state.FenceBindingRead} {
				if !soFar[r].NoKind { // where there can be a fence
					add("create", r.Group, r.Resource, "", "")
					add("patch", r.Group, r.Resource, "", r.Name)
					add("delete", r.Group, r.Resource, "", r.Name)
				}
			}
		}
		if len(hubs) > 0 {
			needRoster(soFar, add)
			for _, n := range roster.Permissions(soFar) {
				all[n] = true
			}
		}
	}
	return plan.SortedPermissions(all)
}

// needRoster adds what a migration writes of the roster beside the journal and the lock, and Events.
func needRoster(soFar map[plan.Read]plan.Result, add func(verb, group, resource, ns, name string)) {
	namespace, _ := roster.In(soFar)
	for _, r := range roster.Reads(soFar) {
		if soFar[r].Missing && r.Resource == "customresourcedefinitions" {
			add("create", r.Group, r.Resource, "", "")
		}
	}
	group, edgeClusters := api.GroupVersion.Group, api.EdgeClusters.Resource
	for _, verb := range []string{"create", "patch", "delete", "state"} {
		add(verb, group, edgeClusters, namespace, "")
	}
	add("patch", group, edgeClusters+"/status", namespace, "")
	add("create", "", "events", namespace, "")
}
