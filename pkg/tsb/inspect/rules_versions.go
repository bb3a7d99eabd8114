package inspect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/check"
	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// versionRules are about releases and the operators that carry changes out.
var versionRules = []check.Rule{
	{Find: tooOld, Rule: finding.Rule{ID: "XA040", Severity: finding.Error,
		Title:  "the product is too old for JWTs",
		Remedy: "Upgrade it first, as its own documentation says."}},
	{Find: noVersion, Rule: finding.Rule{ID: "XA041", Severity: finding.Info,
		Title:  "the product's version cannot be told",
		Remedy: "See what is installed: `tctl version`. TSB older than 1.4 has no JWTs."}},
	{Find: unsettled, Rule: finding.Rule{ID: "XA042", Severity: finding.Warning,
		Title:  "an operator is being upgraded",
		Remedy: "Wait until its rollout is over, or fix what keeps it."}},
	{Find: operatorAsleep, Rule: finding.Rule{ID: "XA043", Severity: finding.Error,
		Title:  "an operator is asleep",
		Remedy: "Scale it up: without it no change of the object has any effect, and no token is renewed."}},
	{Find: halfUpgraded, Rule: finding.Rule{ID: "XA044", Severity: finding.Warning,
		Title:  "an operator is of another version than its object",
		Remedy: "Finish the upgrade of that plane, its object included, before migrating."}},
	{Find: releasesDiffer, Rule: finding.Rule{ID: "XA045", Severity: finding.Warning,
		Title:  "an edge is of another release than the hub",
		Remedy: "Finish upgrading, or see in the product's notes that the two releases work together."}},
	{Find: noOperator, Rule: finding.Rule{ID: "XA046", Severity: finding.Warning,
		Title:  "an operator is not where it should be",
		Remedy: "Find out where it runs: without it no change of the object has any effect, and no token is renewed."}},
}

func tooOld(l *check.Pass) {
	for _, p := range l.Subjects() {
		for _, v := range versions(p) {
			if v.TooOld == "" {
				continue
			}
			x := l.Of(p)
			x.Found = fmt.Sprintf("%s says %s; JWTs need %s", v.Source, v.Text, v.TooOld)
			x.Remedy = "upgrade to " + v.TooOld + " or newer first"
			break
		}
	}
}

// noVersion leaves MPC out, which is of the hub's version.
func noVersion(l *check.Pass) {
	for _, p := range l.Subjects() {
		if p.In.Operator == nil || slices.ContainsFunc(versions(p), func(v plan.Version) bool { return v.Text != "" }) {
			continue
		}
		x := l.Of(p)
		x.Found, x.Remedy = "neither its labels nor the image of its operator tell",
			"see what is installed; 1.4 is the first release with JWTs"
		x.Command = check.Command("tctl", "version")
	}
}

func unsettled(l *check.Pass) {
	for _, p := range l.Subjects() {
		op := p.In.Operator
		if op == nil || !op.Workload.Found || op.Workload.Replicas == 0 || op.Workload.Settled || op.Workload.Err != "" {
			continue
		}
		x := l.Of(p)
		x.Object, x.Found = "Deployment "+op.Where, "its rollout is not over"
		for _, pod := range op.Workload.Processes {
			if pod.Waiting != "" {
				x.Found += fmt.Sprintf("; pod %s waits: %s", pod.Name, pod.Waiting)
			}
		}
		x.Remedy, x.Command = "wait until it is over", rollout(p, op)
	}
}

func operatorAsleep(l *check.Pass) {
	for _, p := range l.Subjects() {
		op := p.In.Operator
		if op == nil || op.Workload.Err != "" || !op.Workload.Found || op.Workload.Replicas > 0 {
			continue
		}
		ns, name, _ := strings.Cut(op.Where, "/")
		x := l.Of(p)
		x.Object, x.Found, x.Remedy = "Deployment "+op.Where, "it is scaled to 0", "scale it up"
		x.Command = check.Kubectl(p.Context, ns, "scale", "deployment/"+name, "--replicas=1")
	}
}

func noOperator(l *check.Pass) {
	for _, p := range l.Subjects() {
		op := p.In.Operator
		if op == nil || op.Workload.Err != "" || op.Workload.Found {
			continue
		}
		x := l.Of(p)
		x.Object, x.Found = "Deployment "+op.Where, "it is not there"
		x.Remedy = "find out where it runs; if nowhere, install it, as the product's documentation says"
	}
}

func halfUpgraded(l *check.Pass) {
	for _, p := range l.Subjects() {
		op := p.In.Operator
		if op == nil || op.Version.Text == "" || p.In.Version.Text == "" || op.Version.Text == p.In.Version.Text {
			continue
		}
		x := l.Of(p)
		x.Found = fmt.Sprintf("%s says %s, and %s says %s", p.In.Version.Source, p.In.Version.Text, op.Version.Source,
			op.Version.Text)
		x.Remedy, x.Command = "finish the upgrade first", rollout(p, op)
	}
}

func rollout(p *check.Subject, op *plan.Operator) string {
	ns, name, _ := strings.Cut(op.Where, "/")
	return check.Kubectl(p.Context, ns, "rollout", "status", "deployment/"+name)
}

// releasesDiffer compares major and minor; patches of one release work together.
func releasesDiffer(l *check.Pass) {
	var hub string
	for _, p := range l.Subjects() {
		if p.In.Operator == nil {
			continue
		}
		r := release(p)
		switch {
		case p.Member == nil:
			hub = r
		case hub != "" && r != "" && r != hub:
			x := l.Of(p)
			x.Found, x.Remedy = fmt.Sprintf("the edge is of release %s, and the hub of %s", r, hub),
				"finish upgrading before migrating"
		}
	}
}

// release is major.minor of what runs, else of what is declared.
func release(p *check.Subject) string {
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

func versions(p *check.Subject) []plan.Version {
	all := []plan.Version{p.In.Version}
	if p.In.Operator != nil {
		all = append(all, p.In.Operator.Version)
	}
	return all
}
