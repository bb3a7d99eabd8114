package render

import (
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
)

// Names are those of the members, with what each is: edge/edge-1. A context that holds none has none.
func (s Status) Names() []string {
	return namesOf(s.Members, func(r StatusRow) string { return memberName(r.Role, r.Member) })
}

// Items is the key of the members.
func (s Status) Items() string { return "members" }

// Names are those of the findings, as --ignore takes them: XA030=edge-1.
func (c Check) Names() []string {
	return namesOf(c.Findings, func(f finding.Finding) string { return strings.TrimSuffix(f.Rule+"="+f.Member, "=") })
}

// Items is the key of the findings.
func (c Check) Items() string { return "findings" }

// Names are the IDs of the steps that are left, wave by wave.
func (p Plan) Names() []string {
	var all []string
	for _, w := range p.Waves {
		for _, s := range w.Steps {
			all = append(all, s.ID)
		}
	}
	return all
}

// Items is the key of the waves.
func (p Plan) Items() string { return "waves" }

// Names are those of the members of the run.
func (r Result) Names() []string {
	var all []string
	for _, m := range r.Members {
		all = append(all, m.Member)
	}
	return all
}

// Items is the key of the members.
func (r Result) Items() string { return "members" }

// Names are those of the members in the roster.
func (r Roster) Names() []string {
	return namesOf(r.Members, func(m RosterRow) string { return memberName(m.Role, m.Member) })
}

// Items is the key of the members.
func (r Roster) Items() string { return "members" }

// Names are the titles of the waves, of which several may be the same.
func (h History) Names() []string {
	return namesOf(h.Waves, func(w HistoryWave) string { return w.Wave })
}

// Items is the key of the waves.
func (h History) Items() string { return "waves" }

// namesOf are the names of items.
func namesOf[T any](items []T, name func(T) string) []string {
	all := []string{}
	for _, i := range items {
		all = append(all, name(i))
	}
	return all
}

// memberName is the name of a member with what it is; "" where it is no member.
func memberName(role, name string) string {
	if name == "" || name == "-" {
		return ""
	}
	return role + "/" + name
}
