package migration

import (
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// Provider is Tetrate Service Bridge 1.4 and newer.
func Provider() plan.Provider {
	return plan.Provider{Name: state.Name, Detects: state.Detects, MemberAlone: state.MemberAlone,
		Reads: state.Reads, Trim: state.Trim,
		ReadState: state.ReadState, Complete: complete,
		Next:          func(f plan.State, g plan.Goal) plan.Wave { return f.HoldWhilePaused(nextWave(f, g), "central") },
		Verify:        verifyStep,
		InstallFence:  func(_ plan.State, m plan.Member, g plan.Goal) plan.Step { return installFenceStep(m, g) },
		AllowsUndo:    func(_ plan.State, w plan.Write, from guard.Cred) bool { return allowsUndo(w, from) },
		CannotPresent: cannotPresent, RemoveFence: removeFence}
}
