package inspect

import (
	"fmt"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/check"
	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// materialRules are about every credential and certificate as it lies in its cluster.
var materialRules = []check.Rule{
	{Find: check.Materials(missing), Rule: finding.Rule{ID: "XA030", Severity: finding.Error,
		Title:  "a credential is missing",
		Remedy: "Create it as the finding says, before the edge moves."}},
	{Find: check.Materials(malformed), Rule: finding.Rule{ID: "XA031", Severity: finding.Error,
		Title:  "a credential is malformed",
		Remedy: "Store it again as the finding says: a trailing newline or carriage return is enough to make the product refuse it."}},
	{Find: check.Materials(foreign), Rule: finding.Rule{ID: "XA032", Severity: finding.Error,
		Title:  "a credential belongs to somebody else",
		Remedy: "Store the one of this cluster: the operator refuses another's."}},
	{Find: check.Materials(overdue), Rule: finding.Rule{ID: "XA036", Severity: finding.Warning,
		Title:  "a token that the operator rotates is overdue",
		Remedy: "Look for `token rotation failed` in the operator's log: it tries again every 15 minutes at worst, which may be too late."}},
	{Find: notMinting, Rule: finding.Rule{ID: "XA037", Severity: finding.Error,
		Title:  "the operator does not mint tokens, although it could",
		Remedy: "Look for `token rotation failed` in the operator's log: the path to the management plane's API, its CA and the service account must all be right."}},
}

func missing(m *plan.Material, _ time.Time, _ check.Options) string {
	if m.Absent && m.Needed {
		return "is not there"
	}
	return ""
}

func malformed(m *plan.Material, _ time.Time, _ check.Options) string {
	if m.Wrong == "" {
		return ""
	}
	return "cannot be used: " + m.Wrong
}

func foreign(m *plan.Material, _ time.Time, _ check.Options) string {
	if m.Foreign == "" {
		return ""
	}
	return "is not this cluster's: " + m.Foreign
}

// overdue is a rotated token with less than a twentieth of its lifetime left: by then it should have been replaced.
// How early the product rotates is not documented.
func overdue(m *plan.Material, at time.Time, _ check.Options) string {
	if !m.Rotated || check.Dead(m, at) {
		return ""
	}
	if left, life := m.Until.Sub(at), m.Until.Sub(m.From); left < life/20 {
		return fmt.Sprintf("lives %s and has %s left, and nothing has renewed it", plan.Short(life), plan.Short(left))
	}
	return ""
}

// notMinting reports tokens beside the edge's, of the same service account, that expired unrenewed though the account
// is there: so would the edge's own.
func notMinting(l *check.Pass) {
	for _, p := range l.Subjects() {
		var stale, mints []string
		var last *plan.Material
		for i := range p.In.Materials {
			m := &p.In.Materials[i]
			switch {
			case m.Renewed && check.Dead(m, l.At):
				stale, last = append(stale, fmt.Sprintf("secret %s expired at %s", m.Where, m.Until.Format(time.RFC3339))), m
			case m.Renewed:
				mints = append(mints, m.Where)
			}
		}
		if len(stale) == 0 {
			continue
		}
		x := l.Of(p)
		x.Object, x.Remedy, x.Command = "secret "+last.Where, last.Remedy, check.Command(last.Command...)
		x.Found = strings.Join(stale, ", ") + ", and nothing renewed it"
		if len(mints) > 0 {
			x.Found += "; fresh are " + strings.Join(mints, ", ")
		}
	}
}
