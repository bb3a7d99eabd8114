package kongmesh

import (
	"fmt"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

// KeySecretField is the Fill of a patch that makes a signing key.
const KeySecretField = "signing-key"

// tokenSecret is how the secrets are called that we put tokens into, with a serial after it: none of them is ever written twice, so that
// what a process was started with is known by the name, and the one before is there for the way back.
const tokenSecret = "xcpauth-zone-token-"

// stepReconnect is the ID of the step with which a rotation ends.
const stepReconnect = "reconnect"

// registerStep makes the namespace in which a run keeps its lock and its journal.
func registerStep(f plan.State) plan.Step {
	return plan.Step{ID: "register", Kind: plan.Register, Member: "hub", Verb: "register", Title: "hub: make a namespace for the journal", Why: "the way back of each wave is written down there before its first write",
		Writes: []plan.Write{{Context: f.Hub.Context, Cluster: f.Hub.ClusterUID, Create: true, Object: roster.NamespaceRef(), After: roster.NamespaceObject()}}, NoUndo: true}
}

// addKeyStep makes a signing key. The global signs with it from then on, and goes on verifying with the others.
func addKeyStep(f plan.State, goal plan.Goal) plan.Step {
	ns, kid := f.Hub.Object.Namespace, kidOf(goal.To)
	object := plan.Ref{Version: "v1", Resource: "secrets", Kind: "Secret", Namespace: ns, Name: KeyName(kid)}
	why := "the global has no key to sign tokens with"
	if len(f.Hub.Keys) > 0 {
		why = "tokens of it are accepted beside those of the older keys, so that zones can be given new ones one by one"
	}
	return plan.Step{ID: "key/" + kid, Kind: plan.Accept, Member: "hub", Verb: "add a key", Title: fmt.Sprintf("hub: add signing key %s", kid), Why: why,
		Writes: []plan.Write{{Context: f.Hub.Context, Cluster: f.Hub.ClusterUID, Object: object, Create: true, SecretField: KeySecretField, After: map[string]any{
			"apiVersion": "v1", "kind": "Secret", "type": SecretType, "metadata": map[string]any{"name": object.Name, "namespace": ns}}}},
		Conditions: []plan.Condition{{Kind: conditionKey, Member: "hub", Text: "the global can use it, and has had time to read it", Credential: goal.To, For: keySettles}},
		Timeout:    goal.Within, NoUndo: true}
}

// switchStep gives a zone a token of the wanted key, in a secret of its own, and has it present that.
func switchStep(f plan.State, m plan.Member, goal plan.Goal) plan.Step {
	kid := kidOf(goal.To)
	var key plan.Ref
	for _, k := range f.Hub.Keys {
		if k.ID == kid && k.Wrong == "" {
			key = k.Object
		}
	}
	ns, name := m.Object.Namespace, m.Credential.MissingSecrets[0]
	s := plan.Step{ID: "move/" + m.Name, Kind: plan.Switch, Member: m.Name, Verb: "new token", Title: fmt.Sprintf("%s: present a token of key %s", m.Name, kid), Why: whyMove(m, goal), Timeout: goal.Within, RevertsTo: m.Declared,
		Supply: &plan.Supply{Member: m.Name, ClusterName: m.ClusterName, Context: m.Context, Namespace: ns, Wants: []string{name},
			Token: &plan.TokenRequest{API: issuedBy(f.Hub, goal), Hub: f.Hub.Context, Key: key, KeyID: kid, Subject: m.ClusterName, ValidFor: goal.ValidFor, Secret: name, DataKey: TokenKey}},
		Writes:     []plan.Write{present(m, map[string]any{"secretKeyRef": map[string]any{"name": name, "key": TokenKey}})},
		Conditions: zoneConditions(m, goal.To, "it connected anew, with a token"),
	}
	if goal.Soak > 0 {
		s.Conditions = append(s.Conditions, plan.Condition{Kind: conditionSoaked, Member: m.Name, Text: fmt.Sprintf("its pods have run for %s", goal.Soak), For: goal.Soak})
	}
	if s.RevertsTo == "" {
		s.RevertsTo = None
	}
	return s
}

// TokenKey is the key of a token's secret (the product's page).
const TokenKey = "token"

func whyMove(m plan.Member, goal plan.Goal) string {
	switch c := m.Credential; {
	case c.State == plan.CredentialMissing:
		return "it has no token, and the global takes it as it is only while it authenticates nobody"
	case c.State == plan.CredentialBad:
		return c.Why
	case slices.Contains(goal.Revoke, c.ID):
		return "its token is to be revoked"
	case goal.Rotate && c.Key != kidOf(goal.To):
		return "its token is of key " + c.Key
	}
	return "its token expires soon"
}

// present is the change of a zone's variables so that its token is what is referred to.
func present(m plan.Member, ref map[string]any) plan.Write {
	before := m.DeclaredFields
	container, names := containerAndNames(before)
	var after []any
	for _, name := range names {
		e := map[string]any{"name": name, "value": nil, "valueFrom": nil}
		if name == inlineName(names) {
			e["valueFrom"] = ref
		}
		after = append(after, e)
	}
	return plan.Write{Context: m.Context, Cluster: m.ClusterUID, Object: m.Object, ListsByName: true, Before: before, After: environment(container, after)}
}

// containerAndNames are the container of a patch by name, and the names of its variables.
func containerAndNames(values map[string]any) (container string, names []string) {
	for _, e := range variablesOf(values) {
		names = append(names, nameOf(e))
	}
	spec, _ := values["spec"].(map[string]any)
	template, _ := spec["template"].(map[string]any)
	pod, _ := template["spec"].(map[string]any)
	if list, _ := pod["containers"].([]any); len(list) == 1 {
		container = nameOf(list[0])
	}
	return container, names
}

// inlineName is the variable to write of those that a version takes: the newest name of the token itself.
func inlineName(names []string) string {
	for _, e := range []Environment{newNames, oldNames} {
		if slices.Contains(names, e.ZoneInline) {
			return e.ZoneInline
		}
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_INLINE") {
			return name
		}
	}
	return ""
}

