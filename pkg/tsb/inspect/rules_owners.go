package inspect

import (
	"fmt"

	"github.com/xcpauth/kubectl-xcpauth/pkg/check"
	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
)

// ownerRules are about who else writes the objects.
var ownerRules = []check.Rule{
	{Find: reverted, Rule: finding.Rule{ID: "XA050", Severity: finding.Error,
		Title:  "a GitOps tool puts changes back",
		Remedy: "Make the change where the tool reads it, or suspend the tool for this object while migrating."}},
	{Find: helm, Rule: finding.Rule{ID: "XA051", Severity: finding.Info,
		Title:  "a Helm release re-applies its own values",
		Remedy: "Set the same value in the release's values too, or its next upgrade takes the change back."}},
}

func reverted(l *check.Pass) {
	for _, p := range l.Subjects() {
		if p.Owner == "" {
			continue
		}
		x := l.Of(p)
		x.Found = "it is kept by " + p.Owner
		x.Remedy = fmt.Sprintf("set %s to %s there, or suspend it for this object", p.In.Field, p.In.Wanted)
	}
}

func helm(l *check.Pass) {
	for _, p := range l.Subjects() {
		if p.Helm == "" {
			continue
		}
		x := l.Of(p)
		x.Found = "it belongs to Helm release " + p.Helm
		x.Remedy = fmt.Sprintf("once the object says so, set %s to %s in its values", p.In.Field, p.In.Wanted)
	}
}
