package check

import (
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// rosterRules are about what is ours in the hub.
var rosterRules = []Rule{
	{ID: "XA070", Title: "the admission webhook is not installed", Severity: Info, find: unguarded,
		Mend: "Apply `manifests/overlays/self-signed`, so that dangerous edits by anybody are denied."},
	{ID: "XA071", Title: "no statement about a member is believed", Severity: Info, find: unstated,
		Mend: "Run `kubectl xcpauth migrate`, which states each member once it is proved, or `kubectl xcpauth edge publish`."},
	{ID: "XA072", Title: "an interrupted run left a wave in flight", Severity: Warning, find: inFlight,
		Mend: "Run `kubectl xcpauth migrate`: it first restores that wave."},
	{ID: "XA073", Title: "the roster or the hub's inventory cannot be read", Severity: Error, find: unlisted,
		Mend: "Mend the reason that is named; until then anybody may be a member, so mutual TLS stays on."},
	{ID: "XA074", Title: "the roster's entry is another cluster's", Severity: Error, find: impostor,
		Mend: "Forget the entry of the cluster that is gone, or leave out the context of the one that is wrong."},
}

func unguarded(f plan.Facts, _ Options) []Finding {
	if in := f.Hub.Inspection; !f.Hub.Found || in == nil || in.Guarded == nil || *in.Guarded {
		return nil
	}
	x := aboutHub(f)
	x.Object, x.Saw = "ValidatingWebhookConfiguration xcpauth-webhook", "it is not there, so nothing denies dangerous edits of others"
	x.Remedy, x.Command = "install it", command("kubectl", "--context", f.Hub.Context, "apply", "-k", "manifests/overlays/self-signed")
	return []Finding{x}
}

// unstated says once that there is no roster, or of each member that nothing is believed of it.
func unstated(f plan.Facts, _ Options) []Finding {
	r := f.Hub.Roster
	if !f.Hub.Found || r.Err != "" {
		return nil
	}
	if !r.Kind || !r.Namespace {
		x := aboutHub(f)
		x.Object, x.Saw = "the roster", "it is not installed, so nobody is registered"
		x.Remedy, x.Command = "the first step of a migration installs it and registers every member", command("kubectl", "xcpauth", "plan", "--context", f.Hub.Context)
		return []Finding{x}
	}
	var found []Finding
	for _, m := range f.Members {
		x := Finding{Member: m.Name, Context: m.Context, Object: "EdgeCluster " + m.Name}
		switch st := m.Statement; {
		case !m.Registered:
			x.Saw = "it is not registered"
		case st == nil:
			x.Saw = "nothing was stated yet"
		case st.Void != "":
			x.Saw = "its statement is void: " + st.Void
		case !f.At.Before(st.Until):
			x.Saw = "its statement, by " + st.Source + ", was believed until " + st.Until.Format(time.RFC3339)
		default:
			continue
		}
		x.Remedy, x.Command = "prove it again, when mutual TLS is to be turned off", command("kubectl", "xcpauth", "edge", "publish", m.Name, "--context", f.Hub.Context)
		found = append(found, x)
	}
	return found
}

func inFlight(f plan.Facts, _ Options) []Finding {
	if f.Hub.InFlight == "" {
		return nil
	}
	x := aboutHub(f)
	x.Object, x.Saw = "the journal", f.Hub.InFlight+", was interrupted or is still running"
	x.Remedy, x.Command = "let a run restore it, when no other one is running", command("kubectl", "xcpauth", "migrate", "--context", f.Hub.Context)
	return []Finding{x}
}

func unlisted(f plan.Facts, _ Options) []Finding {
	var found []Finding
	for _, why := range []string{f.Hub.Roster.Err, f.Hub.InventoryErr} {
		if why != "" && f.Hub.Found {
			x := aboutHub(f)
			x.Saw, x.Remedy = why, "mend that reason"
			found = append(found, x)
		}
	}
	return found
}

func impostor(f plan.Facts, _ Options) []Finding {
	var found []Finding
	for _, m := range f.Members {
		if m.Inspection == nil || m.Inspection.Impostor == "" {
			continue
		}
		x := about(m)
		x.Saw = m.Inspection.Impostor
		x.Remedy = "forget the one that is gone"
		x.Command = command("kubectl", "xcpauth", "edge", "forget", m.Name, "--context", f.Hub.Context, "--reason", "replaced by another cluster")
		found = append(found, x)
	}
	return found
}
