package check

import "slices"

// Rules are all rules, by ID.
func Rules() []Rule {
	return slices.Concat(reachRules, modeRules, certificateRules, credentialRules, versionRules, ownerRules, edgeRules, rosterRules)
}
