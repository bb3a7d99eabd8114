package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// rights reports, for each context, every missing right at once, with the smallest roles that give them.
func rights(l *Pass) {
	for _, c := range l.Contexts {
		if len(c.Missing) == 0 || l.foreign(c.Name) {
			continue
		}
		var words []string
		for _, n := range c.Missing {
			words = append(words, Words(n))
		}
		remedy := "let somebody who may create roles apply what is printed here, and bind it to you; kubectl auth whoami tells your name"
		if c.Partial {
			remedy += "; then check again, since the planes could not be listed, and more may be missing beside them: all of them are in: kubectl xcpauth install rbac"
		}
		x := l.Say(l.holder(c.Name), c.Name, "")
		x.Found, x.Remedy = fmt.Sprintf("%s missing: %s", Count(len(c.Missing), "right"), strings.Join(words, "; ")), remedy
		x.Command, x.Manifest = Kubectl(c.Name, "", "auth", "whoami"), Roles(c.Missing)
	}
}

// Words says a right as RBAC's own messages do: "get secrets/xcp-central-cert in tsb".
func Words(n plan.Permission) string { return n.String() }

// Roles are the smallest roles that give the rights, as YAML: one Role for each namespace and one ClusterRole for
// what has none, in the order of the rights.
func Roles(needs []plan.Permission) string {
	var namespaces []string
	for _, n := range needs {
		if !slices.Contains(namespaces, n.Namespace) {
			namespaces = append(namespaces, n.Namespace)
		}
	}
	var out strings.Builder
	for i, ns := range namespaces {
		if i > 0 {
			out.WriteString("---\n")
		}
		kind := "ClusterRole"
		if ns != "" {
			kind = "Role"
		}
		fmt.Fprintf(&out, "apiVersion: rbac.authorization.k8s.io/v1\nkind: %s\nmetadata:\n  name: xcpauth-missing\n", kind)
		if ns != "" {
			fmt.Fprintf(&out, "  namespace: %s\n", ns)
		}
		out.WriteString("rules:\n")
		for _, r := range grouped(needs, ns) {
			fmt.Fprintf(&out, "- apiGroups: [%s]\n  resources: [%s]\n", quoted(r.group), strings.Join(r.resources, ", "))
			if r.names != nil {
				fmt.Fprintf(&out, "  resourceNames: [%s]\n", strings.Join(r.names, ", "))
			}
			fmt.Fprintf(&out, "  verbs: [%s]\n", strings.Join(r.verbs, ", "))
		}
	}
	return out.String()
}

func quoted(group string) string {
	if group == "" {
		return `""`
	}
	return group
}

// rule is one entry of a role: every resource and name with every verb.
type rule struct {
	group     string
	resources []string
	names     []string // nil means any
	verbs     []string
}

// grouped joins the rights of a namespace, so that a rule never gives more than they say: first the verbs of each
// name, then the names of one resource that have the same verbs, then the resources that have the same verbs for any
// name.
func grouped(needs []plan.Permission, ns string) []rule {
	var byName, byResource, rules []rule
	for _, n := range needs {
		if n.Namespace != ns {
			continue
		}
		r := rule{group: n.Group, resources: []string{resource(n)}, verbs: []string{n.Verb}}
		if n.Name != "" {
			r.names = []string{n.Name}
		}
		byName = join(byName, r, func(a, b rule) bool {
			return slices.Equal(a.resources, b.resources) &&
				slices.Equal(a.names, b.names)
		})
	}
	for _, r := range byName {
		byResource = join(byResource, r, func(a, b rule) bool {
			return slices.Equal(a.resources, b.resources) && slices.Equal(a.verbs, b.verbs) &&
				(a.names == nil) == (b.names == nil)
		})
	}
	for _, r := range byResource {
		rules = join(rules, r, func(a, b rule) bool {
			return slices.Equal(a.verbs, b.verbs) && a.names == nil &&
				b.names == nil
		})
	}
	return rules
}

func resource(n plan.Permission) string {
	if n.Subresource != "" {
		return n.Resource + "/" + n.Subresource
	}
	return n.Resource
}

// join adds a rule to the first of its group that is like it, or to the end.
func join(rules []rule, r rule, like func(a, b rule) bool) []rule {
	add := func(to *[]string, more []string) {
		for _, m := range more {
			if !slices.Contains(*to, m) {
				*to = append(*to, m)
			}
		}
	}
	for i := range rules {
		if rules[i].group == r.group && like(rules[i], r) {
			add(&rules[i].resources, r.resources)
			add(&rules[i].names, r.names)
			add(&rules[i].verbs, r.verbs)
			return rules
		}
	}
	return append(rules, r)
}
