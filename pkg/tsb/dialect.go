package tsb

import (
	"cmp"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Provider is Tetrate Service Bridge 1.4 and newer.
func Provider() plan.Provider {
	return plan.Provider{Name: Name, Detects: detects, Reads: reads, Trim: Trim, ReadState: readState, Complete: complete,
		Next:          func(f plan.State, g plan.Goal) plan.Wave { return f.HoldWhilePaused(nextWave(f, g), "central") },
		Verify:        verifyStep,
		InstallFence:  func(_ plan.State, m plan.Member, g plan.Goal) plan.Step { return installFenceStep(m, g) },
		AllowsUndo:    func(_ plan.State, w plan.Write, from cred) bool { return allowsUndo(w, from) },
		CannotPresent: cannotPresent, RemoveFence: removeFence}
}

// Name is how the product is selected.
const Name = "tsb"

// complete has every member present a JWT, and remembers the tokens that are to be renewed.
func complete(f plan.State, g plan.Goal) plan.Goal {
	g.To = cmp.Or(g.To, JWT)
	g.Renew = tokensToRotate(f, g)
	return g
}

// detects says whether a cluster holds a plane of TSB.
func detects(s plan.Snapshot) bool {
	return len(kube.Items(s.Reads[readManagementPlanes])) > 0 || len(kube.Items(s.Reads[readControlPlanes])) > 0
}

// allowsUndo says whether a patch is a way back that this dialect writes down, of a step after which the member presents from again: of one
// mode of one plane, of Central's certificate from its copy, or of a token that is gone; and nothing else. What a hub accepts is only ever added to, and an edge only
// goes back to what the hub is asked about first. A journal is an object that others can write, and what it says is done with the rights of
// whoever runs the plugin.
func allowsUndo(p plan.Write, from cred) bool {
	switch {
	case p.Object.Group == "" && p.Object.Resource == "secrets" && strings.HasPrefix(p.Object.Name, secretToken):
		return from == "" && allowsTokenUndo(p)
	case p.Op == plan.OpCreate || p.Op == plan.OpDelete || p.Op == plan.OpRestart || p.Op == plan.OpUpdateStatus || p.BackupAs != "" || p.SecretField != "":
		return false
	case p.RestoreFrom != "":
		return from == "" && p.Object.Group == "" && p.Object.Resource == "secrets" && p.Object.Name == secretCentralCert && p.RestoreFrom == pairBackup &&
			len(p.Before)+len(p.After)+len(p.SatisfiedBy) == 0
	case slices.ContainsFunc([]map[string]any{p.After, p.Before, p.SatisfiedBy}, func(values map[string]any) bool { return !restorable(p.Object, values) }):
		return false
	case p.Object.Resource == readManagementPlanes.Resource:
		return from == "" && onlyAdds(p)
	}
	switch field(p.After, "spec", "components", "xcp", "centralAuthMode") {
	case "JWT":
		return from == JWT
	case "MUTUAL_TLS", "UNKNOWN", nil: // the last two are what was there before the edge was set to JWT
		return from == MTLS
	}
	return false
}

// cannotPresent says why an edge would not connect with a JWT: Central's certificate lacks the name that it dials. It can have been set to JWT all the
// same, by a run that did not get further, and gone back since.
func cannotPresent(_ plan.State, m plan.Member, c cred) string {
	if c == JWT && m.Trust.Unnamed {
		return m.Trust.Why
	}
	return ""
}

// onlyAdds says whether a patch of a hub's modes takes back that mTLS was turned off, and nothing else.
func onlyAdds(p plan.Write) bool {
	mode := func(values map[string]any, key string) any {
		return field(values, "spec", "components", "xcp", "centralAuthModes", key)
	}
	mtls := mode(p.After, "mutualTls")
	return mode(p.After, "jwt") == true && (mtls == true || mtls == nil && mode(p.Before, "mutualTls") == false)
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
