package render

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Health is one word for how a member is now.
type Health string

// The words of Health, worst first.
const (
	NotConnected  Health = "not connected" // known to be cut off from the hub
	NotReady      Health = "not ready"     // of a hub: none of its own processes is ready
	HealthUnknown Health = "unknown"       // it could not be looked at, or nothing tells whether it is connected
	Blocked       Health = "blocked"       // connected, and something must be fixed before its next step
	Moving        Health = "moving"        // a run holds it in flight, or its pods are being replaced
	Connected     Health = "connected"
	Ready         Health = "ready" // of a hub
)

// healthOf is the word for a member, and why; a link that is known to be down counts more than anything else.
func healthOf(m plan.Member, row StatusRow) (Health, string) {
	moving := m.InFlight != "" || m.Err == "" && m.Workload.Found && m.Workload.Err == "" && !m.Workload.Settled
	switch {
	case m.Link.Connected == guard.No && !moving:
		return NotConnected, m.Link.Why
	case row.unseen():
		return HealthUnknown, ""
	case moving:
		return Moving, m.Link.Why
	case row.State == RowBlocked:
		return Blocked, m.Link.Why
	case m.Link.Connected == guard.Yes:
		return Connected, m.Link.Why
	}
	return HealthUnknown, m.Link.Why
}

// hubHealth is the word for a hub, and why it is not ready.
func hubHealth(h plan.Hub, row StatusRow) (Health, string) {
	ready := slices.ContainsFunc(h.Workload.Processes, func(p plan.Process) bool { return p.Ready })
	switch {
	case !h.Found || !h.Workload.Found || h.Workload.Err != "":
		return HealthUnknown, ""
	case !ready:
		return NotReady, fmt.Sprintf("none of its %s is ready", plural(len(h.Workload.Processes), "pod"))
	case !h.Workload.Settled:
		return Moving, ""
	case row.State == RowBlocked:
		return Blocked, ""
	}
	return Ready, ""
}

// Summary counts the members, the hub's own clients left out.
type Summary struct {
	Members      int      `json:"members"`
	Connected    int      `json:"connected"` // whatever their next step is
	NotConnected []string `json:"notConnected"`
	Unknown      []string `json:"unknown"`
	// Presents counts them by what they present: {"JWT": 12, "mTLS": 18}.
	Presents map[string]int `json:"presents"`

	order []string // the keys of Presents, most first
}

// summarize counts rows. member is what one is called.
func summarize(rows []StatusRow, member string) *Summary {
	s := &Summary{NotConnected: []string{}, Unknown: []string{}, Presents: map[string]int{}}
	for _, r := range rows {
		if r.Role != member || r.Member == "-" {
			continue
		}
		s.Members++
		switch {
		case r.Health == NotConnected:
			s.NotConnected = append(s.NotConnected, r.Member)
		case r.linked:
			s.Connected++
		default:
			s.Unknown = append(s.Unknown, r.Member)
		}
		s.Presents[r.Effective]++
	}
	for name := range s.Presents {
		s.order = append(s.order, name)
	}
	slices.SortFunc(s.order, func(a, b string) int {
		if n := s.Presents[b] - s.Presents[a]; n != 0 {
			return n
		}
		return strings.Compare(a, b)
	})
	return s
}

// headline prints what is down, first and loud, and below it how many there are of what.
func (s Status) headline(w io.Writer) {
	if s.Summary == nil || s.Summary.Members == 0 {
		return
	}
	sum := s.Summary
	if n := len(sum.NotConnected); n > 0 {
		Paragraph(w, "NOT CONNECTED: ", fmt.Sprintf("%s (%d of %s)", few(sum.NotConnected, fewNames), n,
			plural(sum.Members, s.member)))
	}
	var parts []string
	count := func(n int, what string) {
		switch {
		case n == sum.Members && n > 1:
			parts = append(parts, "all "+what)
		case n == sum.Members:
			parts = append(parts, what)
		case n > 0:
			parts = append(parts, fmt.Sprintf("%d %s", n, what))
		}
	}
	count(sum.Connected, "connected")
	count(len(sum.NotConnected), "not connected")
	if n := len(sum.Unknown); n == sum.Members {
		parts = append(parts, "it is not known who is connected")
	} else {
		count(n, "not known to be connected")
	}
	for _, name := range sum.order {
		verb := "present "
		if sum.Presents[name] == 1 {
			verb = "presents "
		}
		if name != "unknown" {
			count(sum.Presents[name], verb+nothing(name))
		}
	}
	Paragraph(w, "", plural(sum.Members, s.member)+": "+strings.Join(parts, ", "))
	fmt.Fprintln(w)
}

// nothing is what is presented, in a sentence.
func nothing(name string) string {
	if name == "none" {
		return "nothing"
	}
	return name
}
