package check

import (
	"fmt"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// credentialRules are about for how long a credential or certificate holds, as it lies in its cluster.
var credentialRules = []Rule{
	{Find: Materials(expired), Rule: finding.Rule{ID: "XA033", Severity: finding.Error,
		Title:  "a credential has expired",
		Remedy: "Renew it as the finding says."}},
	{Find: Materials(early), Rule: finding.Rule{ID: "XA034", Severity: finding.Error,
		Title:  "a credential is not valid yet",
		Remedy: "Compare the clocks; a credential that was issued by a clock ahead is refused by the others until then."}},
	{Find: Materials(expiring), Rule: finding.Rule{ID: "XA035", Severity: finding.Warning,
		Title:  "a credential expires soon",
		Remedy: "Renew it in time. `--warn-within` says how long before; without it, it is a tenth of the lifetime. Tokens that the operator rotates count under XA036."}},
}

// Fault says what is wrong with a material, in one clause; "" when it is not what the rule is about.
type Fault func(m *plan.Material, at time.Time, o Options) string

// Materials looks for what is wrong with each credential and certificate.
func Materials(wrong Fault) func(*Pass) {
	return func(l *Pass) {
		for _, p := range l.Subjects() {
			for i := range p.In.Materials {
				m := &p.In.Materials[i]
				why := wrong(m, l.At, l.Options)
				if why == "" || m.Unread != "" {
					continue
				}
				x := l.Of(p)
				x.Object, x.Found, x.Remedy, x.Command = "secret "+m.Where, m.What+" "+why, m.Remedy, Command(m.Command...)
			}
		}
	}
}

func expired(m *plan.Material, at time.Time, _ Options) string {
	if !Dead(m, at) || m.Renewed { // a sibling's expiry is about the minting path
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
	if m.Until.IsZero() || Dead(m, at) || m.Rotated {
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
	return fmt.Sprintf("expires in %s, at %s", plan.Short(left), m.Until.Format(time.RFC3339))
}

// Dead says whether a credential has expired.
func Dead(m *plan.Material, at time.Time) bool { return !m.Until.IsZero() && !at.Before(m.Until) }
