package migration

import (
	"slices"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// onMember is an effect on a member that is there.
func onMember(name string, change func(m *plan.Member, f *plan.State)) func(*plan.State) {
	return func(f *plan.State) {
		if m := f.Member(name); m != nil {
			change(m, f)
		}
	}
}

// hubAccepts predicts a hub that runs with what it accepts after a step.
func hubAccepts(who, step string, accepts guard.Hub) func(*plan.State) {
	return func(f *plan.State) {
		h := hubOf(f, who)
		h.Accepts = guard.Hub{Accepts: accepts.Accepts, Basis: "predicted by " + step}
		h.VerifiedBasis = h.Accepts.Basis
		h.Workload.Found, h.Workload.Err, h.Workload.Replicas = true, "", max(h.Workload.Replicas, 1)
		h.Declared = map[string]any{"jwt": accepts.Accepts[state.JWT] == guard.Yes,
			"mutualTls": accepts.Accepts[state.MTLS] == guard.Yes}
	}
}

// hubVerified predicts a hub that was seen to run with what it declares.
func hubVerified(who string) func(*plan.State) {
	return func(f *plan.State) { hubOf(f, who).VerifiedBasis = hubOf(f, who).Accepts.Basis }
}

// These are the effects on the predicted state that several steps share.

// hubOf is the hub that steps know by a name.
func hubOf(f *plan.State, who string) *plan.Hub {
	if who == "standby" && f.Standby != nil {
		return f.Standby
	}
	return &f.Hub
}

// presentsJWT predicts a member that is verified to present a JWT. rotated says whether its session is known to have
// outlived its first token.
func presentsJWT(m *plan.Member, f *plan.State, rotated bool) {
	m.Declared, m.Effective = state.JWT, state.JWT
	m.DeclaredFields = map[string]any{"centralAuthMode": "JWT"}
	m.Evidence.Presents, m.Evidence.Until, m.Evidence.Why = []guard.Cred{state.JWT}, f.At.Add(state.LiveFor), "predicted"
	st := plan.Statement{Presents: []guard.Cred{state.JWT}, Observed: f.At, Until: f.At.Add(roster.Believed),
		Source:  "predicted",
		Rotated: rotated}
	if m.Fence.Verified {
		st.Fence, st.Until = m.Fence.ID(), f.At.Add(roster.BelievedFenced)
	}
	m.Statement = &st
	m.Trust = plan.Trust{OK: true, Where: m.Trust.Where, Public: m.Trust.Public}
}

// noFence is the fence of a member whose fence was removed, or is not installed yet.
func noFence(m *plan.Member) plan.Fence {
	return plan.Fence{Policy: state.FencePolicyRef, Binding: state.FenceBindingRef, Unavailable: m.Fence.Unavailable}
}

// union is the names of both lists, each once.
func union(a, b []string) []string {
	all := append(slices.Clone(a), b...)
	slices.Sort(all)
	return slices.Compact(all)
}
