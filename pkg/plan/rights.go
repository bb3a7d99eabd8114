package plan

import (
	"slices"
)

// String says a right as RBAC's own messages do: "get secrets/xcp-central-cert in tsb".
func (n Need) String() string {
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

// Right is a right in the cluster of a context.
type Right struct {
	Context string
	Need
}

// Needs are rights to an object, one for each verb.
func (r Ref) Needs(verbs ...string) []Need {
	var all []Need
	for _, verb := range verbs {
		n := Need{Verb: verb, Group: r.Group, Resource: r.Resource, Namespace: r.Namespace, Name: r.Name}
		if verb == "create" {
			n.Name = "" // no authorizer knows the name of what is yet to be
		}
		all = append(all, n)
	}
	return all
}

// Rights are the rights that a patch takes, as the executor performs it. What it is read with again before it is written is among them.
func (p Patch) Rights() []Right {
	var all []Right
	add := func(o Ref, verbs ...string) {
		for _, n := range o.Needs(verbs...) {
			all = append(all, Right{p.Context, n})
		}
	}
	at := func(name string) Ref { o := p.Object; o.Name = name; return o }
	switch {
	case p.Create && p.RestoreFrom != "":
		add(at(p.RestoreFrom), "get")
		add(p.Object, "get", "create")
	case p.Create:
		add(p.Object, "create")
	case p.Delete && (p.KeepAs != "" || p.Object.UID != ""):
		add(p.Object, "get", "delete")
	case p.Delete:
		add(p.Object, "delete")
	case p.Status:
		add(p.Object, "get")
		all = append(all, Right{p.Context, Need{Verb: "patch", Group: p.Object.Group, Resource: p.Object.Resource, Subresource: "status",
			Namespace: p.Object.Namespace, Name: p.Object.Name}})
	default:
		add(p.Object, "get", "patch")
		if p.RestoreFrom != "" {
			add(at(p.RestoreFrom), "get")
		}
	}
	if p.KeepAs != "" {
		add(at(p.KeepAs), "create", "get", "patch")
	}
	return all
}

// Rights are the rights that a step takes, its way back and what follows its proof included.
func (s Step) Rights() []Right {
	var all []Right
	for _, p := range s.Writes {
		all = append(all, p.Rights()...)
		if back, ok := p.Undo(); ok && len(s.Back) == 0 && !s.Keep && !s.OneWay {
			all = append(all, back.Rights()...)
		}
	}
	for _, p := range slices.Concat(s.Back, s.Then) {
		all = append(all, p.Rights()...)
	}
	if u := s.Supply; u != nil {
		create := Need{Verb: "create", Resource: "secrets", Namespace: u.Namespace}
		all = append(all, Right{u.Context, create})
		for _, name := range u.Wants { // one that cannot be used is replaced
			if u.Token == nil {
				for _, verb := range []string{"get", "patch"} {
					all = append(all, Right{u.Context, Need{Verb: verb, Resource: "secrets", Namespace: u.Namespace, Name: name}})
				}
			}
		}
	}
	return all
}

// Rights are the rights that the steps of a plan take, by context, each once and sorted. Steps without which the run goes on are not
// counted.
func (p Plan) Rights() map[string][]Need {
	sets := map[string]map[Need]bool{}
	for _, w := range p.Waves {
		for _, s := range w.Steps {
			if s.Optional {
				continue
			}
			for _, r := range s.Rights() {
				if sets[r.Context] == nil {
					sets[r.Context] = map[Need]bool{}
				}
				sets[r.Context][r.Need] = true
			}
		}
	}
	all := map[string][]Need{}
	for context, set := range sets {
		all[context] = SortedNeeds(set)
	}
	return all
}
