package state

import (
	"fmt"
	"slices"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Quiet is how long the hub may hear nothing of an edge: what is reported slowest comes every ten minutes (the vendor's
// key metrics page calls more than 700 s abnormal).
const Quiet = 12 * time.Minute

// addLinks says of each member whether it is connected. now is the time by the hub's clock.
func addLinks(f *plan.State, now time.Time) {
	told := slices.ContainsFunc(f.Members, func(m plan.Member) bool { return !m.LastEvent.IsZero() })
	for i, m := range f.Members {
		hub := f.Hub
		if m.Name == StandbyMPC && f.Standby != nil {
			hub = *f.Standby // whose client it is
		}
		f.Members[i].Link = linkOf(m, hub, told, now)
	}
}

// linkOf says whether a member is connected: one without a ready pod is not. told says that the hub's metrics tell when
// it heard of edges at all.
func linkOf(m plan.Member, hub plan.Hub, told bool, now time.Time) plan.Link {
	ready := slices.ContainsFunc(m.Workload.Processes, func(p plan.Process) bool { return p.Ready })
	switch {
	case m.Err == "" && m.Workload.Found && m.Workload.Err == "" && !ready:
		return plan.Link{Connected: guard.No, Why: fmt.Sprintf("%s has no ready pod", m.Object)}
	case m.Role == plan.RoleMPC:
		return clientLink(hub.Connections)
	case told:
		return heardLink(m.LastEvent, hub.Workload, now)
	case verifiedLately(m, now):
		return plan.Link{Connected: guard.Yes, Why: "it was verified lately"}
	}
	return untold
}

// untold is a link of which nothing is told.
var untold = plan.Link{Why: "Central's metrics do not tell whether it is connected"}

// clientLink is that of the hub's own client: the hub counts one stream more than edges.
func clientLink(c *plan.Connections) plan.Link {
	switch {
	case c == nil:
		return untold
	case c.State > c.Config:
		return plan.Link{Connected: guard.Yes, Why: "Central counts its stream"}
	}
	return plan.Link{Connected: guard.No, Why: "Central counts no stream of it"}
}

// heardLink is that of an edge of which the hub last heard at a time; never, where that is zero.
func heardLink(last time.Time, central plan.Workload, now time.Time) plan.Link {
	switch {
	case last.IsZero() && startedSince(central, now.Add(-Quiet)):
		return plan.Link{Why: "Central was started lately, and has not heard of it yet"}
	case last.IsZero():
		return plan.Link{Connected: guard.No, Why: "Central has heard nothing of it"}
	case now.Sub(last) > Quiet:
		return plan.Link{Connected: guard.No, Why: fmt.Sprintf("Central last heard of it %s ago", plan.Short(now.Sub(last)))}
	}
	return plan.Link{Connected: guard.Yes, Why: "Central last heard of it at " + last.Format(time.RFC3339)}
}

// verifiedLately says whether what the member presents was verified, which takes a connection.
func verifiedLately(m plan.Member, now time.Time) bool {
	return m.Err == "" && m.Statement != nil && len(m.Statement.Presents) == 1 && now.Sub(m.Statement.Observed) < Quiet &&
		m.Verified(m.Statement.Presents[0], now)
}

// startedSince says whether a process was started after that, or may have been.
func startedSince(w plan.Workload, then time.Time) bool {
	return slices.ContainsFunc(w.Processes, func(p plan.Process) bool { return p.Since.IsZero() || p.Since.After(then) })
}
