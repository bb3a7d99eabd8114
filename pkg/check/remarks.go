package check

import (
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
)

// remarkRules are what a product finds by itself, which has words of its own for each.
var remarkRules = []Rule{
	{find: remarks, Rule: finding.Rule{ID: "XA080", Severity: finding.Error,
		Title:  "a zone's token, a key or a setting of the mesh is refused, or breaks something",
		Remedy: "Do what the finding says; its object begins with the name by which it is known, such as `token-expired`."}},
	{find: remarks, Rule: finding.Rule{ID: "XA081", Severity: finding.Warning,
		Title:  "a zone's token, a key or a setting of the mesh works, and should not be left so",
		Remedy: "Do what the finding says, before it is refused."}},
	{find: remarks, Rule: finding.Rule{ID: "XA082", Severity: finding.Info,
		Title:  "something about a zone's token, a key or a setting of the mesh is worth knowing",
		Remedy: "Nothing needs to be done."}},
}

// remarks reports what the product found that is as bad as the rule says.
func remarks(l *run) {
	for _, p := range l.subjects() {
		for _, r := range p.in.Findings {
			if r.Severity == l.rule.Severity {
				x := l.of(p)
				x.Object, x.Found, x.Remedy = strings.TrimSuffix(r.Name+" of "+r.Object, " of "), r.Found, r.Remedy
			}
		}
	}
}
