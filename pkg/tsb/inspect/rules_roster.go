package inspect

import (
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/check"
	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
)

// rosterRules are about what is ours in the hub.
var rosterRules = []check.Rule{
	{Find: unguarded, Rule: finding.Rule{ID: "XA070", Severity: finding.Info,
		Title:  "the admission webhook is not installed",
		Remedy: "Apply what `kubectl xcpauth install webhook` prints, so that dangerous edits by anybody are denied."}},
	{Find: unstated, Rule: finding.Rule{ID: "XA071", Severity: finding.Info,
		Title:  "no statement about a member is believed",
		Remedy: "Run `kubectl xcpauth migrate`, which states each member once it is verified, or `kubectl xcpauth edge publish`."}},
	{Find: unlisted, Rule: finding.Rule{ID: "XA073", Severity: finding.Error,
		Title:  "the roster or the hub's inventory cannot be read",
		Remedy: "Fix the reason that is named; until then anybody may be a member, so mutual TLS stays on."}},
	{Find: impostor, Rule: finding.Rule{ID: "XA074", Severity: finding.Error,
		Title:  "the roster's entry is another cluster's",
		Remedy: "Forget the entry of the cluster that is gone, or leave out the context of the one that is wrong."}},
}

func unguarded(l *check.Pass) {
	if in := l.Hub.Inspection; !l.Hub.Found || in == nil || in.Guarded == nil || *in.Guarded {
		return
	}
	x := l.AtHub()
	x.Object, x.Found = "ValidatingWebhookConfiguration xcpauth-webhook",
		"it is not there or has no entry, so nothing denies dangerous edits of others"
	x.Remedy, x.Command = "install it", l.Xcpauth("install", "webhook", "--apply", "--wait")
}

// unstated says once that there is no roster, or of each member that nothing is believed of it.
func unstated(l *check.Pass) {
	r := l.Hub.Roster
	if !l.Hub.Found || r.Err != "" {
		return
	}
	if !r.Kind || !r.Namespace {
		x := l.AtHub()
		x.Object, x.Found = "the roster", "it is not installed, so nobody is registered"
		x.Remedy, x.Command = "the first step of a migration installs it and registers every member", l.Xcpauth("plan")
		return
	}
	for _, m := range l.Everyone() {
		saw := ""
		switch st := m.Statement; {
		case !m.Registered:
			saw = "it is not registered"
		case st == nil:
			saw = "nothing was stated yet"
		case st.Invalid != "":
			saw = "its statement is void: " + st.Invalid
		case !l.At.Before(st.Until):
			saw = "its statement, by " + st.Source + ", was believed until " + st.Until.Format(time.RFC3339)
		default:
			continue
		}
		x := l.Say(m.Name, m.Context, "EdgeCluster "+m.Name)
		x.Found = saw
		if !m.Registered {
			x.Remedy, x.Command = "the first step of a migration registers it", l.Xcpauth("plan")
			continue
		}
		x.Remedy, x.Command = "verify it again, when mutual TLS is to be turned off", l.Xcpauth("edge", "publish", m.Name)
	}
}

func unlisted(l *check.Pass) {
	for _, why := range []string{l.Hub.Roster.Err, l.Hub.InventoryErr} {
		if why != "" && l.Hub.Found {
			x := l.AtHub()
			x.Found, x.Remedy = why, "fix that reason"
		}
	}
}

func impostor(l *check.Pass) {
	for _, m := range l.Everyone() {
		if m.Inspection == nil || m.Inspection.Impostor == "" {
			continue
		}
		x := l.About(m)
		x.Found = m.Inspection.Impostor
		x.Remedy = "forget the one that is gone"
		x.Command = l.Xcpauth("edge", "forget", m.Name, "--reason", "replaced by another cluster")
	}
}
