package check

import (
	"slices"

	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
)

// All are the rules for every product and those of products, by ID.
func All(products ...[]finding.Rule) []finding.Rule {
	return finding.Sorted(append(slices.Clone(products), Documented(Rules()))...)
}

// Rules are the rules that hold for every product, by ID.
func Rules() []Rule { return slices.Concat(reachRules, credentialRules, inFlightRules) }

// Documented are rules without what they look with.
func Documented(rules []Rule) []finding.Rule {
	all := make([]finding.Rule, len(rules))
	for i, r := range rules {
		all[i] = r.Rule
	}
	return all
}
