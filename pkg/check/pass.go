package check

import (
	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Pass is one run over a state: a rule asks it who is there, and says what it found.
type Pass struct {
	*plan.State
	Options
	rule  Rule
	found []*finding.Finding
}

// Subject is the hub or a member, where a rule treats them alike.
type Subject struct {
	Member  *plan.Member // nil for the hub
	Object  plan.Ref
	Context string
	In      *plan.Inspection
	Owner   string
	Helm    string
}

func newRun(f *plan.State, o Options) *Pass { return &Pass{State: f, Options: o} }

// Of begins a finding about the hub or a member.
func (l *Pass) Of(p *Subject) *finding.Finding {
	if p.Member == nil {
		return l.AtHub()
	}
	return l.About(p.Member)
}

// About begins a finding about a member.
func (l *Pass) About(m *plan.Member) *finding.Finding {
	return l.Say(m.Name, m.Context, m.Object.String())
}

// AtHub begins a finding about the hub.
func (l *Pass) AtHub() *finding.Finding { return l.Say("hub", l.Hub.Context, l.Hub.Object.String()) }

// Say begins a finding of the rule that is looking; what it lacks is filled in by the rule.
func (l *Pass) Say(member, context, object string) *finding.Finding {
	x := l.rule.Finding("", "")
	x.Docs, x.Member, x.Context, x.Object = l.rule.Docs(), member, context, object
	l.found = append(l.found, &x)
	return &x
}

// Edges are the edges that were reached.
func (l *Pass) Edges() []*plan.Member {
	var all []*plan.Member
	for _, m := range l.Everyone() {
		if m.Role == plan.RoleEdge && m.Err == "" {
			all = append(all, m)
		}
	}
	return all
}

// Subjects are the hub and every member that was reached.
func (l *Pass) Subjects() []*Subject {
	var all []*Subject
	if l.Hub.Found && l.Hub.Inspection != nil {
		all = append(all, &Subject{nil, l.Hub.Object, l.Hub.Context, l.Hub.Inspection, l.Hub.Owner, l.Hub.HelmNote})
	}
	for _, m := range l.Everyone() {
		if m.Err == "" && m.Inspection != nil {
			all = append(all, &Subject{m, m.Object, m.Context, m.Inspection, m.Owner, m.HelmNote})
		}
	}
	return all
}

// holder is the member of a context when it holds exactly one, "hub" for the hub's, else "-".
func (l *Pass) holder(context string) string {
	if l.Hub.Found && l.Hub.Context == context {
		return "hub"
	}
	name := "-"
	for _, m := range l.Everyone() {
		if m.Context == context && m.Role == plan.RoleEdge {
			if name != "-" {
				return "-"
			}
			name = m.Name
		}
	}
	return name
}

// foreign says whether a context is known to hold nothing of this hub: what one may do there does not matter.
func (l *Pass) foreign(context string) bool {
	if l.Hub.Found && l.Hub.Context == context {
		return false
	}
	for _, m := range l.Everyone() {
		if m.Context == context {
			return false
		}
	}
	o := l.other(context)
	return o != nil && o.State != "unreachable"
}

// Everyone is all members, those that were not reached too.
func (l *Pass) Everyone() []*plan.Member {
	all := make([]*plan.Member, len(l.Members))
	for i := range l.Members {
		all[i] = &l.Members[i]
	}
	return all
}

// other is the row of a context that holds no member, or nil.
func (l *Pass) other(context string) *plan.OtherContext {
	for i := range l.Others {
		if l.Others[i].Context == context {
			return &l.Others[i]
		}
	}
	return nil
}
