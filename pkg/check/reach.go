package check

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// reachRules are about what could be looked at, and by which clock.
var reachRules = []Rule{
	{ID: Unreachable, Title: "a context could not be looked at", Severity: Error, find: unreachable,
		Mend: "Mend the reason that is named, or leave the context out with `--contexts`."},
	{ID: "XA002", Title: "rights are missing", Severity: Error, find: rights,
		Mend: "Let somebody who may create roles apply the Role that is printed, and bind it to you. `--read-only` asks only for the rights to look."},
	{ID: "XA003", Title: "something could not be read", Severity: Warning, find: unread,
		Mend: "Mend the reason that is named; what could not be read counts as unknown."},
	{ID: "XA004", Title: "a member is reached by no selected context", Severity: Warning, find: unseen,
		Mend: "Select its context, or let its team run `kubectl xcpauth edge publish`."},
	{ID: "XA005", Title: "a clock is more than a minute off", Severity: Warning, find: skewed(false),
		Mend: "Let the machine keep its time with NTP."},
	{ID: "XA006", Title: "a clock is so far off that tokens are misjudged", Severity: Error, find: skewed(true),
		Mend: "Let the machine keep its time with NTP, before anything else: a token may be expired, or not yet valid, by one clock and not by the other."},
}

// Unreachable is the rule about contexts that could not be looked at.
const Unreachable = "XA001"

// unreachable reports every context that could not be looked at, once, as the member that it is known to hold.
func unreachable(f plan.Facts, _ Options) []Finding {
	var found []Finding
	add := func(member, context, why string) {
		remedy, cmd := "see whether kubectl reaches it; leave it out with --contexts if it is not to be looked at", command("kubectl", "--context", context, "version")
		found = append(found, Finding{Member: member, Context: context, Saw: why, Remedy: remedy, Command: cmd})
	}
	said := map[string]bool{}
	for _, m := range f.Members {
		if m.Err != "" && m.Context != "" {
			said[m.Context] = true
			add(m.Name, m.Context, m.Err)
		}
	}
	for _, o := range f.Others {
		if o.State == "unreachable" && !said[o.Context] {
			said[o.Context] = true
			add("-", o.Context, o.Why)
		}
	}
	for _, c := range f.Contexts {
		if c.Err != "" && !said[c.Name] {
			add("-", c.Name, c.Err)
		}
	}
	return found
}

// unread reports what could not be read in a context that was reached. What is forbidden is said by the rights that are missing.
func unread(f plan.Facts, _ Options) []Finding {
	var found []Finding
	for _, c := range f.Contexts {
		if c.Err != "" || slices.ContainsFunc(f.Others, func(o plan.Other) bool { return o.Context == c.Name && o.State == "unreachable" }) {
			continue
		}
		for _, u := range c.Unread {
			if foreignContext(f, c.Name) {
				break
			}
			if len(c.Missing) > 0 && strings.HasPrefix(u.Why, "forbidden") {
				continue
			}
			found = append(found, Finding{Member: holder(f, c.Name), Context: c.Name, Object: u.What, Saw: u.Why,
				Remedy: "mend that; until then it counts as unknown"})
		}
		if c.AccessErr != "" {
			found = append(found, Finding{Member: holder(f, c.Name), Context: c.Name, Object: "selfsubjectaccessreviews.authorization.k8s.io", Saw: "rights could not be asked for: " + c.AccessErr,
				Remedy: "bind the ClusterRole system:basic-user to yourself, as clusters do for everybody by default"})
		}
	}
	return found
}

// holder is the member of a context when it holds exactly one, "hub" for the hub's, else "-".
func holder(f plan.Facts, context string) string {
	if f.Hub.Found && f.Hub.Context == context {
		return "hub"
	}
	name := "-"
	for _, m := range f.Members {
		if m.Context == context && m.Role == plan.RoleEdge {
			if name != "-" {
				return "-"
			}
			name = m.Name
		}
	}
	return name
}

func unseen(f plan.Facts, _ Options) []Finding {
	var found []Finding
	for _, m := range f.Members {
		if m.Err == "" || m.Context != "" || (m.Inspection != nil && m.Inspection.Gone != "") {
			continue
		}
		heard := ""
		if !m.Seen.IsZero() {
			heard = "; Central last heard of it at " + m.Seen.Format(time.RFC3339)
		}
		found = append(found, Finding{Member: m.Name, Object: "cluster " + m.ClusterName, Saw: "the hub or the roster lists it, and no selected context holds it" + heard,
			Remedy: "select its context, or let its team state what it presents; if the cluster is gone, delete it from TSB and forget it"})
	}
	return found
}

const (
	skewWarning = time.Minute
	skewError   = 5 * time.Minute
)

// skewed compares the clocks of all API servers, and ours, with their median: most clocks are right. It is an error from five
// minutes on, or from a quarter of the shortest token's lifetime.
func skewed(bad bool) func(plan.Facts, Options) []Finding {
	return func(f plan.Facts, _ Options) []Finding {
		limit := skewError
		for _, p := range parties(f) {
			for _, m := range p.in.Materials {
				if life := m.Until.Sub(m.From); m.Rotated && life > 0 {
					limit = min(limit, life/4)
				}
			}
		}
		all := []time.Duration{0} // ours
		for _, c := range f.Contexts {
			if c.Skew != nil {
				all = append(all, *c.Skew)
			}
		}
		slices.Sort(all)
		right := all[(len(all)-1)/2]
		if other := all[len(all)/2]; other.Abs() < right.Abs() {
			right = other
		}
		var found []Finding
		judge := func(member, context, who string, off time.Duration) {
			severe := off.Abs() > limit
			if (off.Abs() <= skewWarning && !severe) || severe != bad {
				return
			}
			way := "ahead of"
			if off < 0 {
				way = "behind"
			}
			found = append(found, Finding{Member: member, Context: context, Object: who, Saw: fmt.Sprintf("it is %s %s the others (%s compared)", short(off.Abs()), way, count(len(all), "clock")),
				Remedy: "let it keep its time with NTP"})
		}
		judge("-", "", "the clock of this machine", -right)
		for _, c := range f.Contexts {
			if c.Skew != nil {
				judge(holder(f, c.Name), c.Name, "the clock of the API server", *c.Skew-right)
			}
		}
		return found
	}
}
