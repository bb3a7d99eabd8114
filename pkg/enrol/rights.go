package enrol

import (
	"github.com/xcpauth/kubectl-xcpauth/pkg/edgereader"
	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// registering are the rights that Register takes for one edge, by context. Anyone who gives the reader a right must
// have it.
func registering(hub hubCluster, m plan.Member, reads []plan.Read) map[string][]plan.Permission {
	needs := map[string][]plan.Permission{hub.Context: hub.entry(m.Name).Permissions(engine.Listing(m), "get", "patch")}
	needs[hub.Context] = append(needs[hub.Context], hub.kubeconfig(m.Name).Permissions("create", "update")...)
	for _, o := range edgereader.Objects(m.Object.Namespace, reads) {
		needs[m.Context] = append(needs[m.Context], o.Ref.Permissions("create", "patch")...)
	}
	needs[m.Context] = append(
		needs[m.Context],
		plan.Permission{Verb: "create", Resource: "serviceaccounts", Subresource: "token",
			Namespace: m.Object.Namespace, Name: edgereader.ReaderName},
	)
	for _, r := range reads {
		verb := "list"
		if r.Name != "" {
			verb = "get"
		}
		needs[m.Context] = append(
			needs[m.Context],
			plan.Permission{Verb: verb, Group: r.Group, Resource: r.Resource, Namespace: r.Namespace, Name: r.Name},
		)
	}
	return needs
}

// unregistering are the rights that Unregister takes for one edge, by context.
func unregistering(hub hubCluster, m plan.Member, voids bool) map[string][]plan.Permission {
	needs := map[string][]plan.Permission{hub.Context: hub.entry(m.Name).Permissions("patch")}
	if voids {
		needs[hub.Context] = append(needs[hub.Context], engine.Stating(hub.namespace, m.Name)[1:]...)
	}
	needs[hub.Context] = append(needs[hub.Context], hub.kubeconfig(m.Name).Permissions("delete")...)
	if m.Err == "" {
		for _, o := range edgereader.Objects(m.Object.Namespace, nil) {
			needs[m.Context] = append(needs[m.Context], o.Ref.Permissions("delete")...)
		}
	}
	return needs
}

// forgetting are the rights that Forget takes in the hub.
func forgetting(hub hubCluster, name string, alive, live bool) []plan.Permission {
	all := append(
		hub.entry(name).Permissions("get", "delete"),
		plan.Permission{Verb: "create", Resource: "events", Namespace: hub.entry(name).Namespace},
	)
	if live {
		all = append(all, hub.kubeconfig(name).Permissions("delete")...)
	}
	if !alive {
		return all
	}
	return append(all, engine.WritingJournal(hub.namespace)...)
}
