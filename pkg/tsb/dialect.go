package tsb

import "github.com/xcpauth/kubectl-xcpauth/pkg/plan"

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

// restores says whether a patch is a way back that this dialect writes: of one mode of one plane, and nothing else. A journal is
// an object that others can write, and what it says is done with the rights of whoever runs the plugin.
func restores(p plan.Patch) bool {
	if p.Create || p.Status || p.Object.Group != readControlPlanes.Group {
		return false
	}
	for _, values := range []map[string]any{p.After, p.Before, p.Unless} {
		xcp := values
		for _, key := range []string{"spec", "components", "xcp"} {
			next, ok := xcp[key].(map[string]any)
			if !ok && len(xcp) > 0 || len(xcp) > 1 {
				return false
			}
			xcp = next
		}
		switch p.Object.Resource {
		case readControlPlanes.Resource:
			if _, ok := xcp["centralAuthMode"]; len(xcp) > 1 || (len(xcp) == 1 && !ok) {
				return false
			}
		case readManagementPlanes.Resource:
			modes, ok := xcp["centralAuthModes"].(map[string]any)
			if len(xcp) > 1 || (len(xcp) == 1 && !ok) || hasOther(modes, "jwt", "mutualTls") {
				return false
			}
		default:
			return false
		}
	}
	return true
}
