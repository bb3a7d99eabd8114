package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// rights reports, for each context, every missing right at once, with the smallest roles that give them.
func rights(f plan.Facts, _ Options) []Finding {
	var found []Finding
	for _, c := range f.Contexts {
		if len(c.Missing) == 0 {
			continue
		}
		var words []string
		for _, n := range c.Missing {
			words = append(words, Words(n))
		}
		found = append(found, Finding{Member: holder(f, c.Name), Context: c.Name, Saw: fmt.Sprintf("%s missing: %s", count(len(c.Missing), "right"), strings.Join(words, "; ")),
			Remedy: "let somebody who may create roles apply what is printed here, and bind it to you; kubectl auth whoami tells your name", Command: command("kubectl", "--context", c.Name, "auth", "whoami"),
			Manifest: Roles(c.Missing)})
	}
	return found
}

// Words says a right as RBAC's own messages do: "get secrets/xcp-central-cert in tsb".
func Words(n plan.Need) string {
	text := n.Verb + " " + resource(n)
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

func resource(n plan.Need) string {
	if n.Subresource != "" {
		return n.Resource + "/" + n.Subresource
	}
	return n.Resource
}

// Roles are the smallest roles that give the rights, as YAML: one Role for each namespace and one ClusterRole for what has none,
// in the order of the rights.
func Roles(needs []plan.Need) string {
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
			fmt.Fprintf(&out, "- apiGroups: [%s]\n  resources: [%s]\n", quoted(r.group), r.resource)
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

// rule is one entry of a role: every name with every verb.
type rule struct {
	group, resource string
	names           []string // nil means any
	verbs           []string
}

// grouped joins the rights of a namespace: first the verbs of each name, then the names that have the same verbs.
func grouped(needs []plan.Need, ns string) []rule {
	var rules []rule
	for _, n := range needs {
		if n.Namespace != ns {
			continue
		}
		var names []string
		if n.Name != "" {
			names = []string{n.Name}
		}
		i := slices.IndexFunc(rules, func(r rule) bool {
			return r.group == n.Group && r.resource == resource(n) && slices.Equal(r.names, names)
		})
		if i < 0 {
			rules, i = append(rules, rule{group: n.Group, resource: resource(n), names: names}), len(rules)
		}
		if !slices.Contains(rules[i].verbs, n.Verb) {
			rules[i].verbs = append(rules[i].verbs, n.Verb)
		}
	}
	var joined []rule
	for _, r := range rules {
		i := slices.IndexFunc(joined, func(j rule) bool {
			return j.group == r.group && j.resource == r.resource && (j.names == nil) == (r.names == nil) && slices.Equal(j.verbs, r.verbs)
		})
		if i < 0 {
			joined = append(joined, r)
			continue
		}
		joined[i].names = append(joined[i].names, r.names...)
	}
	return joined
}
