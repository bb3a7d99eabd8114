package tsb

import (
	"slices"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

type cred = guard.Cred

// after predicts the facts once a step has been done and proved. It never changes the facts it is given.
func after(f plan.Facts, s plan.Step, _ plan.Goal) plan.Facts {
	f.Members = slices.Clone(f.Members)
	switch s.Kind {
	case plan.Register:
		f.Hub.Roster = plan.RosterState{Namespace: true, Kind: true}
		for i := range f.Members {
			f.Members[i].Registered = f.Members[i].Registered || f.Members[i].Err == ""
		}
	case plan.Open, plan.Close:
		mtls := guard.Yes
		if s.Kind == plan.Close {
			mtls = guard.No
		}
		f.Hub.Accepts = guard.Hub{Accepts: map[cred]guard.Tri{JWT: guard.Yes, MTLS: mtls}}
		f.Hub.Declared = map[string]any{"jwt": true, "mutualTls": s.Kind == plan.Open}
	case plan.Move, plan.Prove:
		if m := f.Member(s.Member); m != nil {
			m.Declared, m.Effective = JWT, JWT
			m.DeclaredFields = map[string]any{"centralAuthMode": "JWT"}
			m.Edge.Presents, m.Edge.Until, m.Edge.Why = []cred{JWT}, f.At.Add(liveFor), "predicted"
			m.Statement = &plan.Statement{Presents: []cred{JWT}, Observed: f.At, Until: f.At.Add(roster.Believed).Add(time.Hour), Source: "predicted"}
			m.Trust = plan.Trust{OK: true, Where: m.Trust.Where}
		}
	}
	return f
}
