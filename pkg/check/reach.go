package check

import (
	"fmt"
	"slices"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// reachRules are about what could be looked at, and by which clock.
var reachRules = []Rule{
	{Find: unreachable, Rule: finding.Rule{ID: Unreachable, Severity: finding.Error,
		Title:  "a context could not be looked at",
		Remedy: "Fix the reason that is named, or leave the context out with `--contexts`."}},
	{Find: rights, Rule: finding.Rule{ID: "XA002", Severity: finding.Error,
		Title:  "rights are missing",
		Remedy: "Let somebody who may create roles apply the Role that is printed, and bind it to you. `--read-only` asks only for the rights to look."}},
	{Find: unread, Rule: finding.Rule{ID: "XA003", Severity: finding.Warning,
		Title:  "something could not be read",
		Remedy: "Fix the reason that is named; what could not be read counts as unknown."}},
	{Find: unseen, Rule: finding.Rule{ID: "XA004", Severity: finding.Warning,
		Title:  "a member is reached by no selected context",
		Remedy: "Select its context, or let its team run `kubectl xcpauth edge publish`."}},
	{Find: skewed(false), Rule: finding.Rule{ID: "XA005", Severity: finding.Warning,
		Title:  "a clock is more than a minute off",
		Remedy: "Let the machine keep its time with NTP."}},
	{Find: skewed(true), Rule: finding.Rule{ID: "XA006", Severity: finding.Error,
		Title:  "a clock is so far off that tokens are misjudged",
		Remedy: "Let the machine keep its time with NTP, before anything else: a token may be expired, or not yet valid, by one clock and not by the other."}},
}

// Unreachable is the rule about contexts that could not be looked at.
const Unreachable = "XA001"

// unreachable reports every context that could not be looked at, once, as the member that it is known to hold.
func unreachable(l *Pass) {
	add := func(member, context, why string) {
		x := l.Say(member, context, "")
		x.Found, x.Remedy = why, "see whether kubectl reaches it; leave it out with --contexts if it is not to be looked at"
		x.Command = Kubectl(context, "", "version")
		if slices.Contains(l.Denied, context) { // it was reached, and kubectl version would succeed
			x.Remedy = "it was reached, and you may not look: let somebody who may bind xcpauth-read to you; leave it out with --contexts if " +
				"it is not to be looked at"
			x.Command = Kubectl(context, "", "auth", "can-i", "--list")
		}
	}
	said := map[string]bool{}
	for _, m := range l.Everyone() {
		if m.Err != "" && m.Context != "" {
			said[m.Context] = true
			add(m.Name, m.Context, m.Err)
		}
	}
	for _, o := range l.Others {
		if o.State == "unreachable" && !said[o.Context] {
			said[o.Context] = true
			add("-", o.Context, o.Why)
		}
	}
	for _, c := range l.Contexts {
		if c.Err != "" && !said[c.Name] {
			add("-", c.Name, c.Err)
		}
	}
}

// unread reports what could not be read in a context that was reached. What is forbidden is said by the rights that
// are missing.
func unread(l *Pass) {
	for i := range l.Contexts {
		c := &l.Contexts[i]
		if o := l.other(c.Name); c.Err != "" || (o != nil && o.State == "unreachable") {
			continue
		}
		for _, u := range c.Unread {
			if l.foreign(c.Name) || (len(c.Missing) > 0 && u.Denied) {
				continue
			}
			x := l.Say(l.holder(c.Name), c.Name, u.What)
			x.Found, x.Remedy = u.Why, "fix that; until then it counts as unknown"
		}
		if c.AccessErr != "" {
			x := l.Say(l.holder(c.Name), c.Name, "selfsubjectaccessreviews.authorization.k8s.io")
			x.Found, x.Remedy = "rights could not be asked for: "+c.AccessErr,
				"bind the ClusterRole system:basic-user to yourself, as clusters do for everybody by default"
		}
	}
}

func unseen(l *Pass) {
	for _, m := range l.Everyone() {
		if m.Err == "" || m.Context != "" || (m.Inspection != nil && m.Inspection.Gone != "") {
			continue
		}
		heard := ""
		if !m.LastEvent.IsZero() {
			heard = "; " + l.Words.Server + " last heard of it at " + m.LastEvent.Format(time.RFC3339)
		}
		x := l.Say(m.Name, "", "cluster "+m.ClusterName)
		x.Found = "the hub or the roster lists it, and no selected context holds it" + heard
		x.Remedy = "select its context"
		if l.UsesRoster {
			x.Remedy += ", or let its team state what it presents"
		}
		x.Remedy += "; if the cluster is gone, " + l.Words.Removal
	}
}

const (
	skewWarning = time.Minute
	skewError   = 5 * time.Minute
)

// skewed compares the clocks of all API servers, and ours, with their median: most clocks are right. It is an error
// from five minutes on, or from a quarter of the shortest token's lifetime.
func skewed(bad bool) func(*Pass) {
	return func(l *Pass) {
		limit := skewError
		for _, p := range l.Subjects() {
			for _, m := range p.In.Materials {
				if life := m.Until.Sub(m.From); m.Rotated && life > 0 {
					limit = min(limit, life/4)
				}
			}
		}
		all := []time.Duration{0} // ours
		for _, c := range l.Contexts {
			if c.Skew != nil {
				all = append(all, *c.Skew)
			}
		}
		slices.Sort(all)
		right := all[(len(all)-1)/2]
		if other := all[len(all)/2]; other.Abs() < right.Abs() {
			right = other
		}
		judge := func(member, context, who string, off time.Duration) {
			severe := off.Abs() > limit
			if (off.Abs() <= skewWarning && !severe) || severe != bad {
				return
			}
			way := "ahead of"
			if off < 0 {
				way = "behind"
			}
			x := l.Say(member, context, who)
			x.Found, x.Remedy = fmt.Sprintf("it is %s %s the others (%s compared)", plan.Short(off.Abs()), way,
				Count(len(all), "clock")), "let it keep its time with NTP"
		}
		judge("-", "", "the clock of this machine", -right)
		for _, c := range l.Contexts {
			if c.Skew != nil {
				judge(l.holder(c.Name), c.Name, "the clock of the API server", *c.Skew-right)
			}
		}
	}
}
