package inspect

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/check"
	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// modeRules are about what is declared, and what came of it.
var modeRules = []check.Rule{
	{Find: refused, Rule: finding.Rule{ID: "XA010", Severity: finding.Error,
		Title:  "the hub does not accept what a member presents",
		Remedy: "Run `kubectl xcpauth migrate`: it first makes the hub accept both again."}},
	{Find: hubImplicit, Rule: finding.Rule{ID: "XA011", Severity: finding.Warning,
		Title:  "the hub does not say what it accepts",
		Remedy: "Run `kubectl xcpauth migrate`, whose first step writes both modes explicitly."}},
	{Find: memberImplicit, Rule: finding.Rule{ID: "XA012", Severity: finding.Warning,
		Title:  "a member does not say what it presents",
		Remedy: "Write the mode that it has now explicitly."}},
	{Find: anomalies(false, false), Rule: finding.Rule{ID: "XA013", Severity: finding.Error,
		Title:  "an object is not written as documented",
		Remedy: "Edit the path that is named. Until then what it touches is unknown, and nothing is changed there."}},
	{Find: anomalies(true, false), Rule: finding.Rule{ID: "XA014", Severity: finding.Error,
		Title:  "an overlay reaches authentication behind the typed field",
		Remedy: "Remove the patch, and set the typed field instead."}},
	{Find: anomalies(true, true), Rule: finding.Rule{ID: "XA015", Severity: finding.Info,
		Title:  "an overlay moves the server's name or its CA",
		Remedy: "Nothing; it is documented. The certificate is checked against what the overlay says."}},
	{Find: notTaken, Rule: finding.Rule{ID: "XA016", Severity: finding.Warning,
		Title:  "the operator has not taken a declared mode over",
		Remedy: "Look at the operator of that cluster, whether it runs, and what its log says."}},
}

func refused(l *check.Pass) {
	for _, m := range l.Everyone() {
		if m.Err != "" {
			continue
		}
		presents := slices.Clone(m.Evidence.Presents)
		if presents == nil && m.Declared != "" {
			presents = []guard.Cred{m.Declared}
		}
		for _, c := range presents {
			if l.Hub.Accepts.Accepts[c] != guard.No {
				continue
			}
			x := l.About(m)
			x.Found = fmt.Sprintf("it presents %s (%s), and %s does not accept that", c, m.Evidence.Why, l.Hub.Object)
			x.Remedy, x.Command = "make the hub accept both again", l.Xcpauth("migrate")
		}
	}
}

func hubImplicit(l *check.Pass) {
	var unknown []string
	for _, c := range slices.Sorted(maps.Keys(l.Hub.Accepts.Accepts)) {
		if l.Hub.Accepts.Accepts[c] == guard.Unknown {
			unknown = append(unknown, string(c))
		}
	}
	if !l.Hub.Found || len(unknown) == 0 || len(l.Hub.Anomalies) > 0 {
		return
	}
	x := l.AtHub()
	x.Found = fmt.Sprintf("whether it accepts %s is not written; the product's pages and charts disagree on what that means", strings.Join(unknown, " and "))
	x.Remedy, x.Command = "write both modes explicitly", l.Xcpauth("plan")
}

func memberImplicit(l *check.Pass) {
	for _, m := range l.Everyone() {
		if m.Err != "" || m.Role != plan.RoleEdge || m.Declared != "" || len(m.Anomalies) > 0 {
			continue
		}
		x := l.About(m)
		x.Found, x.Remedy = "it sets no mode, and EdgeXcp does not tell the effective one",
			"write MUTUAL_TLS or JWT, whichever it presents now"
		if m.Effective != "" {
			x.Found = fmt.Sprintf("it sets no mode; the effective one is %s", m.Effective)
		}
		x.Command = check.Edit(m.Context, m.Object)
	}
}

// anomalies reports anomalies: those of overlays or of fields, those that the product documents or does not.
func anomalies(overlay, documented bool) func(*check.Pass) {
	return func(l *check.Pass) {
		for _, p := range l.Subjects() {
			for _, o := range p.In.Anomalies {
				if o.Overlay != overlay || o.Documented != documented {
					continue
				}
				x := l.Of(p)
				x.Object, x.Found = x.Object+" "+o.Path, fmt.Sprintf("it is %s: %s", o.Value, o.Consequence)
				x.Remedy, x.Command = "edit it; keep a backup of the object", check.Edit(p.Context, p.Object)
				if documented {
					x.Remedy, x.Command = "nothing, if that is meant", ""
				}
			}
		}
	}
}

func notTaken(l *check.Pass) {
	for _, m := range l.Everyone() {
		if m.Err != "" || m.Declared == "" || m.Effective == "" || m.Declared == m.Effective {
			continue
		}
		x := l.About(m)
		x.Found = fmt.Sprintf("it says %s, and EdgeXcp says %s", m.Declared, m.Effective)
		x.Remedy = "look at the operator, which should have taken it over within seconds"
		if op := m.Inspection; op != nil && op.Operator != nil {
			_, name, _ := strings.Cut(op.Operator.Where, "/")
			x.Command = check.Kubectl(m.Context, m.Object.Namespace, "logs", "deployment/"+name, "--tail=200")
		}
	}
}
