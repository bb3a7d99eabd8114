package check

import (
	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// run is one run over facts: a rule asks it who is there, and says what it found.
type run struct {
	*plan.State
	Options
	rule  Rule
	found []*finding.Finding
}

// subject is the hub or a member, where a rule treats them alike.
type subject struct {
	member  *plan.Member // nil for the hub
	object  plan.Ref
	context string
	in      *plan.Inspection
	owner   string
	helm    string
}

func newRun(f *plan.State, o Options) *run { return &run{State: f, Options: o} }

// say begins a finding of the rule that is looking; what it lacks is filled in by the rule.
func (l *run) say(member, context, object string) *finding.Finding {
	x := l.rule.Finding("", "")
	x.Docs, x.Member, x.Context, x.Object = docs+l.rule.Anchor(), member, context, object
	l.found = append(l.found, &x)
	return &x
}

// about begins a finding about a member, hub one about the hub, of one about either.
func (l *run) about(m *plan.Member) *finding.Finding {
	return l.say(m.Name, m.Context, m.Object.String())
}

func (l *run) hub() *finding.Finding { return l.say("hub", l.Hub.Context, l.Hub.Object.String()) }

func (l *run) of(p *subject) *finding.Finding {
	if p.member == nil {
		return l.hub()
	}
	return l.about(p.member)
}

func (l *run) members() []*plan.Member {
	all := make([]*plan.Member, len(l.Members))
	for i := range l.Members {
		all[i] = &l.Members[i]
	}
	return all
}

// edges are the edges that were reached.
func (l *run) edges() []*plan.Member {
	var all []*plan.Member
	for _, m := range l.members() {
		if m.Role == plan.RoleEdge && m.Err == "" {
			all = append(all, m)
		}
	}
	return all
}

// subjects are the hub and every member that was reached.
func (l *run) subjects() []*subject {
	var all []*subject
	if l.Hub.Found && l.Hub.Inspection != nil {
		all = append(all, &subject{nil, l.Hub.Object, l.Hub.Context, l.Hub.Inspection, l.Hub.Owner, l.Hub.HelmNote})
	}
	for _, m := range l.members() {
		if m.Err == "" && m.Inspection != nil {
			all = append(all, &subject{m, m.Object, m.Context, m.Inspection, m.Owner, m.HelmNote})
		}
	}
	return all
}

// holder is the member of a context when it holds exactly one, "hub" for the hub's, else "-".
func (l *run) holder(context string) string {
	if l.Hub.Found && l.Hub.Context == context {
		return "hub"
	}
	name := "-"
	for _, m := range l.members() {
		if m.Context == context && m.Role == plan.RoleEdge {
			if name != "-" {
				return "-"
			}
			name = m.Name
		}
	}
	return name
}

// other is the row of a context that holds no member, or nil.
func (l *run) other(context string) *plan.OtherContext {
	for i := range l.Others {
		if l.Others[i].Context == context {
			return &l.Others[i]
		}
	}
	return nil
}

// foreign says whether a context is known to hold nothing of this hub: what one may do there does not matter.
func (l *run) foreign(context string) bool {
	if l.Hub.Found && l.Hub.Context == context {
		return false
	}
	for _, m := range l.members() {
		if m.Context == context {
			return false
		}
	}
	o := l.other(context)
	return o != nil && o.State != "unreachable"
}
