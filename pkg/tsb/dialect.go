package tsb

import (
	"slices"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Dialect is Tetrate Service Bridge 1.4 and newer.
func Dialect() plan.Dialect {
	return plan.Dialect{Name: "Tetrate Service Bridge", Reads: reads, Facts: facts, Next: next, Prove: prove, Judge: judge, Restores: restores, After: after}
}

// prove is the step that proves a member as it is.
func prove(m plan.Member, goal plan.Goal) plan.Step {
	if m.Role == plan.RoleMPC {
		return proveMPC(m, goal)
	}
	return proveEdge(m, goal)
}

// restores says whether a patch is a way back that this dialect writes down: of one mode of one plane, or of Central's certificate from
// its copy; and nothing else. A journal is an object that others
// can write, and what it says is done with the rights of whoever runs the plugin.
func restores(p plan.Patch) bool {
	switch {
	case p.Create || p.Delete || p.Status || p.KeepAs != "" || p.Fill != "":
		return false
	case p.RestoreFrom != "":
		return p.Object.Group == "" && p.Object.Resource == "secrets" && p.Object.Name == secretCentralCert && p.RestoreFrom == keptPair &&
			len(p.Before)+len(p.After)+len(p.Unless) == 0
	}
	return !slices.ContainsFunc([]map[string]any{p.After, p.Before, p.Unless}, func(values map[string]any) bool { return !restorable(p.Object, values) })
}

// restorable says whether values are of the paths of an object that this dialect writes back.
func restorable(o plan.Ref, values map[string]any) bool {
	xcp := values
	for _, key := range []string{"spec", "components", "xcp"} {
		next, ok := xcp[key].(map[string]any)
		if !ok && len(xcp) > 0 || len(xcp) > 1 {
			return false
		}
		xcp = next
	}
	switch {
	case o.Group != readControlPlanes.Group:
		return false
	case o.Resource == readControlPlanes.Resource:
		_, ok := xcp["centralAuthMode"]
		return len(xcp) == 0 || len(xcp) == 1 && ok
	case o.Resource == readManagementPlanes.Resource:
		modes, ok := xcp["centralAuthModes"].(map[string]any)
		return len(xcp) == 0 || len(xcp) == 1 && ok && !hasOther(modes, "jwt", "mutualTls")
	}
	return false
}
