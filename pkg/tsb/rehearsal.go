package tsb

import (
	"cmp"
	"maps"
	"reflect"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// trialPassed says whether the rehearsed certificate is there and could replace the real one.
func trialPassed(h plan.Hub, f plan.State, v classified) bool {
	return h.TrialIssuer.Ready && h.TrialCertificate.Where != "" && h.TrialCertificate.Err == "" && cannotReplace(h.TrialCertificate, h, f, v) == ""
}

// trialHolds is how long a rehearsal is believed: whoever signs may change. It is longer than a CA dates certificates back.
const trialHolds = 24 * time.Hour

// trialStale says whether the rehearsal that is there was signed by somebody else than the real Certificate asks for now, or for other
// usages; or is old. What else differs may be what the API server filled in.
func trialStale(h plan.Hub, f plan.State) bool {
	if h.TrialIssuer.Object.Name == "" {
		return false
	}
	asked, tried := h.Issuer.Spec, h.TrialIssuer.Spec
	return issuerName(asked) != issuerName(tried) || !reflect.DeepEqual(asked["usages"], tried["usages"]) || !reflect.DeepEqual(asked["uris"], tried["uris"]) ||
		(h.TrialCertificate.Where != "" && h.TrialCertificate.Err == "" && f.At.Sub(h.TrialCertificate.Began) > trialHolds)
}

// issuerName is an issuerRef in a word, with what it means when it does not say so.
func issuerName(spec map[string]any) string {
	word := func(key string) string {
		v, _ := field(spec, "issuerRef", key).(string)
		return v
	}
	return cmp.Or(word("group"), "cert-manager.io") + " " + cmp.Or(word("kind"), "Issuer") + " " + word("name")
}

// trialSpec is the names of the real Certificate, with what else the rehearsal has shown: a write that is held to it is refused once
// another issuer, or other usages, are asked for.
func trialSpec(i plan.Issuer, names map[string]any) map[string]any {
	spec := maps.Clone(names)
	for _, key := range []string{"issuerRef", "usages", "uris"} {
		if v, there := i.Spec[key]; there {
			spec[key] = v
		}
	}
	return nest(spec, "spec")
}

// trialCleanUp deletes what a rehearsal made.
func trialCleanUp(h plan.Hub) []plan.Write {
	made := plan.Ref{Version: "v1", Resource: "secrets", Kind: "Secret", Namespace: h.Object.Namespace, Name: trialSecret}
	return []plan.Write{
		{Context: h.Context, Cluster: h.ClusterUID, Object: trialRef(h), Delete: true},
		{Context: h.Context, Cluster: h.ClusterUID, Object: made, Delete: true},
	}
}

// removeTrialStep deletes a rehearsal of which nothing follows.
func removeTrialStep(who string, h plan.Hub, why string, goal plan.Goal) plan.Step {
	return plan.Step{ID: idOf("tidy", who), Kind: plan.UpdateCertificate, Member: who, Title: who + ": delete the rehearsed certificate", Why: why, Writes: trialCleanUp(h), NoUndo: true, Timeout: goal.Within}
}
