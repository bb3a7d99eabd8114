package migration

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// trialIssueStep has Central's new certificate issued once beside the real one, to see what would come. What it makes
// is deleted when it does not do, and when the real one follows. An interruption leaves it to the next run, since
// cert-manager is slow to make again what was just deleted.
func trialIssueStep(who string, h plan.Hub, v classified, lacks []string, goal plan.Goal) plan.Step {
	s := plan.Step{ID: hubStepID("rehearse", who), Kind: "rehearse", Member: who, Verb: "certificate",
		Title:      who + ": have Central's new certificate issued once, beside the real one",
		Why:        "a certificate that one member does not trust cuts it off; nobody is served this one",
		WayBack:    "what it made is deleted",
		Conditions: []plan.Condition{trialIssued(who, v)}, Timeout: goal.Within, Undo: trialCleanUp(h), KeepOnInterrupt: true,
		Effect: func(f *plan.State) {
			h := hubOf(f, who)
			h.TrialIssuer, h.TrialCertificate = h.Issuer, h.Server
			h.TrialIssuer.Ready, h.TrialIssuer.Object.Name = true, state.TrialSecret
			h.TrialCertificate.Names, h.TrialCertificate.Chain = union(h.Server.Names, v.dialled), nil
		}}
	if h.TrialIssuer.Object.Name != "" {
		s.Writes = []plan.Write{{Context: h.Context, Cluster: h.ClusterUID, Object: h.TrialIssuer.Object,
			Before: nest(h.TrialIssuer.Names, "spec"), After: nest(withNames(h.TrialIssuer, lacks), "spec")}}
		return s
	}
	spec := map[string]any{}
	maps.Copy(spec, h.Issuer.Spec)
	delete(spec, "secretTemplate")
	maps.Copy(spec, withNames(h.Issuer, lacks))
	spec["secretName"] = state.TrialSecret
	ref := trialRef(h)
	s.Writes = []plan.Write{{Context: h.Context, Cluster: h.ClusterUID, Object: ref, Op: plan.OpCreate,
		After: map[string]any{
			"apiVersion": "cert-manager.io/v1", "kind": "Certificate",
			"metadata": map[string]any{"name": ref.Name, "namespace": ref.Namespace}, "spec": spec}}}
	return s
}

// trialIssued wants the trial to be issued, and to be one that could replace the real certificate.
func trialIssued(who string, v classified) plan.Condition {
	v = classified{dialled: slices.Clone(v.dialled)}
	return plan.Condition{Kind: "rehearsed", Member: who,
		Text: "every member would trust it, it has every name that is dialled, and keeps the SPIFFE ID and the usages of the old one",
		Met: func(before, now plan.State) plan.Evaluation {
			h, old := hubs(now)[who], hubs(before)[who]
			if h.TrialCertificate.Where == "" || h.TrialCertificate.Err != "" || !h.TrialIssuer.Ready {
				return plan.Evaluation{Evidence: "cert-manager has not issued it yet"}
			}
			if why := cannotReplace(h.TrialCertificate, old, now, v); why != "" {
				return plan.Evaluation{Evidence: why, Hopeless: len(state.NamesMissingFrom(h.TrialCertificate, v.dialled)) == 0}
			}
			return plan.Evaluation{Met: true, Evidence: "everybody would trust it, under every name that is dialled"}
		}}
}

// trialPassed says whether the rehearsed certificate is there and could replace the real one.
func trialPassed(h plan.Hub, f plan.State, v classified) bool {
	return h.TrialIssuer.Ready && h.TrialCertificate.Where != "" && h.TrialCertificate.Err == "" &&
		cannotReplace(h.TrialCertificate, h, f, v) == ""
}

// trialHolds is how long a rehearsal is believed: whoever signs may change. It is longer than a CA dates certificates
// back.
const trialHolds = 24 * time.Hour

// trialStale says whether the rehearsal that is there was signed by somebody else than the real Certificate asks for
// now, or for other usages; or is old. What else differs may be what the API server filled in.
func trialStale(h plan.Hub, f plan.State) bool {
	if h.TrialIssuer.Object.Name == "" {
		return false
	}
	asked, tried := h.Issuer.Spec, h.TrialIssuer.Spec
	return issuerName(asked) != issuerName(tried) || !reflect.DeepEqual(asked["usages"], tried["usages"]) ||
		!reflect.DeepEqual(asked["uris"], tried["uris"]) ||
		(h.TrialCertificate.Where != "" && h.TrialCertificate.Err == "" && f.At.Sub(h.TrialCertificate.Began) > trialHolds)
}

// issuerName is an issuerRef in a word, with what it means when it does not say so.
func issuerName(spec map[string]any) string {
	word := func(key string) string {
		v, _ := state.Field(spec, "issuerRef", key).(string)
		return v
	}
	return cmp.Or(word("group"), "cert-manager.io") + " " + cmp.Or(word("kind"), "Issuer") + " " + word("name")
}

// trialSpec is the names of the real Certificate, with what else the rehearsal has shown: a write that is held to it
// is refused once another issuer, or other usages, are asked for.
func trialSpec(i plan.Issuer, names map[string]any) map[string]any {
	spec := maps.Clone(names)
	for _, key := range []string{"issuerRef", "usages", "uris"} {
		if v, there := i.Spec[key]; there {
			spec[key] = v
		}
	}
	return nest(spec, "spec")
}

// removeTrialStep deletes a trial of which nothing follows.
func removeTrialStep(who string, h plan.Hub, why string, goal plan.Goal) plan.Step {
	return plan.Step{ID: hubStepID("tidy", who), Kind: "certify", Member: who, Verb: "certificate",
		Title: who + ": delete the rehearsed certificate", Why: why, WayBack: "none needed: it only adds names",
		Writes: trialCleanUp(h), NoUndo: true, Timeout: goal.Within, Effect: trialRemoved(who)}
}

// trialCleanUp deletes what a trial made.
func trialCleanUp(h plan.Hub) []plan.Write {
	made := plan.Ref{Version: "v1", Resource: "secrets", Kind: "Secret", Namespace: h.Object.Namespace,
		Name: state.TrialSecret}
	return []plan.Write{
		{Context: h.Context, Cluster: h.ClusterUID, Object: trialRef(h), Op: plan.OpDelete},
		{Context: h.Context, Cluster: h.ClusterUID, Object: made, Op: plan.OpDelete},
	}
}

func trialRef(h plan.Hub) plan.Ref {
	r := h.Issuer.Object
	r.Name, r.UID, r.ResourceVersion = state.TrialSecret, "", ""
	return r
}

// trialRemoved predicts a hub without a trial.
func trialRemoved(who string) func(*plan.State) {
	return func(f *plan.State) {
		h := hubOf(f, who)
		h.TrialIssuer, h.TrialCertificate = plan.Issuer{}, plan.Certificate{}
	}
}
