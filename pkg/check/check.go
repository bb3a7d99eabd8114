package check

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Rule is a rule with the function that looks: it reports what it finds in the pass.
type Rule struct {
	finding.Rule
	Find func(*Pass)
}

// Options are what a run is asked for.
type Options struct {
	// WarnWithin, when not 0, is how long before its expiry a credential or certificate is reported. 0 means a tenth of
	// its lifetime.
	WarnWithin time.Duration
	// Flags are what commands need to be run as this run is: flags of kubectl that the plugin has too, "--kubeconfig"
	// and its path, say.
	Flags []string
}

// Run applies the rules and returns what they found, and what the product found by rules of its own; worst first, then
// by member, rule and object.
func Run(rules []Rule, f plan.State, o Options) []finding.Finding {
	l := newRun(&f, o)
	for _, r := range rules {
		l.rule = r
		r.Find(l)
	}
	l.own()
	slices.SortStableFunc(l.found, func(a, b *finding.Finding) int {
		return cmp.Or(cmp.Compare(slices.Index(finding.Severities, a.Severity), slices.Index(finding.Severities, b.Severity)),
			byMember(a.Member, b.Member),
			strings.Compare(a.Context, b.Context), strings.Compare(a.Rule, b.Rule), strings.Compare(a.Object, b.Object),
			strings.Compare(a.Found, b.Found))
	})
	found := make([]finding.Finding, len(l.found))
	for i, x := range l.found {
		found[i] = *x
		found[i].Command = withFlags(x.Command, o.Flags)
	}
	return found
}

// own reports what the product found by rules of its own.
func (l *Pass) own() {
	for _, p := range l.Subjects() {
		for _, x := range p.In.Findings {
			x.Member, x.Context, x.Docs = "hub", p.Context, finding.Docs(x.Rule)
			if p.Member != nil {
				x.Member = p.Member.Name
			}
			l.found = append(l.found, &x)
		}
	}
}

// byMember puts the hub first, then members by name, then what belongs to none.
func byMember(a, b string) int {
	order := func(name string) int {
		switch name {
		case "hub":
			return 0
		case "-":
			return 2
		}
		return 1
	}
	return cmp.Or(cmp.Compare(order(a), order(b)), strings.Compare(a, b))
}

// Xcpauth is a command of the plugin about this hub.
func (l *Pass) Xcpauth(words ...string) string {
	return Command(append(append([]string{"kubectl", "xcpauth"}, words...), "--context", l.Hub.Context)...)
}

// withFlags passes flags to a command of kubectl, or of the plugin, whose flags come after its name.
func withFlags(text string, flags []string) string {
	if len(flags) == 0 {
		return text
	}
	for _, program := range []string{"kubectl xcpauth ", "kubectl "} {
		if rest, ok := strings.CutPrefix(text, program); ok {
			return program + Command(flags...) + " " + rest
		}
	}
	return text
}

// Edit is the command that opens an object in an editor.
func Edit(context string, o plan.Ref) string {
	resource := o.Resource
	if o.Group != "" {
		resource += "." + o.Group
	}
	return Kubectl(context, o.Namespace, "edit", resource, o.Name)
}

// Kubectl is a command in a context, and in a namespace unless that is empty.
func Kubectl(context, ns string, words ...string) string {
	all := []string{"kubectl", "--context", context}
	if ns != "" {
		all = append(all, "-n", ns)
	}
	return Command(append(all, words...)...)
}

// Command joins words so that a shell reads them again as they are.
func Command(words ...string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		if w == "" || strings.ContainsAny(w, " \t\n\"'\\$`!*?[](){}<>|&;#~^") {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		quoted[i] = w
	}
	return strings.Join(quoted, " ")
}

// Count is a number of things: "1 edge", "2 edges".
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
