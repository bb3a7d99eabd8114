package tsb

import (
	"cmp"
	"maps"
	"reflect"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// rehearsed says whether the rehearsed certificate is there and could replace the real one.
func rehearsed(h plan.Hub, f plan.Facts, v sorted) bool {
	return h.RehearsalIssuer.Ready && h.Rehearsal.Where != "" && h.Rehearsal.Err == "" && unfit(h.Rehearsal, h, f, v) == ""
}

// rehearsalHolds is how long a rehearsal is believed: whoever signs may change. It is longer than a CA dates certificates back.
const rehearsalHolds = 24 * time.Hour

// outdated says whether the rehearsal that is there was signed by somebody else than the real Certificate asks for now, or for other
// usages; or is old. What else differs may be what the API server filled in.
func outdated(h plan.Hub, f plan.Facts) bool {
	if h.RehearsalIssuer.Object.Name == "" {
		return false
	}
	asked, tried := h.Issuer.Spec, h.RehearsalIssuer.Spec
	return issuerName(asked) != issuerName(tried) || !reflect.DeepEqual(asked["usages"], tried["usages"]) || !reflect.DeepEqual(asked["uris"], tried["uris"]) ||
		(h.Rehearsal.Where != "" && h.Rehearsal.Err == "" && f.At.Sub(h.Rehearsal.Began) > rehearsalHolds)
}

// issuerName is an issuerRef in a word, with what it means when it does not say so.
func issuerName(spec map[string]any) string {
	word := func(key string) string {
		v, _ := field(spec, "issuerRef", key).(string)
		return v
	}
	return cmp.Or(word("group"), "cert-manager.io") + " " + cmp.Or(word("kind"), "Issuer") + " " + word("name")
}

// rehearsedSpec is the names of the real Certificate, with what else the rehearsal has shown: a write that is held to it is refused once
// another issuer, or other usages, are asked for.
func rehearsedSpec(i plan.Issuer, names map[string]any) map[string]any {
	spec := maps.Clone(names)
	for _, key := range []string{"issuerRef", "usages", "uris"} {
		if v, there := i.Spec[key]; there {
			spec[key] = v
		}
	}
	return nest(spec, "spec")
}

// tidy deletes what a rehearsal made.
func tidy(h plan.Hub) []plan.Patch {
	made := plan.Ref{Version: "v1", Resource: "secrets", Kind: "Secret", Namespace: h.Object.Namespace, Name: rehearsalSecret}
	return []plan.Patch{
		{Context: h.Context, Cluster: h.ClusterUID, Object: rehearsalRef(h), Delete: true},
		{Context: h.Context, Cluster: h.ClusterUID, Object: made, Delete: true},
	}
}

// tidyUp deletes a rehearsal of which nothing follows.
func tidyUp(who string, h plan.Hub, why string, goal plan.Goal) plan.Step {
	return plan.Step{ID: idOf("tidy", who), Kind: plan.Certify, Member: who, Title: who + ": delete the rehearsed certificate", Why: why, Writes: tidy(h), Keep: true, Within: goal.Within}
}
