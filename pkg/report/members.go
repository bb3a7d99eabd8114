package report

import (
	"cmp"
	"slices"
	"time"

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
	Moving    Mark = "moving"        // steps of it are in flight or left
	Connected Mark = "connected"     // it is, or was verified to be; and nothing is left to do for it
)

// Marks lists the marks in the order in which they are drawn.
var Marks = []Mark{Unknown, Blocked, Apart, Moving, Connected}

// members are the rows of status, with what the drawing needs.
func members(f plan.State, s render.Status) []Member {
	all := make([]Member, 0, len(s.Members))
	for _, r := range s.Members {
		m := Member{Name: r.Member, Role: r.Role, Context: r.Context, State: r.State, Declared: r.Declared,
			Effective: r.Effective, Credential: r.Credential, Expires: r.Expires, Proof: r.Proof, Evidence: r.Witnesses,
			Next: r.Next, Why: r.Why}
		if m.Role == roleContext {
			m.Name = cmp.Or(m.Context, m.Name)
		}
		if one := f.Member(r.Member); one != nil && m.IsMember() {
			m.Connected = connected(f, *one)
		}
		m.Mark = m.mark(f)
		all = append(all, m)
	}
	return all
}

// connected says whether a member is connected, by the first of these that tells:
//
//  1. the hub's word about its sessions;
//  2. what was verified of it, which needs a connection;
//  3. its own processes, when none of them is ready;
//  4. the hub's metrics, which heard of it a short time ago.
func connected(f plan.State, m plan.Member) guard.Tri {
	if f.TellsSessions && f.Hub.Sessions != nil {
		sessions, told := f.Hub.Sessions[m.ClusterName]
		switch {
		case slices.ContainsFunc(sessions, func(s plan.Session) bool { return s.Ended.IsZero() }):
			return guard.Yes
		case told || f.Hub.SessionsUnclear == "":
			return guard.No
		}
		return guard.Unknown
	}
	switch {
	case m.Err != "":
		return guard.Unknown
	case m.Statement != nil && len(m.Statement.Presents) == 1 && m.Verified(m.Statement.Presents[0], f.At):
		return guard.Yes
	case m.Workload.Found && !slices.ContainsFunc(m.Workload.Processes, func(p plan.Process) bool { return p.Ready }):
		return guard.No
	case !m.LastEvent.IsZero() && f.At.Sub(m.LastEvent) < heard:
		return guard.Yes
	}
	return guard.Unknown
}

// heard is how long a member counts as connected after its hub heard of it: clocks differ, and a hub syncs every ten
// minutes at the latest.
const heard = 15 * time.Minute

// mark is how a row is drawn.
func (r Member) mark(f plan.State) Mark {
	switch {
	case slices.Contains([]string{"unreachable", "forbidden", "not found"}, r.State):
		return Unknown
	case r.State == "blocked":
		return Blocked
	case r.Connected == guard.No:
		return Apart
	case r.State == "pending":
		return Moving
	case r.IsMember() && f.Member(r.Name) != nil && f.Member(r.Name).InFlight != "":
		return Moving
	case r.Connected == guard.Yes, r.Role == roleHub:
		return Connected
	}
	return Unknown
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
