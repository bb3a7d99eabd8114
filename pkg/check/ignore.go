package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
)

// Ignore leaves the findings of a rule out: all of them, or those of one member or context.
type Ignore struct {
	Rule string // its ID
	Of   string
	// severity is set for a retired rule: it stands for what products find themselves that is as bad.
	severity finding.Severity
}

// retired are rules of the release before. Each stood for all that a product finds by rules of its own with one
// severity; --ignore takes them for one release more.
var retired = map[string]finding.Severity{"XA080": finding.Error, "XA081": finding.Warning, "XA082": finding.Info}

// ParseIgnore reads "XA012" or "XA012=edge-1"; where the rule has a name, that does as well as the ID.
func ParseIgnore(rules []finding.Rule, text string) (Ignore, error) {
	id, of, named := strings.Cut(text, "=")
	severity, old := retired[id]
	known := slices.IndexFunc(rules, func(r finding.Rule) bool { return id != "" && (r.ID == id || r.Name == id) })
	if known < 0 && !old || named && of == "" {
		return Ignore{}, fmt.Errorf("%q is neither the ID or name of a rule nor ID=MEMBER; %s lists the rules", text, finding.Page)
	}
	if !old {
		id = rules[known].ID
	}
	return Ignore{Rule: id, Of: of, severity: severity}, nil
}

// Split parts the findings into those that count and those that one of the ignores leaves out.
func Split(found []finding.Finding, ignores []Ignore) (kept, ignored []finding.Finding) {
	kept, ignored = []finding.Finding{}, []finding.Finding{}
	for _, x := range found {
		if slices.ContainsFunc(ignores, func(i Ignore) bool { return i.leavesOut(x) }) {
			ignored = append(ignored, x)
			continue
		}
		kept = append(kept, x)
	}
	return kept, ignored
}

// Outdated says what to pass instead of a retired rule, by what it left out of this run; "" when it is not retired.
func (i Ignore) Outdated(ignored []finding.Finding) string {
	if i.severity == "" {
		return ""
	}
	was, suffix := i.Rule, ""
	if i.Of != "" {
		suffix = "=" + i.Of
	}
	var ids []string
	for _, x := range ignored {
		if i.leavesOut(x) {
			ids = append(ids, x.Rule)
		}
	}
	slices.Sort(ids)
	if ids = slices.Compact(ids); len(ids) == 0 {
		return fmt.Sprintf("--ignore %s%s leaves nothing out, and the next release refuses it: remove it", was, suffix)
	}
	for n := range ids {
		ids[n] = "--ignore " + ids[n] + suffix
	}
	return fmt.Sprintf("rule %s has become several rules, and the next release refuses --ignore %s%s; pass instead: %s",
		was, was, suffix, strings.Join(ids, " "))
}

// leavesOut says whether a finding is left out.
func (i Ignore) leavesOut(x finding.Finding) bool {
	rule := i.Rule == x.Rule
	if i.severity != "" {
		rule = x.Name != "" && x.Severity == i.severity
	}
	return rule && (i.Of == "" || i.Of == x.Member || i.Of == x.Context)
}
