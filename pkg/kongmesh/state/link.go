package state

import (
	"fmt"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// addLinks says of each zone whether it is connected: by the sessions that the global tells of.
func addLinks(f *plan.State) {
	for i := range f.Members {
		m := &f.Members[i]
		switch open := OpenSessions(f.Hub, m.ClusterName); {
		case f.Hub.Sessions == nil:
			m.Link = plan.Link{Why: "the global does not tell of its sessions"}
		case len(open) == 0:
			m.Link = plan.Link{Connected: guard.No, Why: "the global tells of no session that lasts"}
		default:
			m.Link = plan.Link{Connected: guard.Yes, Why: fmt.Sprintf("the global tells of a session since %s",
				open[len(open)-1].Began.UTC().Format(time.RFC3339))}
		}
	}
}
