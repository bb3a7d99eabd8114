package check

import (
	"fmt"

	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
)

// ownerRules are about who else writes the objects.
var ownerRules = []Rule{
	{find: reverted, Rule: finding.Rule{ID: "XA050", Severity: finding.Error,
		Title:  "a GitOps tool puts changes back",
		Remedy: "Make the change where the tool reads it, or suspend the tool for this object while migrating."}},
	{find: helm, Rule: finding.Rule{ID: "XA051", Severity: finding.Info,
		Title:  "a Helm release re-applies its own values",
		Remedy: "Set the same value in the release's values too, or its next upgrade takes the change back."}},
}

func reverted(l *run) {
	for _, p := range l.subjects() {
		if p.owner == "" {
			continue
		}
		x := l.of(p)
		x.Found = "it is kept by " + p.owner
		x.Remedy = fmt.Sprintf("set %s to %s there, or suspend it for this object", p.in.Field, p.in.Wanted)
	}
}

func helm(l *run) {
	for _, p := range l.subjects() {
		if p.helm == "" {
			continue
		}
		x := l.of(p)
		x.Found = "it belongs to Helm release " + p.helm
		x.Remedy = fmt.Sprintf("once the object says so, set %s to %s in its values", p.in.Field, p.in.Wanted)
	}
}
