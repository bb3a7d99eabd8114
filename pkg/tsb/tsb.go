package tsb

import (
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/inspect"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/migration"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// CheckProvider is Provider, looking also at what only check needs.
func CheckProvider() plan.Provider { return inspect.Extend(Provider()) }

// Name is how the product is selected.
const Name = state.Name

// Provider reads and migrates Tetrate Service Bridge 1.4 and newer.
func Provider() plan.Provider { return migration.Provider() }
