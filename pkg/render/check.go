package render

import (
	"slices"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/check"
	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Check is what `kubectl xcpauth check` reports.
type Check struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	At         time.Time         `json:"at"`
	Hub        string            `json:"hub"`
	Context    string            `json:"context"`
	Threshold  finding.Severity  `json:"threshold"` // from which severity on a finding counts
	Members    []CheckRow        `json:"members"`   // the hub first; each member and each other context once
	Findings   []finding.Finding `json:"findings"`  // worst first
	Ignored    []finding.Finding `json:"ignored"`   // left out by --ignore
	Next       string            `json:"next"`
}

// CheckRow is one member with how much was found about it.
type CheckRow struct {
	Member  string `json:"member"`
	Role    string `json:"role"` // hub, edge, mpc, or context for one that holds no member
	Context string `json:"context,omitempty"`
	// State is why it could not be looked at, or the worst severity.
	State    RowState `json:"state"`
	Errors   int      `json:"errors"`
	Warnings int      `json:"warnings"`
	Infos    int      `json:"infos"`
	Why      string   `json:"why,omitempty"`
}

// NewCheck makes the report of findings. again makes a verb the command line of the same selection.
func NewCheck(f plan.State, kept, ignored []finding.Finding, threshold finding.Severity,
	again func(verb string) string) Check {
	r := Check{APIVersion: APIVersion, Kind: "Check", At: f.At.UTC().Truncate(time.Second), Context: f.Hub.Context,
		Threshold: threshold, Findings: append([]finding.Finding{}, kept...),
		Ignored: append([]finding.Finding{}, ignored...)}
	if f.Hub.Found {
		r.Hub = f.Hub.Object.String()
	}
	hub := CheckRow{Member: "hub", Role: "hub", Context: f.Hub.Context}
	if !f.Hub.Found {
		hub.State, hub.Why = RowNotFound, f.Hub.Err
	}
	r.Members = append(r.Members, hub)
	for _, m := range f.Members {
		row := CheckRow{Member: m.Name, Role: string(m.Role), Context: m.Context, Why: m.Err}
		switch {
		case m.Err != "" && m.Context != "":
			row.State = RowUnreachable
		case m.Err != "":
			row.State = RowNotSelected
		}
		r.Members = append(r.Members, row)
	}
	for _, o := range f.Others {
		row := CheckRow{Member: "-", Role: "context", Context: o.Context, State: RowState(o.State), Why: o.Why}
		if o.State == "no-member" || o.State == "duplicate" {
			row.State = RowSkipped
		}
		r.Members = append(r.Members, row)
	}
	for i := range r.Members {
		if m := &r.Members[i]; m.State == RowUnreachable && slices.Contains(f.Denied, m.Context) {
			m.State = RowForbidden
		}
		r.Members[i].count(kept)
	}
	r.Next = r.next(f, again)
	return r
}

// count counts the findings of a row: those of its member, and those of its context that belong to no one member.
func (r *CheckRow) count(found []finding.Finding) {
	for _, x := range found {
		if ofContext := x.Member == "-" && x.Context == r.Context && x.Context != ""; !ofContext &&
			(x.Member == "-" || x.Member != r.Member) {
			continue
		}
		switch x.Severity {
		case finding.Error:
			r.Errors++
		case finding.Warning:
			r.Warnings++
		default:
			r.Infos++
		}
	}
	switch {
	case r.State != "":
	case r.Errors > 0:
		r.State = RowError
	case r.Warnings > 0:
		r.State = RowWarning
	case r.Infos > 0:
		r.State = RowInfo
	default:
		r.State = RowOK
	}
}

func (r Check) next(f plan.State, again func(verb string) string) string {
	switch {
	case !f.Hub.Found:
		return f.Hub.Err
	case r.Unreachable():
		return "not everything could be looked at; fix that first, then: " + again("check")
	case r.Fails():
		return "fix what is named above, worst first, then: " + again("check")
	}
	return "nothing found that blocks a migration; show what a migration would do with: " + again("plan")
}

// Unreachable says whether a context could not be looked at, other than those that were to be ignored.
func (r Check) Unreachable() bool {
	return slices.ContainsFunc(r.Findings, func(x finding.Finding) bool { return x.Rule == check.Unreachable })
}

// Fails says whether a finding is at least as bad as the threshold.
func (r Check) Fails() bool {
	return slices.ContainsFunc(r.Findings, func(x finding.Finding) bool { return x.Severity.AtLeast(r.Threshold) })
}

// Counts counts the findings of each severity.
func (r Check) Counts() map[finding.Severity]int {
	n := map[finding.Severity]int{}
	for _, x := range r.Findings {
		n[x.Severity]++
	}
	return n
}
