package finding

import (
	"cmp"
	"slices"
	"strings"
)

// Severity says how much a finding matters.
type Severity string

// The severities, worst first.
const (
	Error   Severity = "error"   // it does not work, or a migration would be refused or break something
	Warning Severity = "warning" // it works and should not be left so, or it could not be looked at
	Info    Severity = "info"    // worth knowing
)

// Severities lists them, worst first.
var Severities = []Severity{Error, Warning, Info}

// AtLeast says whether s is as bad as the threshold, or worse.
func (s Severity) AtLeast(threshold Severity) bool {
	return slices.Index(Severities, s) <= slices.Index(Severities, threshold)
}

// Rule is one thing that is looked for. IDs and names are never used again for anything else.
type Rule struct {
	ID    string // "XA105"
	Name  string // "token-expired"; "" for the rules of package check
	Title string // what is wrong, as a sentence without a full stop
	// Severity is that of its findings. Mild, when it is set, is a lower one that a finding has where less is at stake.
	Severity, Mild Severity
	Remedy         string // what to do about it in general; each finding says it in particular
}

// Docs is where the rule is explained. Somebody who installed a program has no checkout, so it is an address.
func (r Rule) Docs() string { return Docs(r.ID) }

// Docs is where the rule with an ID is explained.
func Docs(id string) string { return Page + "#" + strings.ToLower(id) }

// Page is where all rules are explained.
const Page = "https://github.com/xcpauth/kubectl-xcpauth/blob/main/docs/checks.md"

// Finding is one thing that a rule found.
type Finding struct {
	Rule     string   `json:"rule"`           // the ID
	Name     string   `json:"name,omitempty"` // the rule's name, when it has one
	Severity Severity `json:"severity"`
	Title    string   `json:"title"`
	Member   string   `json:"member"`            // a member's name, "hub", or "-" for what belongs to none
	Context  string   `json:"context,omitempty"` // of the kubeconfig
	Object   string   `json:"object,omitempty"`  // the object, or the path in it
	Found    string   `json:"saw"`               // what was seen, one clause
	Remedy   string   `json:"remedy"`            // what to do, one sentence
	Command  string   `json:"command,omitempty"` // the command for it, to be pasted into a shell
	Manifest string   `json:"manifest,omitempty"`
	Docs     string   `json:"docs"`
}

// Findings collects them.
type Findings []Finding

// Add adds a finding of a rule.
func (f *Findings) Add(r *Rule, found, remedy string) { *f = append(*f, r.Finding(found, remedy)) }

// AddMild adds a finding of a rule where less is at stake.
func (f *Findings) AddMild(r *Rule, found, remedy string) {
	x := r.Finding(found, remedy)
	x.Severity = r.Mild
	*f = append(*f, x)
}

// Finding begins a finding of the rule.
func (r *Rule) Finding(found, remedy string) Finding {
	return Finding{Rule: r.ID, Name: r.Name, Severity: r.Severity, Title: r.Title, Found: found, Remedy: remedy}
}

// About gives each finding the object that it is about.
func (f Findings) About(object string) Findings {
	all := slices.Clone(f)
	for i := range all {
		all[i].Object = object
	}
	return all
}

// Registry holds the rules of a package that looks. Its rules are variables of the package, made by Register: a finding
// of a rule that is not registered does not compile.
type Registry struct{ rules []Rule }

// Register adds a rule, and returns it for the variable.
func (r *Registry) Register(rule *Rule) *Rule {
	r.rules = append(r.rules, *rule)
	return rule
}

// Rules are those that are registered, by ID.
func (r *Registry) Rules() []Rule { return Sorted(r.rules) }

// Sorted are rules by ID.
func Sorted(rules ...[]Rule) []Rule {
	all := slices.Concat(rules...)
	slices.SortStableFunc(all, func(a, b Rule) int { return cmp.Compare(a.ID, b.ID) })
	return all
}
