package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// versionRules are about releases and the operators that carry changes out.
var versionRules = []Rule{
	{ID: "XA040", Title: "the product is too old for JWTs", Severity: Error, find: tooOld,
		Mend: "Upgrade it first, as its own documentation says."},
	{ID: "XA041", Title: "the product's version cannot be told", Severity: Info, find: noVersion,
		Mend: "See what is installed: `tctl version`. TSB older than 1.4 has no JWTs."},
	{ID: "XA042", Title: "an operator is being upgraded", Severity: Warning, find: unsettled,
		Mend: "Wait until its rollout is over, or mend what keeps it."},
	{ID: "XA043", Title: "an operator is asleep", Severity: Error, find: operatorAsleep,
		Mend: "Scale it up: without it no change of the object has any effect, and no token is renewed."},
	{ID: "XA044", Title: "an operator is of another version than its object", Severity: Warning, find: halfUpgraded,
		Mend: "Finish the upgrade of that plane, its object included, before migrating."},
	{ID: "XA045", Title: "an edge is of another release than the hub", Severity: Warning, find: releasesDiffer,
		Mend: "Finish upgrading, or see in the product's notes that the two releases work together."},
	{ID: "XA046", Title: "an operator is not where it should be", Severity: Warning, find: noOperator,
		Mend: "Find out where it runs: without it no change of the object has any effect, and no token is renewed."},
}

func tooOld(l *look) {
	for _, p := range l.parties() {
		for _, v := range versions(p) {
			if v.TooOld == "" {
				continue
			}
			x := l.of(p)
			x.Saw = fmt.Sprintf("%s says %s; JWTs need %s", v.Source, v.Text, v.TooOld)
			x.Remedy = "upgrade to " + v.TooOld + " or newer first"
			break
		}
	}
}

func versions(p *party) []plan.Version {
	all := []plan.Version{p.in.Version}
	if p.in.Operator != nil {
		all = append(all, p.in.Operator.Version)
	}
	return all
}

// noVersion leaves MPC out, which is of the hub's version.
func noVersion(l *look) {
	for _, p := range l.parties() {
		if p.in.Operator == nil || slices.ContainsFunc(versions(p), func(v plan.Version) bool { return v.Text != "" }) {
			continue
		}
		x := l.of(p)
		x.Saw, x.Remedy = "neither its labels nor the image of its operator tell", "see what is installed; 1.4 is the first release with JWTs"
		x.Command = command("tctl", "version")
	}
}

func unsettled(l *look) {
	for _, p := range l.parties() {
		op := p.in.Operator
		if op == nil || !op.Workload.Found || op.Workload.Replicas == 0 || op.Workload.Settled || op.Workload.Err != "" {
			continue
		}
		x := l.of(p)
		x.Object, x.Saw = "Deployment "+op.Where, "its rollout is not over"
		for _, pod := range op.Workload.Processes {
			if pod.Waiting != "" {
				x.Saw += fmt.Sprintf("; pod %s waits: %s", pod.Name, pod.Waiting)
			}
		}
		x.Remedy, x.Command = "wait until it is over", rollout(p, op)
	}
}

func rollout(p *party, op *plan.Operator) string {
	ns, name, _ := strings.Cut(op.Where, "/")
	return kubectl(p.context, ns, "rollout", "status", "deployment/"+name)
}

func operatorAsleep(l *look) {
	for _, p := range l.parties() {
		op := p.in.Operator
		if op == nil || op.Workload.Err != "" || !op.Workload.Found || op.Workload.Replicas > 0 {
			continue
		}
		ns, name, _ := strings.Cut(op.Where, "/")
		x := l.of(p)
		x.Object, x.Saw, x.Remedy = "Deployment "+op.Where, "it is scaled to 0", "scale it up"
		x.Command = kubectl(p.context, ns, "scale", "deployment/"+name, "--replicas=1")
	}
}

func noOperator(l *look) {
	for _, p := range l.parties() {
		op := p.in.Operator
		if op == nil || op.Workload.Err != "" || op.Workload.Found {
			continue
		}
		x := l.of(p)
		x.Object, x.Saw = "Deployment "+op.Where, "it is not there"
		x.Remedy = "find out where it runs; if nowhere, install it, as the product's documentation says"
	}
}

func halfUpgraded(l *look) {
	for _, p := range l.parties() {
		op := p.in.Operator
		if op == nil || op.Version.Text == "" || p.in.Version.Text == "" || op.Version.Text == p.in.Version.Text {
			continue
		}
		x := l.of(p)
		x.Saw = fmt.Sprintf("%s says %s, and %s says %s", p.in.Version.Source, p.in.Version.Text, op.Version.Source, op.Version.Text)
		x.Remedy, x.Command = "finish the upgrade first", rollout(p, op)
	}
}

// releasesDiffer compares major and minor; patches of one release work together.
func releasesDiffer(l *look) {
	var hub string
	for _, p := range l.parties() {
		if p.in.Operator == nil {
			continue
		}
		r := release(p)
		switch {
		case p.member == nil:
			hub = r
		case hub != "" && r != "" && r != hub:
			x := l.of(p)
			x.Saw, x.Remedy = fmt.Sprintf("the edge is of release %s, and the hub of %s", r, hub), "finish upgrading before migrating"
		}
	}
}

// release is major.minor of what runs, else of what is declared.
func release(p *party) string {
	all := versions(p)
	slices.Reverse(all)
	for _, v := range all {
		if parts := strings.SplitN(strings.TrimPrefix(v.Text, "v"), ".", 3); len(parts) >= 2 {
			minor, _, _ := strings.Cut(parts[1], "-")
			return parts[0] + "." + minor
		}
	}
	return ""
}
