package migration

import (
	"encoding/base64"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/state"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// These are the writes of a global's secrets, where the global keeps them: as objects of its cluster, or behind its own
// API.

// createSecret makes a secret with a value, which is nil where only the executor has it.
func createSecret(h plan.Hub, name string, value []byte) plan.Write {
	w := secretWrite(h, plan.Ref{Version: "v1", Resource: "secrets", Kind: "Secret", Namespace: h.Object.Namespace,
		Name: name}, plan.OpCreate)
	if h.StateAPI != nil {
		w.Object = plan.Ref{Resource: state.GlobalSecrets, Kind: state.GlobalSecretKind, Name: name}
	}
	w.After = map[string]any{}
	if value != nil {
		w.After = secretValue(h, value)
	}
	if h.StateAPI != nil {
		w.After["type"], w.After["name"] = state.GlobalSecretKind, name
		return w
	}
	w.After["apiVersion"], w.After["kind"], w.After["type"] = "v1", "Secret", zonetoken.SecretType
	w.After["metadata"] = map[string]any{"name": name, "namespace": h.Object.Namespace}
	return w
}

// changeSecret replaces the value of a secret.
func changeSecret(h plan.Hub, object plan.Ref, before, after []byte) plan.Write {
	w := secretWrite(h, object, plan.OpUpdate)
	w.Before, w.After = secretValue(h, before), secretValue(h, after)
	return w
}

// named names a secret of the global in a sentence.
func named(object plan.Ref) string {
	if object.Namespace == "" {
		return "global secret " + object.Name
	}
	return "secret " + object.Namespace + "/" + object.Name
}

// secretWrite is a write of a secret that is there, of which nothing is said yet.
func secretWrite(h plan.Hub, object plan.Ref, op plan.Op) plan.Write {
	return plan.Write{Context: h.Context, Cluster: h.ClusterUID, Object: object, Op: op, Via: h.StateAPI}
}

// secretValue is the value of a secret as its object has it.
func secretValue(h plan.Hub, value []byte) map[string]any {
	text := base64.StdEncoding.EncodeToString(value)
	if h.StateAPI != nil {
		return map[string]any{"data": text}
	}
	return map[string]any{"data": map[string]any{zonetoken.SecretKey: text}}
}
