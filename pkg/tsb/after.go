package tsb

import (
	"slices"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

type cred = guard.Cred

// predict predicts the facts once every step of a wave has been done and proved. It never changes the facts it is given.
func predict(f plan.State, steps []plan.Step) plan.State {
	f.Members = slices.Clone(f.Members)
	if f.Standby != nil {
		standby := *f.Standby
		f.Standby = &standby
	}
	hub := func(who string) *plan.Hub {
		if who == "standby" && f.Standby != nil {
			return f.Standby
		}
		return &f.Hub
	}
	index := make(map[string]*plan.Member, len(f.Members))
	for i := range f.Members {
		index[f.Members[i].Name] = &f.Members[i]
	}
	for _, s := range steps {
		switch s.Kind {
		case plan.RetractStatement:
			if m := index[s.Member]; m != nil {
				m.Statement = nil
			}
		case plan.Register:
			f.Hub.Roster = plan.RosterState{Namespace: true, Kind: true}
			for _, m := range index {
				m.Registered, m.EntryStale = m.Registered || m.Err == "", false
			}
		case plan.TrialIssue:
			h := hub(s.Member)
			h.TrialIssuer, h.TrialCertificate = h.Issuer, h.Server
			h.TrialIssuer.Ready, h.TrialIssuer.Object.Name = true, trialSecret
			h.TrialCertificate.Names, h.TrialCertificate.Chain = union(h.Server.Names, s.Conditions[0].Names), nil
		case plan.UpdateCertificate:
			h := hub(s.Member)
			h.TrialIssuer, h.TrialCertificate = plan.Issuer{}, plan.Certificate{}
			if len(s.Conditions) == 0 {
				break // it only tidied up
			}
			h.Server.Names, h.Server.Chain = union(h.Server.Names, s.Conditions[0].Names), nil
			h.Issuer.Names = withNames(h.Issuer, s.Conditions[0].Names)
			if s.Member == "hub" {
				for _, m := range index {
					if m.Trust.Unnamed {
						m.Trust.OK, m.Trust.Unnamed, m.Trust.Why = true, false, ""
					}
				}
			}
		case plan.Restart:
			hub(s.Member).Workload.Processes = nil
		case plan.Accept, plan.Withdraw:
			h := hub(s.Member)
			h.Accepts = guard.Hub{Accepts: s.Accepts.Accepts, Basis: "predicted by " + s.ID}
			h.VerifiedBasis = h.Accepts.Basis
			h.Workload.Found, h.Workload.Err, h.Workload.Replicas = true, "", max(h.Workload.Replicas, 1) // it was proved to run
			h.Declared = map[string]any{"jwt": s.Accepts.Accepts[JWT] == guard.Yes, "mutualTls": s.Accepts.Accepts[MTLS] == guard.Yes}
		case plan.Switch, plan.Verify, plan.AwaitRotation:
			if s.Member == "hub" || s.Member == "standby" {
				hub(s.Member).VerifiedBasis = hub(s.Member).Accepts.Basis
			}
			if m := index[s.Member]; m != nil {
				rotated := s.Kind == plan.AwaitRotation || s.Kind == plan.Verify && m.Statement != nil && m.Statement.Rotated
				m.Declared, m.Effective = JWT, JWT
				m.DeclaredFields = map[string]any{"centralAuthMode": "JWT"}
				m.Evidence.Presents, m.Evidence.Until, m.Evidence.Why = []cred{JWT}, f.At.Add(liveFor), "predicted"
				st := plan.Statement{Presents: []cred{JWT}, Observed: f.At, Until: f.At.Add(roster.Believed), Source: "predicted", Rotated: rotated}
				if m.Fence.Verified {
					st.Fence, st.Until = m.Fence.ID(), f.At.Add(roster.BelievedFenced)
				}
				m.Statement = &st
				if s.Kind == plan.Switch {
					m.Fence = plan.Fence{Policy: fencePolicyRef, Binding: fenceBindingRef, Unavailable: m.Fence.Unavailable}
				}
				m.Trust = plan.Trust{OK: true, Where: m.Trust.Where, Public: m.Trust.Public}
				if s.Kind == plan.Switch {
					m.Rotation = plan.Rotation{At: f.At, Why: "its pods are yet to be started", Static: m.Rotation.Static}
				}
			}
		case plan.InstallFence:
			if m := index[s.Member]; m != nil {
				m.Fence.Current, m.Fence.Verified, m.Fence.Outdated = true, true, ""
				m.Fence.Policy.UID, m.Fence.Binding.UID = "predicted", "predicted"
				if m.Statement != nil {
					st := *m.Statement
					st.Fence, st.FenceSeen, st.Until = m.Fence.ID(), f.At, f.At.Add(roster.BelievedFenced)
					m.Statement = &st
				}
			}
		case plan.SupplyCredential:
			if m := index[s.Member]; m != nil {
				m.Credential = plan.Credential{State: plan.CredentialReady, Where: m.Credential.Where}
				if m.Trust.Suppliable {
					m.Trust = plan.Trust{OK: true, Where: m.Trust.Where}
				}
			}
		case plan.RotateToken:
			if m := index[s.Member]; m != nil {
				m.Credential.State, m.Credential.Digest, m.Credential.Why = plan.CredentialReady, "predicted", ""
			}
		case plan.Reconnect:
			f.Hub.Workload.Processes = nil
			if m := index[s.Member]; m != nil {
				f.Hub.Workload.RestartedFor = reconnectKey(*m)
			}
		case plan.Revert:
			if m := index[s.Member]; m != nil {
				m.Declared, m.Effective, m.Statement = MTLS, MTLS, nil
				m.Fence = plan.Fence{Policy: fencePolicyRef, Binding: fenceBindingRef, Unavailable: m.Fence.Unavailable}
				m.DeclaredFields = map[string]any{"centralAuthMode": "MUTUAL_TLS"}
				m.Evidence.Presents, m.Evidence.Until, m.Evidence.Why = []cred{MTLS}, f.At.Add(liveFor), "predicted"
				m.Workload.Settled = true
			}
		case plan.CleanUp:
			if m := index[s.Member]; m != nil {
				m.Leftovers = nil
			}
			switch s.Member {
			case mpcName:
				f.Hub.Leftovers = nil
			case standbyMPC:
				hub("standby").Leftovers = nil
			}
		}
	}
	return f
}

// union is the names of both lists, each once.
func union(a, b []string) []string {
	all := append(slices.Clone(a), b...)
	slices.Sort(all)
	return slices.Compact(all)
}
