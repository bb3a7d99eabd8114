package kongmesh

import (
	"maps"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// predict predicts the facts when the steps have been done and proved.
func predict(f plan.State, steps []plan.Step) plan.State {
	f.Members = slices.Clone(f.Members)
	f.Hub.Sessions = maps.Clone(f.Hub.Sessions)
	f.Hub.Accepts.Accepts = maps.Clone(f.Hub.Accepts.Accepts)
	for _, s := range steps {
		m := f.Member(s.Member)
		switch s.Kind {
		case plan.Register:
			f.Hub.Roster.Namespace = true
		case plan.Accept, plan.Withdraw, plan.Prune:
			predictHub(&f, s)
		case plan.Restart:
			if len(s.Writes) > 0 {
				f.Hub.Workload.RestartedFor = restartOf(s)
			}
			if kid, ok := strings.CutPrefix(f.Hub.Workload.RestartedFor, restartedFor(plan.Goal{})); ok {
				f.Hub.History = append(slices.Clone(f.Hub.History), plan.WaveRecord{Goal: plan.Goal{Rotate: true, To: Kid(kid)}.Word(), Steps: []string{stepReconnect}, Result: "proved"})
			}
		case plan.Switch:
			predictPresents(&f, m, Kid(s.Supply.Token.KeyID))
			m.Credential = plan.Credential{State: plan.CredentialReady, ID: "predicted", Key: s.Supply.Token.KeyID, Where: s.Supply.Namespace + "/" + s.Supply.Token.Secret, MissingSecrets: m.Credential.MissingSecrets}
			m.DeclaredFields = s.Writes[0].After
		case plan.Revert:
			predictPresents(&f, m, s.Conditions[0].Credential)
			m.DeclaredFields = s.Writes[0].After
		case plan.Verify:
			if m != nil {
				predictPresents(&f, m, m.Declared)
			}
		case plan.CleanUp:
			m.Leftovers = nil
		}
	}
	return f
}

// predictHub is after for what a global accepts, and for its keys.
func predictHub(f *plan.State, s plan.Step) {
	if s.Accepts != nil {
		f.Hub.Accepts = *s.Accepts
	}
	for _, w := range s.Writes {
		switch {
		case w.Object.Name == RevocationsName:
			revoked := *f.Hub.Revocations
			if names := s.Conditions[0].Names; s.Kind == plan.Prune {
				revoked.IDs = slices.DeleteFunc(slices.Clone(revoked.IDs), func(id string) bool { return slices.Contains(names, id) })
			} else {
				revoked.IDs = append(slices.Clone(revoked.IDs), names...)
			}
			f.Hub.Revocations = &revoked
		case w.Create:
			kid := strings.TrimPrefix(w.Object.Name, KeyPrefix+"-")
			n, _ := serialOf(w.Object.Name)
			f.Hub.Keys = append(slices.Clone(f.Hub.Keys), plan.Key{ID: kid, Serial: n, Signs: true, Object: w.Object})
			if f.Hub.Accepts.Accepts == nil {
				f.Hub.Accepts.Accepts = map[guard.Cred]guard.Tri{}
			}
			f.Hub.Accepts.Accepts[Kid(kid)] = guard.Yes
		case w.Delete:
			f.Hub.Keys = slices.DeleteFunc(slices.Clone(f.Hub.Keys), func(k plan.Key) bool { return k.Object.Name == w.Object.Name })
		default:
			f.Hub.Declared = w.After
		}
	}
	f.Hub.Accepts.Basis = basis(f.Hub.Accepts)
}

// predictPresents predicts a zone that presents a credential, connected with it.
func predictPresents(f *plan.State, m *plan.Member, c guard.Cred) {
	m.Declared, m.Effective, m.Workload.Settled = c, c, true
	m.Evidence.Presents, m.Evidence.Until, m.Evidence.Why = []guard.Cred{c}, f.At.Add(liveFor), "predicted"
	if f.Hub.Sessions == nil {
		f.Hub.Sessions = map[string][]plan.Session{}
	}
	f.Hub.Sessions[m.ClusterName] = []plan.Session{{ID: "predicted", Provided: kidOf(c) != ""}}
}

// restartOf is what a step restarts the global for.
func restartOf(s plan.Step) string {
	at := s.Writes[0].After
	for _, key := range []string{"spec", "template", "metadata", "annotations"} {
		at, _ = at[key].(map[string]any)
	}
	for _, v := range at {
		text, _ := v.(string)
		return text
	}
	return ""
}
