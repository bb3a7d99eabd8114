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

// Rule is a rule with the function that looks.
type Rule struct {
	finding.Rule
	find func(*run)
}

// docs is where README.md is read.
const docs = "https://github.com/xcpauth/kubectl-xcpauth#"

// Options are what a run is asked for.
type Options struct {
	// WarnWithin, when not 0, is how long before its expiry a credential or certificate is reported. 0 means a tenth of
	// its lifetime.
	WarnWithin time.Duration
	// Kubeconfig is the --kubeconfig that commands need; empty for the default one.
	Kubeconfig string
}

// Run applies the rules and returns what they found, and what the product found by rules of its own; worst first, then
// by member, rule and object.
func Run(rules []Rule, f plan.State, o Options) []finding.Finding {
	l := newRun(&f, o)
	for _, r := range rules {
		l.rule = r
		r.find(l)
	}
	l.own()
	slices.SortStableFunc(l.found, func(a, b *finding.Finding) int {
		return cmp.Or(cmp.Compare(slices.Index(finding.Severities, a.Severity), slices.Index(finding.Severities, b.Severity)), byMember(a.Member, b.Member),
			strings.Compare(a.Context, b.Context), strings.Compare(a.Rule, b.Rule), strings.Compare(a.Object, b.Object), strings.Compare(a.Found, b.Found))
	})
	found := make([]finding.Finding, len(l.found))
	for i, x := range l.found {
		found[i] = *x
		found[i].Command = withKubeconfig(x.Command, o.Kubeconfig)
	}
	return found
}

// own reports what the product found by rules of its own.
func (l *run) own() {
	for _, p := range l.subjects() {
		for _, x := range p.in.Findings {
			x.Member, x.Context, x.Docs = "hub", p.context, docs+strings.ToLower(x.Rule)
			if p.member != nil {
				x.Member = p.member.Name
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

// command joins words so that a shell reads them again as they are.
func command(words ...string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		if w == "" || strings.ContainsAny(w, " \t\n\"'\\$`!*?[](){}<>|&;#~^") {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		quoted[i] = w
	}
	return strings.Join(quoted, " ")
}

// kubectl is a command in a context, and in a namespace unless that is empty.
func kubectl(context, ns string, words ...string) string {
	all := []string{"kubectl", "--context", context}
	if ns != "" {
		all = append(all, "-n", ns)
	}
	return command(append(all, words...)...)
}

// xcpauth is a command of the plugin about this hub.
func (l *run) xcpauth(words ...string) string {
	return command(append(append([]string{"kubectl", "xcpauth"}, words...), "--context", l.Hub.Context)...)
}

// withKubeconfig passes --kubeconfig to a command of kubectl, or of the plugin, whose flags come after its name.
func withKubeconfig(text, path string) string {
	if path == "" {
		return text
	}
	for _, program := range []string{"kubectl xcpauth ", "kubectl "} {
		if rest, ok := strings.CutPrefix(text, program); ok {
			return program + command("--kubeconfig", path) + " " + rest
		}
	}
	return text
}

// edit is the command that opens an object in an editor.
func edit(context string, o plan.Ref) string {
	resource := o.Resource
	if o.Group != "" {
		resource += "." + o.Group
	}
	return kubectl(context, o.Namespace, "edit", resource, o.Name)
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// short is a length of time in its largest units.
func short(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}
