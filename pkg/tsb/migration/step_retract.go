package migration

import (
	"slices"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

// staleStatements lists the members of which the roster still states what their own objects and pods no longer show, or
// on the strength of a fence that is not there any more.
func staleStatements(f plan.State) []*plan.Member {
	var all []*plan.Member
	for i, m := range f.Members {
		st := m.Statement
		if m.Err != "" || st == nil || st.Invalid != "" || !f.At.Before(st.Until) {
			continue
		}
		if !slices.Equal(st.Presents, m.Evidence.Presents) || st.Fence != "" && !m.Fence.Verified {
			all = append(all, &f.Members[i])
		}
	}
	return all
}

// retractStatementStep takes back what the roster states of a member.
func retractStatementStep(f plan.State, m plan.Member) plan.Step {
	why := m.Evidence.Why
	if slices.Equal(m.Statement.Presents, m.Evidence.Presents) {
		why = "the fence that stood behind it is not there any more, or not as it was"
	}
	return plan.Step{ID: "void/" + m.Name, Kind: "void", Member: m.Name, Verb: "unstate",
		Title:   m.Name + ": take its statement in the roster back",
		Why:     "it was verified, and what is seen now contradicts that (" + why + "); the webhook would go on believing it",
		WayBack: "none needed: verifying it states it again",
		Writes:  []plan.Write{retraction(f, m)}, NoUndo: true, RecordOnly: true,
		Effect: onMember(m.Name, func(m *plan.Member, _ *plan.State) { m.Statement = nil })}
}

func retraction(f plan.State, m plan.Member) plan.Write {
	return plan.Write{Context: f.Hub.Context, Object: roster.Ref(f.Hub.Roster.In, m.Name), Op: plan.OpUpdateStatus,
		After: roster.RetractedStatus()}
}
