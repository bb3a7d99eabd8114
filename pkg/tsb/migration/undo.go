package migration

import (
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// allowsUndo says whether a patch is a way back that this provider writes down, of a step after which the member
// presents from again: of one mode of one plane, of Central's certificate from its copy, or of a token that is gone;
// and nothing else. What a hub accepts is only ever added to, and an edge only goes back to what the hub is asked
// about first. A journal is an object that others can write, and what it says is done with the rights of whoever runs
// the plugin.
func allowsUndo(p plan.Write, from guard.Cred) bool {
	switch {
	case p.Object.Group == "" && p.Object.Resource == "secrets" && strings.HasPrefix(p.Object.Name, state.SecretToken):
		return from == "" && allowsTokenUndo(p)
	case p.Op == plan.OpCreate || p.Op == plan.OpDelete || p.Op == plan.OpRestart || p.Op == plan.OpUpdateStatus ||
		p.BackupAs != "" || p.SecretField != "":
		return false
	case p.RestoreFrom != "":
		return from == "" && p.Object.Group == "" && p.Object.Resource == "secrets" &&
			p.Object.Name == state.SecretCentralCert && p.RestoreFrom == state.PairBackup &&
			len(p.Before)+len(p.After)+len(p.SatisfiedBy) == 0
	case slices.ContainsFunc([]map[string]any{p.After, p.Before, p.SatisfiedBy},
		func(values map[string]any) bool { return !restorable(p.Object, values) }):
		return false
	case p.Object.Resource == state.ManagementPlanesRead.Resource:
		return from == "" && onlyAdds(p)
	}
	switch state.Field(p.After, "spec", "components", "xcp", "centralAuthMode") {
	case "JWT":
		return from == state.JWT
	case "MUTUAL_TLS", "UNKNOWN", nil: // the last two are what was there before the edge was set to JWT
		return from == state.MTLS
	}
	return false
}

// cannotPresent says why an edge would not connect with a JWT: Central's certificate lacks the name that it dials. It
// can have been set to JWT all the same, by a run that did not get further, and gone back since.
func cannotPresent(_ plan.State, m plan.Member, c guard.Cred) string {
	if c == state.JWT && m.Trust.Unnamed {
		return m.Trust.Why
	}
	return ""
}

// onlyAdds says whether a patch of a hub's modes takes back that mTLS was turned off, and nothing else.
func onlyAdds(p plan.Write) bool {
	mode := func(values map[string]any, key string) any {
		return state.Field(values, "spec", "components", "xcp", "centralAuthModes", key)
	}
	mtls := mode(p.After, "mutualTls")
	return mode(p.After, "jwt") == true && (mtls == true || mtls == nil && mode(p.Before, "mutualTls") == false)
}

// restorable says whether values are of the paths of an object that this provider writes back.
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
	case o.Group != state.ControlPlanesRead.Group:
		return false
	case o.Resource == state.ControlPlanesRead.Resource:
		_, ok := xcp["centralAuthMode"]
		return len(xcp) == 0 || len(xcp) == 1 && ok
	case o.Resource == state.ManagementPlanesRead.Resource:
		modes, ok := xcp["centralAuthModes"].(map[string]any)
		return len(xcp) == 0 || len(xcp) == 1 && ok && !state.HasOther(modes, "jwt", "mutualTls")
	}
	return false
}
