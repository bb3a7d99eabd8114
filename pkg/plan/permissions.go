package plan

import (
	"slices"
)

// String says a right as RBAC's own messages do: "get secrets/xcp-central-cert in tsb".
func (n Permission) String() string {
	text := n.Verb + " " + n.Resource
	if n.Subresource != "" {
		text += "/" + n.Subresource
	}
	if n.Group != "" {
		text += "." + n.Group
	}
	if n.Name != "" {
		text += "/" + n.Name
	}
	if n.Namespace != "" {
		text += " in " + n.Namespace
	}
	return text
}

// Permissions are the rights that the steps of a plan take, by context, each once and sorted. Steps without which the
// run goes on are not counted.
func (p Plan) Permissions() map[string][]Permission {
	sets := map[string]map[Permission]bool{}
	for _, w := range p.Waves {
		for _, s := range w.Steps {
			if s.Optional {
				continue
			}
			for _, r := range s.Permissions() {
				if sets[r.Context] == nil {
					sets[r.Context] = map[Permission]bool{}
				}
				sets[r.Context][r.Permission] = true
			}
		}
	}
	all := map[string][]Permission{}
	for context, set := range sets {
		all[context] = SortedPermissions(set)
	}
	return all
}

// Permissions are the rights that a step takes, its way back and what follows its proof included.
func (s Step) Permissions() []contextPermission {
	var all []contextPermission
	for _, p := range s.Writes {
		all = append(all, p.Permissions()...)
		if back, ok := p.Undo(); ok && len(s.Undo) == 0 && !s.NoUndo && !s.Irreversible {
			all = append(all, back.Permissions()...)
		}
	}
	for _, p := range slices.Concat(s.Undo, s.OnSuccess) {
		all = append(all, p.Permissions()...)
	}
	if u := s.Supply; u != nil {
		create := Permission{Verb: "create", Resource: "secrets", Namespace: u.Namespace}
		all = append(all, contextPermission{u.Context, create})
		for _, name := range u.Wants { // one that cannot be used is replaced
			if u.Token == nil {
				for _, verb := range []string{"get", "patch"} {
					all = append(all, contextPermission{u.Context, Permission{Verb: verb, Resource: "secrets",
						Namespace: u.Namespace, Name: name}})
				}
			}
		}
	}
	return all
}

// Permissions are the rights that a patch takes, as the executor performs it. What it is read with again before it is
// written is among them.
func (p Write) Permissions() []contextPermission {
	if p.Via != nil { // its own users and rights decide over what is asked of it
		if p.Via.URL != "" {
			return nil
		}
		var all []contextPermission
		for _, verb := range []string{"create", "get"} { // over SPDY, over WebSockets
			all = append(all, contextPermission{p.Context, Permission{Verb: verb, Resource: "pods", Subresource: "portforward",
				Namespace: p.Via.Object.Namespace}})
		}
		return all
	}
	var all []contextPermission
	for _, u := range p.uses() {
		o := p.Object
		o.Name = u.name
		for _, n := range o.Permissions(u.verbs...) {
			all = append(all, contextPermission{p.Context, n})
		}
	}
	if p.Op == OpUpdateStatus {
		all = append(all, contextPermission{p.Context, Permission{Verb: "patch", Group: p.Object.Group,
			Resource: p.Object.Resource, Subresource: "status",
			Namespace: p.Object.Namespace, Name: p.Object.Name}})
	}
	return all
}

// use is what is done with an object of the kind that a write is of.
type use struct {
	name  string
	verbs []string
}

// uses are what a write does, besides to a status.
func (p Write) uses() []use {
	var all []use
	switch own := p.Object.Name; {
	case p.Op == OpCreate && p.RestoreFrom != "":
		all = []use{{p.RestoreFrom, []string{"get"}}, {own, []string{"get", "create"}}}
	case p.Op == OpCreate:
		all = []use{{own, []string{"create"}}}
	case p.Op == OpDelete && (p.BackupAs != "" || p.Object.UID != ""):
		all = []use{{own, []string{"get", "delete"}}}
	case p.Op == OpDelete:
		all = []use{{own, []string{"delete"}}}
	case p.Op == OpUpdateStatus:
		all = []use{{own, []string{"get"}}}
	case p.RestoreFrom != "":
		all = []use{{own, []string{"get", "patch"}}, {p.RestoreFrom, []string{"get"}}}
	default:
		all = []use{{own, []string{"get", "patch"}}}
	}
	if p.BackupAs != "" {
		all = append(all, use{p.BackupAs, []string{"create", "get", "patch"}})
	}
	return all
}

// contextPermission is a right in the cluster of a context.
type contextPermission struct {
	Context string
	Permission
}

// Permissions are rights to an object, one for each verb.
func (r Ref) Permissions(verbs ...string) []Permission {
	var all []Permission
	for _, verb := range verbs {
		n := Permission{Verb: verb, Group: r.Group, Resource: r.Resource, Namespace: r.Namespace, Name: r.Name}
		if verb == "create" {
			n.Name = "" // no authorizer knows the name of what is yet to be
		}
		all = append(all, n)
	}
	return all
}
