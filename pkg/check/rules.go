package check

import (
	"slices"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Rules are all rules, by ID.
func Rules() []Rule {
	return slices.Concat(reachRules, modeRules, certificateRules, credentialRules, versionRules, ownerRules, edgeRules, rosterRules, remarkRules)
}

// For are the rules for a product: one whose members are not stated in the roster is looked at by its own dialect, beside what could be
// reached, by which clock, for how long its certificates hold, and what an interrupted run left.
func For(f plan.State) []Rule {
	if f.UsesRoster || f.Product == "" {
		return slices.Concat(reachRules, modeRules, certificateRules, credentialRules, versionRules, ownerRules, edgeRules, rosterRules)
	}
	left := slices.IndexFunc(rosterRules, func(r Rule) bool { return r.ID == "XA072" })
	from := slices.IndexFunc(credentialRules, func(r Rule) bool { return r.ID == "XA033" })
	return slices.Concat(reachRules, credentialRules[from:from+3], rosterRules[left:left+1], remarkRules)
}