// authenticate has the global authenticate its zones, or not any more (word is Off or "" then).
func authenticate(f plan.State, word func(Environment) string) plan.Write {
	before := f.Hub.Declared
	container, names := containerAndNames(before)
	var after []any
	for _, name := range names {
		e := map[string]any{"name": name, "value": nil, "valueFrom": nil}
		for _, env := range []Environment{newNames, oldNames} {
			if env.GlobalType == name && name == newest(names) {
				if w := word(env); w != "" {
					e["value"] = w
				}
			}
		}
		after = append(after, e)
	}
	return plan.Write{Context: f.Hub.Context, Cluster: f.Hub.ClusterUID, Object: f.Hub.Object, ListsByName: true, Before: before, After: environment(container, after)}
}

// newest is the name to write of those that a global's version takes.
func newest(names []string) string {
	if slices.Contains(names, newNames.GlobalType) {
		return newNames.GlobalType
	}
	return oldNames.GlobalType
}

// requireTokensStep has the global authenticate its zones: it withdraws None.
func requireTokensStep(f plan.State, goal plan.Goal) plan.Step {
	after := guard.Hub{Accepts: map[guard.Cred]guard.Tri{}}
	for c, t := range f.Hub.Accepts.Accepts {
		if after.Accepts[c] = t; c == None {
			after.Accepts[c] = guard.No
		} else if kid := kidOf(c); kid != "" && !hasKey(f.Hub, kid) {
			after.Accepts[c] = guard.No // anything is accepted before
		}
	}
	s := plan.Step{ID: "close", Kind: plan.Withdraw, Member: "hub", Verb: "authenticate", Title: "hub: authenticate zones", Why: "every zone presents a token that the global accepts",
		Writes: []plan.Write{authenticate(f, func(e Environment) string { return e.GlobalOn })}, Timeout: goal.Within, Withdraws: &after, Accepts: &after,
		Conditions: []plan.Condition{{Kind: conditionGlobal, Member: "hub", Text: "every pod of the global authenticates zones, and none is older", Credential: goal.To}}}
	s.Conditions = append(s.Conditions, reconnectConditions(f, goal.To)...)
	return s
}

// reconnectConditions is that every zone which is connected connects anew, with a token.
func reconnectConditions(f plan.State, want guard.Cred) []plan.Condition {
	var claims []plan.Condition
	for _, m := range f.Members {
		if len(openSessions(f.Hub, m.ClusterName)) > 0 {
			claims = append(claims, plan.Condition{Kind: conditionSession, Member: m.Name, Credential: want, Text: m.Name + " connected anew"})
		}
	}
	return claims
}

