package check

import (
	"slices"

	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Rules are the rules of this package, by ID. What a product finds by rules of its own comes with the facts.
func Rules() []Rule {
	return slices.Concat(reachRules, modeRules, certificateRules, credentialRules, versionRules, ownerRules,
		edgeRules, rosterRules)
}

// All are the rules of this package and those that products bring, by ID.
func All(own ...[]finding.Rule) []finding.Rule {
	var ours []finding.Rule
	for _, r := range Rules() {
		ours = append(ours, r.Rule)
	}
	return finding.Sorted(append(slices.Clone(own), ours)...)
}

// For are the rules for a product: one whose members are not stated in the roster is looked at by its own rules, beside
// what could be reached, by which clock, for how long its certificates hold, and what an interrupted run left.
func For(f plan.State) []Rule {
	if f.UsesRoster || f.Product == "" {
		return Rules()
	}
	left := slices.IndexFunc(rosterRules, func(r Rule) bool { return r.ID == "XA072" })
	from := slices.IndexFunc(credentialRules, func(r Rule) bool { return r.ID == "XA033" })
	return slices.Concat(reachRules, credentialRules[from:from+3], rosterRules[left:left+1])
}
