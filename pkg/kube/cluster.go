package kube

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/sorting"
)

// KubeSystem is the namespace by whose UID a cluster is told.
var KubeSystem = plan.Read{Version: "v1", Resource: "namespaces", Name: "kube-system"}

// Distinct keeps one context of each cluster, told by the UID of kube-system: the hub's when it was named, else the
// first; the others become rows of their own. A context that could not be looked at is of a cluster that was reached
// when both name the same API server.
func Distinct(snaps []plan.Snapshot, hub string, f *plan.State) []plan.Snapshot {
	first := map[string]string{}
	var kept []plan.Snapshot
	snaps = slices.Clone(snaps)
	sorting.Stable(snaps, func(a, b *plan.Snapshot) int {
		switch {
		case a.Context == b.Context:
			return 0
		case a.Context == hub:
			return -1
		case b.Context == hub:
			return 1
		}
		return strings.Compare(a.Context, b.Context)
	})
	reached := map[string]string{}
	for i, s := range snaps {
		snaps[i].Err = cmp.Or(s.Err, unsure(s))
	}
	for _, s := range snaps {
		if s.Err == "" && s.Endpoint != "" && reached[s.Endpoint] == "" {
			reached[s.Endpoint] = s.Context
		}
	}
	for _, s := range snaps {
		if other := reached[s.Endpoint]; s.Err != "" && other != "" && s.Context != hub {
			f.Others = append(f.Others, plan.OtherContext{Context: s.Context, State: "duplicate",
				Why: fmt.Sprintf("the same API server as context %s; by this one it could not be looked at: %s", other, s.Err)})
			continue
		}
		id := ClusterUID(s)
		if known, again := first[id]; again && id != "" {
			f.Others = append(f.Others, plan.OtherContext{Context: s.Context, State: "duplicate",
				Why: "the same cluster as context " + known})
			continue
		}
		first[id] = s.Context
		kept = append(kept, s)
	}
	return kept
}

// unsure says why it is not sure that an API server answered, or which cluster it is of, "" when it is: every cluster
// has kube-system. Who may not read that may well be right.
func unsure(s plan.Snapshot) string {
	switch r := s.Reads[KubeSystem]; {
	case r.Missing:
		return "it has no namespace kube-system, so no API server of Kubernetes answers there"
	case r.Err != "" && !r.Denied:
		return "namespace kube-system could not be read, so it is not sure which cluster it is: " + r.Err
	}
	return ""
}

// ClusterUID is the UID of kube-system, by which a cluster is told; "" when it was not read.
func ClusterUID(s plan.Snapshot) string {
	type uid string
	return string(plan.Cached(s.Reads[KubeSystem], func(r plan.Result) uid {
		var ns Identified
		if !r.OK() || Decode(r.Body, &ns) != nil {
			return ""
		}
		return uid(ns.Metadata.UID)
	}))
}
