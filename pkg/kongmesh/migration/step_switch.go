package migration

import (
	"fmt"
	"slices"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/state"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// switchStep gives a zone a token of the wanted key, in a secret of its own, and has it present that.
func switchStep(f plan.State, m plan.Member, goal plan.Goal) plan.Step {
	kid := state.KidOf(goal.To)
	var key plan.Ref
	for _, k := range f.Hub.Keys {
		if k.ID == kid && k.Wrong == "" {
			key = k.Object
		}
	}
	ns, name := m.Object.Namespace, m.Credential.MissingSecrets[0]
	write := presentWrite(m, map[string]any{"secretKeyRef": map[string]any{"name": name, "key": state.TokenKey}})
	request := plan.TokenRequest{API: issuedBy(f.Hub, goal), KeyAPI: f.Hub.StateAPI, Hub: f.Hub.Context,
		Key: key, KeyID: kid,
		Subject: m.ClusterName, ValidFor: goal.ValidFor, Secret: name, DataKey: state.TokenKey}
	request.Says = requestText(request)
	s := plan.Step{ID: "move/" + m.Name, Kind: "move", Member: m.Name, Verb: "new token",
		Title: fmt.Sprintf("%s: present a token of key %s", m.Name, kid), Why: whySwitch(m, goal),
		Timeout: goal.Within, RevertsTo: m.Declared, KeepsOriginal: true,
		Supply: &plan.Supply{Member: m.Name, ClusterName: m.ClusterName, Context: m.Context, Namespace: ns,
			Wants: []string{name}, Token: &request},
		Writes:     []plan.Write{write},
		Conditions: zoneConditions(m, goal.To, "it connected again, with a token"),
		Effect: onZone(m.Name, func(m *plan.Member, f *plan.State) {
			predictPresents(m, f, state.Kid(kid))
			m.Credential = plan.Credential{State: plan.CredentialReady, ID: "predicted", Key: kid, Where: ns + "/" + name,
				MissingSecrets: m.Credential.MissingSecrets}
			m.DeclaredFields = write.After
		})}
	if goal.Soak > 0 {
		s.Conditions = append(s.Conditions, soaked(m.Name, goal.Soak))
	}
	if s.RevertsTo == "" {
		s.RevertsTo = state.None
	}
	return s
}

func whySwitch(m plan.Member, goal plan.Goal) string {
	switch c := m.Credential; {
	case c.State == plan.CredentialMissing:
		return "it has no token, and the global takes it as it is only while it authenticates nobody"
	case c.State == plan.CredentialBad:
		return c.Why
	case slices.Contains(goal.Revoke, c.ID):
		return "its token is to be revoked"
	case goal.Rotate && c.Key != state.KidOf(goal.To):
		return "its token is of key " + c.Key
	}
	return "its token expires soon"
}

// presentWrite changes a zone's variables so that its token is what is referred to.
func presentWrite(m plan.Member, ref map[string]any) plan.Write {
	before := m.DeclaredFields
	container, names := state.ContainerAndNames(before)
	inline, after := state.InlineName(names), make([]any, 0, len(names))
	for _, name := range names {
		e := map[string]any{"name": name, "value": nil, "valueFrom": nil}
		if name == inline {
			e["valueFrom"] = ref
		}
		after = append(after, e)
	}
	return plan.Write{Context: m.Context, Cluster: m.ClusterUID, Object: m.Object, ListsByName: true, Before: before,
		After: state.Environment(container, after)}
}
