package tsb

import (
	"slices"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

type cred = guard.Cred

// after predicts the facts once every step of a wave has been done and proved. It never changes the facts it is given.
func after(f plan.Facts, steps []plan.Step) plan.Facts {
	f.Members = slices.Clone(f.Members)
	index := make(map[string]*plan.Member, len(f.Members))
	for i := range f.Members {
		index[f.Members[i].Name] = &f.Members[i]
	}
	for _, s := range steps {
		switch s.Kind {
		case plan.Void:
			if m := index[s.Member]; m != nil {
				m.Statement = nil
			}
		case plan.Register:
			f.Hub.Roster = plan.RosterState{Namespace: true, Kind: true}
			for _, m := range index {
				m.Registered, m.Outdated = m.Registered || m.Err == "", false
			}
		case plan.Open, plan.Close:
			mtls := guard.Yes
			if s.Kind == plan.Close {
				mtls = guard.No
			}
			f.Hub.Accepts = guard.Hub{Accepts: map[cred]guard.Tri{JWT: guard.Yes, MTLS: mtls}, Basis: "predicted"}
			f.Hub.Vouched = "predicted"
			f.Hub.Declared = map[string]any{"jwt": true, "mutualTls": s.Kind == plan.Open}
		case plan.Move, plan.Prove:
			if s.Member == "hub" {
				f.Hub.Vouched = f.Hub.Accepts.Basis
			}
			if m := index[s.Member]; m != nil {
				m.Declared, m.Effective = JWT, JWT
				m.DeclaredFields = map[string]any{"centralAuthMode": "JWT"}
				m.Edge.Presents, m.Edge.Until, m.Edge.Why = []cred{JWT}, f.At.Add(liveFor), "predicted"
				m.Statement = &plan.Statement{Presents: []cred{JWT}, Observed: f.At, Until: f.At.Add(roster.Believed), Source: "predicted"}
				m.Trust = plan.Trust{OK: true, Where: m.Trust.Where}
			}
		}
	}
	return f
}
