package state

import (
	"slices"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// source is where a global keeps its keys, its list of revoked tokens, its zones, and what it tells of their sessions.
// Each function says nothing rather than something wrong: what could not be read is unknown.
type source interface {
	// reads are what to read next.
	reads(soFar map[plan.Read]plan.Result) []plan.Read
	// secrets are the keys and the list of revoked tokens. Nobody changes what it returns.
	secrets(read map[plan.Read]plan.Result) globalSecrets
	// zones are the names of the zones, sorted, or why they are not known.
	zones(read map[plan.Read]plan.Result) (names []string, why string)
	// insights are the sessions of each zone as the global tells of them; nil when they are not known.
	insights(read map[plan.Read]plan.Result) map[string][]told
	// object refers to a secret by its name, as it was made.
	object(name string, made kube.Metadata) plan.Ref
	// api is where all of it is written; nil when it is objects of the global's cluster.
	api(read map[plan.Read]plan.Result) *plan.HubAPI
	// odd is why nothing may be changed there, each a clause.
	odd(read map[plan.Read]plan.Result) []string
}

// objects are a source: the objects of the global's cluster.
type objects struct{ namespace string }

func (o objects) reads(soFar map[plan.Read]plan.Result) []plan.Read {
	return slices.DeleteFunc([]plan.Read{readZones, readInsights}, func(r plan.Read) bool {
		_, done := soFar[r]
		return done
	})
}

func (o objects) secrets(read map[plan.Read]plan.Result) globalSecrets {
	return globalSecretsIn(read, o.namespace)
}

func (o objects) zones(read map[plan.Read]plan.Result) ([]string, string) {
	zones, why := kube.Identities(read[readZones])
	if read[readZones].Missing { // the global's own kind, without which it does not start
		why = "the API server does not serve the kind"
	}
	if why != "" {
		return nil, why
	}
	names := []string{}
	for _, z := range zones {
		names = append(names, z.Metadata.Name)
	}
	slices.Sort(names)
	return names, ""
}

func (o objects) insights(read map[plan.Read]plan.Result) map[string][]told {
	return plan.Cached(read[readInsights], func(r plan.Result) map[string][]told {
		list, err := kube.DecodeList[insightObject](r.Body)
		if !r.OK() || err != nil {
			return nil
		}
		sessions := map[string][]told{}
		for _, z := range list {
			sessions[z.Metadata.Name] = z.Spec.sessions()
		}
		return sessions
	})
}

// insightObject is what a global tells of one zone, as an object of its cluster.
type insightObject struct {
	Metadata kube.Identity `json:"metadata"`
	Spec     insight       `json:"spec"`
}

func (o objects) object(name string, made kube.Metadata) plan.Ref {
	return plan.Ref{Version: "v1", Resource: "secrets", Kind: "Secret", Namespace: o.namespace, Name: name,
		UID: made.UID, ResourceVersion: made.ResourceVersion}
}

func (o objects) api(map[plan.Read]plan.Result) *plan.HubAPI { return nil }

func (o objects) odd(map[plan.Read]plan.Result) []string { return nil }

// unknown is a source of which nothing is known, for a reason.
type unknown struct{ why string }

func (u unknown) reads(map[plan.Read]plan.Result) []plan.Read { return nil }

func (u unknown) secrets(map[plan.Read]plan.Result) globalSecrets {
	return globalSecrets{why: "the global's keys are not known: " + u.why}
}

func (u unknown) zones(map[plan.Read]plan.Result) ([]string, string) { return nil, u.why }

func (u unknown) insights(map[plan.Read]plan.Result) map[string][]told { return nil }

func (u unknown) object(string, kube.Metadata) plan.Ref { return plan.Ref{} }

func (u unknown) api(map[plan.Read]plan.Result) *plan.HubAPI { return nil }

func (u unknown) odd(map[plan.Read]plan.Result) []string { return nil }

// InItsCluster says whether a global keeps its state as objects of its cluster.
func InItsCluster(d *kube.Decoded, read map[plan.Read]plan.Result) bool {
	_, is := sourceOf(ControlPlaneOf(d, read), read).(objects)
	return is
}

// Unusable says why the own API of a global that keeps its state to itself cannot be used, each a clause.
func Unusable(cp ControlPlane, read map[plan.Read]plan.Result) []string {
	from, is := sourceOf(cp, read).(asked)
	if !is {
		return nil
	}
	all := from.odd(read)
	if why := from.secrets(read).why; why != "" {
		all = append(all, why)
	}
	if _, why := from.zones(read); why != "" {
		all = append(all, "the global's zones could not be listed: "+why)
	}
	return all
}

// globalReads lists what to read next of a global: at once where its template says that its state is in Kubernetes,
// else once its pods were read, which may be asked.
func globalReads(cp ControlPlane, soFar map[plan.Read]plan.Result) []plan.Read {
	if at, _ := cp.storeOf(cp.Spec); at == inKubernetes {
		return objects{cp.Object.Metadata.Namespace}.reads(soFar)
	}
	if _, done := soFar[readPods(cp.Object.Metadata.Namespace)]; !done {
		return nil
	}
	return sourceOf(cp, soFar).reads(soFar)
}

// sourceOf finds out where a global keeps its state, by what its template and its pods say of themselves.
func sourceOf(cp ControlPlane, read map[plan.Read]plan.Result) source {
	switch at, why := cp.keepsState(podSpecs(read, cp)); {
	case why != "":
		return unknown{why}
	case at == inKubernetes:
		return objects{cp.Object.Metadata.Namespace}
	}
	return newAsked(cp)
}
