package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// versionRules are about releases and the operators that carry changes out.
var versionRules = []Rule{
	{find: tooOld, Rule: finding.Rule{ID: "XA040", Severity: finding.Error,
		Title:  "the product is too old for JWTs",
		Remedy: "Upgrade it first, as its own documentation says."}},
	{find: noVersion, Rule: finding.Rule{ID: "XA041", Severity: finding.Info,
		Title:  "the product's version cannot be told",
		Remedy: "See what is installed: `tctl version`. TSB older than 1.4 has no JWTs."}},
	{find: unsettled, Rule: finding.Rule{ID: "XA042", Severity: finding.Warning,
		Title:  "an operator is being upgraded",
		Remedy: "Wait until its rollout is over, or fix what keeps it."}},
	{find: operatorAsleep, Rule: finding.Rule{ID: "XA043", Severity: finding.Error,
		Title:  "an operator is asleep",
		Remedy: "Scale it up: without it no change of the object has any effect, and no token is renewed."}},
	{find: halfUpgraded, Rule: finding.Rule{ID: "XA044", Severity: finding.Warning,
		Title:  "an operator is of another version than its object",
		Remedy: "Finish the upgrade of that plane, its object included, before migrating."}},
	{find: releasesDiffer, Rule: finding.Rule{ID: "XA045", Severity: finding.Warning,
		Title:  "an edge is of another release than the hub",
		Remedy: "Finish upgrading, or see in the product's notes that the two releases work together."}},
	{find: noOperator, Rule: finding.Rule{ID: "XA046", Severity: finding.Warning,
		Title:  "an operator is not where it should be",
		Remedy: "Find out where it runs: without it no change of the object has any effect, and no token is renewed."}},
}

func tooOld(l *run) {
	for _, p := range l.subjects() {
		for _, v := range versions(p) {
			if v.TooOld == "" {
				continue
			}
			x := l.of(p)
			x.Found = fmt.Sprintf("%s says %s; JWTs need %s", v.Source, v.Text, v.TooOld)
			x.Remedy = "upgrade to " + v.TooOld + " or newer first"
			break
		}
	}
}

func versions(p *subject) []plan.Version {
	all := []plan.Version{p.in.Version}
	if p.in.Operator != nil {
		all = append(all, p.in.Operator.Version)
	}
	return all
}

// noVersion leaves MPC out, which is of the hub's version.
func noVersion(l *run) {
	for _, p := range l.subjects() {
		if p.in.Operator == nil || slices.ContainsFunc(versions(p), func(v plan.Version) bool { return v.Text != "" }) {
			continue
		}
		x := l.of(p)
		x.Found, x.Remedy = "neither its labels nor the image of its operator tell", "see what is installed; 1.4 is the first release with JWTs"
		x.Command = command("tctl", "version")
	}
}

func unsettled(l *run) {
	for _, p := range l.subjects() {
		op := p.in.Operator
		if op == nil || !op.Workload.Found || op.Workload.Replicas == 0 || op.Workload.Settled || op.Workload.Err != "" {
			continue
		}
		x := l.of(p)
		x.Object, x.Found = "Deployment "+op.Where, "its rollout is not over"
		for _, pod := range op.Workload.Processes {
			if pod.Waiting != "" {
				x.Found += fmt.Sprintf("; pod %s waits: %s", pod.Name, pod.Waiting)
			}
		}
		x.Remedy, x.Command = "wait until it is over", rollout(p, op)
	}
}

func rollout(p *subject, op *plan.Operator) string {
	ns, name, _ := strings.Cut(op.Where, "/")
	return kubectl(p.context, ns, "rollout", "status", "deployment/"+name)
}

func operatorAsleep(l *run) {
	for _, p := range l.subjects() {
		op := p.in.Operator
		if op == nil || op.Workload.Err != "" || !op.Workload.Found || op.Workload.Replicas > 0 {
			continue
		}
		ns, name, _ := strings.Cut(op.Where, "/")
		x := l.of(p)
		x.Object, x.Found, x.Remedy = "Deployment "+op.Where, "it is scaled to 0", "scale it up"
		x.Command = kubectl(p.context, ns, "scale", "deployment/"+name, "--replicas=1")
	}
}

func noOperator(l *run) {
	for _, p := range l.subjects() {
		op := p.in.Operator
		if op == nil || op.Workload.Err != "" || op.Workload.Found {
			continue
		}
		x := l.of(p)
		x.Object, x.Found = "Deployment "+op.Where, "it is not there"
		x.Remedy = "find out where it runs; if nowhere, install it, as the product's documentation says"
	}
}

func halfUpgraded(l *run) {
	for _, p := range l.subjects() {
		op := p.in.Operator
		if op == nil || op.Version.Text == "" || p.in.Version.Text == "" || op.Version.Text == p.in.Version.Text {
			continue
		}
		x := l.of(p)
		x.Found = fmt.Sprintf("%s says %s, and %s says %s", p.in.Version.Source, p.in.Version.Text, op.Version.Source, op.Version.Text)
		x.Remedy, x.Command = "finish the upgrade first", rollout(p, op)
	}
}

// releasesDiffer compares major and minor; patches of one release work together.
func releasesDiffer(l *run) {
	var hub string
	for _, p := range l.subjects() {
		if p.in.Operator == nil {
			continue
		}
		r := release(p)
		switch {
		case p.member == nil:
			hub = r
		case hub != "" && r != "" && r != hub:
			x := l.of(p)
			x.Found, x.Remedy = fmt.Sprintf("the edge is of release %s, and the hub of %s", r, hub), "finish upgrading before migrating"
		}
	}
}

// release is major.minor of what runs, else of what is declared.
func release(p *subject) string {
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
