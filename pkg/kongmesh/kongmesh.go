package kongmesh

import (
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/inspect"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/migration"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/state"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// CheckProvider is Provider, looking also at what only check needs.
func CheckProvider() plan.Provider { return inspect.Extend(Provider()) }

// Name is how the product is selected.
const Name = state.Name

// Provider reads and migrates Kong Mesh 2.0 and newer, and Kuma 3.0 and newer.
func Provider() plan.Provider { return migration.Provider() }
