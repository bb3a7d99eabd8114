package report

import (
	"cmp"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
)

// Member is one row of the table: the hub, a member, or a selected context that holds none.
type Member struct {
	Name, Role, Context string
	State               string // as status has it: ok, pending, blocked, unreachable, ...
	Mark                Mark
	Connected           guard.Tri
	Declared, Effective string
	Credential, Expires string
	Proof               string
	Evidence            []string
	Next                string
	Why                 []string
}

// IsMember says whether the row is that of a member.
func (r Member) IsMember() bool { return r.Role != roleHub && r.Role != roleContext }

// The roles of a row that are none of a member.
const (
	roleHub     = "hub"
	roleContext = "context"
)

// Mark is how a member is drawn.
type Mark string

// The marks, worst first.
const (
	Unknown   Mark = "unknown"       // it could not be looked at, or whether it is connected is not known
	Blocked   Mark = "blocked"       // something must be fixed before it can be changed
	Apart     Mark = "not connected" // the hub, or its own processes, show that it is not connected
	Moving    Mark = "moving"        // a run has it in flight, or its pods are being replaced
	Pending   Mark = "pending"       // it is connected, and steps of it are left
	Connected Mark = "connected"     // it is, and nothing is left to do for it
)

// Marks lists the marks in the order in which they are drawn.
var Marks = []Mark{Unknown, Blocked, Apart, Moving, Pending, Connected}

// members are the rows of status, with what the drawing needs.
func members(f plan.State, s render.Status) []Member {
	all := make([]Member, 0, len(s.Members))
	for _, r := range s.Members {
		m := Member{Name: r.Member, Role: r.Role, Context: r.Context, State: string(r.State), Declared: r.Declared,
			Effective: r.Effective, Credential: r.Credential, Expires: r.Expires, Proof: r.Proof, Evidence: r.Witnesses,
			Next: r.Next, Why: r.Why}
		if m.Role == roleContext {
			m.Name = cmp.Or(m.Context, m.Name)
		}
		if one := f.Member(r.Member); one != nil && m.IsMember() {
			m.Connected = one.Link.Connected
		}
		m.Mark = m.mark(r.Health)
		all = append(all, m)
	}
	return all
}

// mark is how a row is drawn: by the word that status has for it, and by whether something is left to do.
func (r Member) mark(health render.Health) Mark {
	switch health {
	case render.NotConnected, render.NotReady:
		return Apart
	case render.Blocked:
		return Blocked
	case render.Moving:
		return Moving
	case render.Connected, render.Ready:
		if r.State == "pending" {
			return Pending
		}
		return Connected
	case render.HealthUnknown:
		return Unknown
	}
	return Unknown // a context that holds no member
}

// Passes says whether a pipeline may take the row for done: nothing is left to do for it, and it is connected as far
// as is known.
func (r Member) Passes() bool { return r.Mark == Connected }

// Counts says whether the row is one that a pipeline judges: a context that was looked at and holds no member is none.
func (r Member) Counts() bool {
	return r.Role != roleContext || r.State == "unreachable" || r.State == "forbidden"
}

// badge is the row's state as its badge says it. That a member is not connected matters more than what is left to do.
func (r Member) badge() string {
	if r.Mark == Apart {
		return string(r.Mark)
	}
	return r.State
}

// besides is what the badge leaves out.
func (r Member) besides() string {
	if r.badge() == r.State {
		return ""
	}
	return r.State
}
