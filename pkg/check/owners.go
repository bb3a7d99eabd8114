package check

import (
	"fmt"
)

// ownerRules are about who else writes the objects.
var ownerRules = []Rule{
	{ID: "XA050", Title: "a GitOps tool puts changes back", Severity: Error, find: reverted,
		Remedy: "Make the change where the tool reads it, or suspend the tool for this object while migrating."},
	{ID: "XA051", Title: "a Helm release re-applies its own values", Severity: Info, find: helm,
		Remedy: "Set the same value in the release's values too, or its next upgrade takes the change back."},
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