// withoutCutOff is the facts without the zones that a revocation cuts off.
func withoutCutOff(f plan.State, goal plan.Goal) plan.State {
	f.Members = slices.DeleteFunc(slices.Clone(f.Members), func(m plan.Member) bool {
		return holds(m, goal)
	})
	return f
}

func hasKey(h plan.Hub, kid string) bool {
	return slices.ContainsFunc(h.Keys, func(k plan.Key) bool { return k.ID == kid && k.Wrong == "" })
}

// retireStep deletes the keys that are older than the wanted one: it withdraws them, and there is no way back.
func retireStep(f plan.State, old []plan.Key, goal plan.Goal) plan.Step {
	after := guard.Hub{Accepts: map[guard.Cred]guard.Tri{}}
	for c, t := range f.Hub.Accepts.Accepts {
		after.Accepts[c] = t
	}
	s := plan.Step{Kind: plan.Withdraw, Member: "hub", Verb: "retire keys", Why: "no zone presents a token of it any more; there is no way back", Irreversible: true, Timeout: goal.Within}
	var kids []string
	for _, k := range old {
		kids = append(kids, k.ID)
		after.Accepts[Kid(k.ID)] = guard.No
		s.Writes = append(s.Writes, plan.Write{Context: f.Hub.Context, Cluster: f.Hub.ClusterUID, Object: k.Object, Delete: true})
	}
	s.ID = "retire/" + strings.Join(kids, ",")
	s.Title = fmt.Sprintf("hub: retire signing key %s", strings.Join(kids, ", "))
	s.Conditions = []plan.Condition{{Kind: conditionRetired, Member: "hub", Text: "they are gone", Names: kids}}
	s.Withdraws, s.Accepts = &after, &after
	return s
}

// reconnectStep rolls the global out, unless that was done, so that no session goes on that began with a token of a retired key, and proves
// every zone after that.
func reconnectStep(f plan.State, goal plan.Goal) plan.Step {
	why := restartedFor(goal)
	s := plan.Step{ID: stepReconnect, Kind: plan.Restart, Member: "hub", Verb: "connect anew", Title: "hub: have every zone connect anew", Why: f.Hub.TokenChecks, Irreversible: true, Timeout: goal.Within}
	if f.Hub.Workload.RestartedFor == why {
		for _, c := range reconnectConditions(withoutCutOff(f, goal), goal.To) {
			c.Kind, c.Text = conditionConnected, c.Member+" is connected, with a token"
			s.Conditions = append(s.Conditions, c)
		}
		return s
	}
	s.Writes = []plan.Write{{Context: f.Hub.Context, Cluster: f.Hub.ClusterUID, Object: f.Hub.Object, Restart: true,
		After: map[string]any{"spec": map[string]any{"template": map[string]any{"metadata": map[string]any{"annotations": map[string]any{kube.RestartedFor: why}}}}}}}
	s.Conditions = append([]plan.Condition{{Kind: conditionRestarted, Member: "hub", Text: "no older pod of the global is left"}}, reconnectConditions(withoutCutOff(f, goal), goal.To)...)
	return s
}

// verifyStep is the step that proves a zone as it is, without changing it.
func verifyStep(_ plan.State, m plan.Member, goal plan.Goal) plan.Step {
	want := wanted(m, goal)
	return plan.Step{ID: "prove/" + m.Name, Kind: plan.Verify, Member: m.Name, Title: m.Name + ": prove that it is connected with its token", NoUndo: true, Timeout: goal.Within,
		Why: "it has a token already, and the global has not told of a session with one", Conditions: []plan.Condition{
			{Kind: conditionPresents, Member: m.Name, Credential: want, Text: "its pods present the token alone"},
			{Kind: conditionConnected, Member: m.Name, Credential: want, Text: "it is connected, with a token"}}}
}

func zoneConditions(m plan.Member, want guard.Cred, session string) []plan.Condition {
	return []plan.Condition{{Kind: conditionPresents, Member: m.Name, Credential: want, Text: "its pods present the token alone, and the global would accept it"},
		{Kind: conditionSession, Member: m.Name, Credential: want, Text: session}}
}

// describe is a credential in words.
func describe(c guard.Cred) string {
	if kid := kidOf(c); kid != "" {
		return "a token of key " + kid
	}
	return "no token"
}
