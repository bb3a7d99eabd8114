package check

import "github.com/xcpauth/kubectl-xcpauth/pkg/finding"

// inFlightRules are about what a run left.
var inFlightRules = []Rule{
	{Find: inFlight, Rule: finding.Rule{ID: "XA072", Severity: finding.Warning,
		Title:  "an interrupted run left a wave in flight",
		Remedy: "Run `kubectl xcpauth migrate`: it first restores that wave."}},
}

func inFlight(l *Pass) {
	if l.Hub.InFlight == "" {
		return
	}
	x := l.AtHub()
	if l.Hub.JournalErr != "" {
		x.Object = "the journal"
		x.Found = l.Hub.JournalErr + ", so it is not known whether an interrupted run left a wave in flight"
		x.Remedy = "get the right to read it, or look at it"
		return
	}
	x.Object, x.Found = "the journal", l.Hub.InFlight+", was interrupted or is still running"
	x.Remedy, x.Command = "let a run restore it, when no other one is running", l.Xcpauth("migrate")
}
