package migration

import (
	"maps"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/state"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// These are the effects on the predicted state that several steps share.

// onZone is an effect on a zone that is there.
func onZone(name string, change func(m *plan.Member, f *plan.State)) func(*plan.State) {
	return func(f *plan.State) {
		if m := f.Member(name); m != nil {
			change(m, f)
		}
	}
}

// hubAccepts predicts a global that accepts something else. Then change changes what it keeps.
func hubAccepts(accepts *guard.Hub, change func(h *plan.Hub)) func(*plan.State) {
	return func(f *plan.State) {
		if accepts != nil {
			f.Hub.Accepts = guard.Hub{Accepts: maps.Clone(accepts.Accepts)}
		}
		change(&f.Hub)
		f.Hub.Accepts.Basis = state.Basis(f.Hub.Accepts)
	}
}

// predictPresents predicts a zone that presents a credential, connected with it.
func predictPresents(m *plan.Member, f *plan.State, c guard.Cred) {
	m.Declared, m.Effective, m.Workload.Settled = c, c, true
	m.Evidence.Presents, m.Evidence.Until, m.Evidence.Why = []guard.Cred{c}, f.At.Add(state.LiveFor), "predicted"
	if f.Hub.Sessions == nil {
		f.Hub.Sessions = map[string][]plan.Session{}
	}
	f.Hub.Sessions[m.ClusterName] = []plan.Session{{ID: "predicted", Provided: state.KidOf(c) != ""}}
}
