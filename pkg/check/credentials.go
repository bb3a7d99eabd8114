package check

import (
	"fmt"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// credentialRules are about every credential and certificate as it lies in its cluster.
var credentialRules = []Rule{
	{find: materials(missing), Rule: finding.Rule{ID: "XA030", Severity: finding.Error,
		Title:  "a credential is missing",
		Remedy: "Create it as the finding says, before the edge moves."}},
	{find: materials(malformed), Rule: finding.Rule{ID: "XA031", Severity: finding.Error,
		Title:  "a credential is malformed",
		Remedy: "Store it again as the finding says: a trailing newline or carriage return is enough to make the product refuse it."}},
	{find: materials(foreign), Rule: finding.Rule{ID: "XA032", Severity: finding.Error,
		Title:  "a credential belongs to somebody else",
		Remedy: "Store the one of this cluster: the operator refuses another's."}},
	{find: materials(expired), Rule: finding.Rule{ID: "XA033", Severity: finding.Error,
		Title:  "a credential has expired",
		Remedy: "Renew it as the finding says."}},
	{find: materials(early), Rule: finding.Rule{ID: "XA034", Severity: finding.Error,
		Title:  "a credential is not valid yet",
		Remedy: "Compare the clocks; a credential that was issued by a clock ahead is refused by the others until then."}},
	{find: materials(expiring), Rule: finding.Rule{ID: "XA035", Severity: finding.Warning,
		Title:  "a credential expires soon",
		Remedy: "Renew it in time. `--warn-within` says how long before; without it, it is a tenth of the lifetime. Tokens that the operator rotates count under XA036."}},
	{find: materials(overdue), Rule: finding.Rule{ID: "XA036", Severity: finding.Warning,
		Title:  "a token that the operator rotates is overdue",
		Remedy: "Look for `token rotation failed` in the operator's log: it tries again every 15 minutes at worst, which may be too late."}},
	{find: notMinting, Rule: finding.Rule{ID: "XA037", Severity: finding.Error,
		Title:  "the operator does not mint tokens, although it could",
		Remedy: "Look for `token rotation failed` in the operator's log: the path to the management plane's API, its CA and the service account must all be right."}},
}

// fault says what is wrong with a material, in one clause; "" when it is not what the rule is about.
type fault func(m *plan.Material, at time.Time, o Options) string

func materials(wrong fault) func(*run) {
	return func(l *run) {
		for _, p := range l.subjects() {
			for i := range p.in.Materials {
				m := &p.in.Materials[i]
				why := wrong(m, l.At, l.Options)
				if why == "" || m.Unread != "" {
					continue
				}
				x := l.of(p)
				x.Object, x.Found, x.Remedy, x.Command = "secret "+m.Where, m.What+" "+why, m.Remedy, command(m.Command...)
			}
		}
	}
}

func missing(m *plan.Material, _ time.Time, _ Options) string {
	if m.Absent && m.Needed {
		return "is not there"
	}
	return ""
}

func malformed(m *plan.Material, _ time.Time, _ Options) string {
	if m.Wrong == "" {
		return ""
	}
	return "cannot be used: " + m.Wrong
}

func foreign(m *plan.Material, _ time.Time, _ Options) string {
	if m.Foreign == "" {
		return ""
	}
	return "is not this cluster's: " + m.Foreign
}

func dead(m *plan.Material, at time.Time) bool { return !m.Until.IsZero() && !at.Before(m.Until) }

func expired(m *plan.Material, at time.Time, _ Options) string {
	if !dead(m, at) || m.Renewed { // a sibling's expiry is about the minting path
		return ""
	}
	return "expired at " + m.Until.Format(time.RFC3339)
}

// early allows for the clocks' difference of a minute, which has a rule of its own.
func early(m *plan.Material, at time.Time, _ Options) string {
	if m.From.IsZero() || !at.Add(skewWarning).Before(m.From) {
		return ""
	}
	return "is valid from " + m.From.Format(time.RFC3339)
}

// weekly is what counts as soon where a credential does not say how long it lives.
const weekly = 7 * 24 * time.Hour

func expiring(m *plan.Material, at time.Time, o Options) string {
	if m.Until.IsZero() || dead(m, at) || m.Rotated {
		return ""
	}
	within := o.WarnWithin
	if within == 0 {
		within = weekly
		if !m.From.IsZero() {
			within = m.Until.Sub(m.From) / 10
		}
	}
	left := m.Until.Sub(at)
	if left > within {
		return ""
	}
	return fmt.Sprintf("expires in %s, at %s", short(left), m.Until.Format(time.RFC3339))
}

// overdue is a rotated token with less than a twentieth of its lifetime left: by then it should have been replaced.
// How early the product rotates is not documented.
func overdue(m *plan.Material, at time.Time, _ Options) string {
	if !m.Rotated || dead(m, at) {
		return ""
	}
	if left, life := m.Until.Sub(at), m.Until.Sub(m.From); left < life/20 {
		return fmt.Sprintf("lives %s and has %s left, and nothing has renewed it", short(life), short(left))
	}
	return ""
}

// notMinting reports tokens beside the edge's, of the same service account, that expired unrenewed though the account
// is there: so would the edge's own.
func notMinting(l *run) {
	for _, p := range l.subjects() {
		var stale, mints []string
		var last *plan.Material
		for i := range p.in.Materials {
			m := &p.in.Materials[i]
			switch {
			case m.Renewed && dead(m, l.At):
				stale, last = append(stale, fmt.Sprintf("secret %s expired at %s", m.Where, m.Until.Format(time.RFC3339))), m
			case m.Renewed:
				mints = append(mints, m.Where)
			}
		}
		if len(stale) == 0 {
			continue
		}
		x := l.of(p)
		x.Object, x.Remedy, x.Command = "secret "+last.Where, last.Remedy, command(last.Command...)
		x.Found = strings.Join(stale, ", ") + ", and nothing renewed it"
		if len(mints) > 0 {
			x.Found += "; fresh are " + strings.Join(mints, ", ")
		}
	}
}
