package inspect

import (
	"slices"

	"github.com/xcpauth/kubectl-xcpauth/pkg/check"
)

// Rules are the rules of Tetrate Service Bridge, by ID.
func Rules() []check.Rule {
	return slices.Concat(modeRules, certificateRules, materialRules, versionRules, ownerRules, edgeRules, rosterRules)
}
