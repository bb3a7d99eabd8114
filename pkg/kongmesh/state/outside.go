package state

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

// askedIndex is where a control plane says who it is (Kuma pkg/api-server/index_endpoints.go).
const askedIndex = ""

// OutsideReads are what to read of a global that is outside of clusters: of each of its processes who it is and its
// settings, and what it keeps; and, in the cluster that keeps them for it, what runs have written down. That much was
// read of that cluster.
func OutsideReads(addresses []string, soFar map[plan.Read]plan.Result) []plan.Read {
	all := roster.StateReads(soFar)
	for _, url := range addresses {
		a := asked{hub: plan.HubAPI{URL: url}}
		all = append(append(all, a.question(askedIndex)), a.reads(nil)...)
	}
	return all
}

// outside is what a global that is outside of clusters says of itself: one process for each address.
type outside struct {
	processes []process
	configs   []file // of each
}

// index is who a process says that it is.
type index struct {
	Product  string `json:"product"`
	Tagline  string `json:"tagline"` // up to 2.x
	Version  string `json:"version"`
	Instance string `json:"instanceId"`
	Cluster  string `json:"clusterId"`
}

// findOutside reads a global that is outside of clusters, or says in hub.Err why there is none.
func findOutside(snaps []plan.Snapshot, where plan.Selection, hub *plan.Hub) (*plan.Snapshot, *ControlPlane) {
	hub.Context = where.Hub
	at := slices.IndexFunc(snaps, func(s plan.Snapshot) bool { return s.Context == where.Hub })
	switch {
	case at < 0:
		hub.Err = "no selected context is named " + where.Hub
		return nil, nil
	case snaps[at].Err != "":
		hub.Err = fmt.Sprintf("context %s, which keeps what runs write down, could not be looked at: %s", where.Hub,
			snaps[at].Err)
		return nil, nil
	}
	cp, why := outsideAt(where.Addresses, snaps[at].Reads)
	if why != "" {
		hub.Err = why
		return nil, nil
	}
	return &snaps[at], cp
}

// outsideAt is the control plane that processes at these addresses are, or why there is none.
func outsideAt(addresses []string, read map[plan.Read]plan.Result) (cp *ControlPlane, why string) {
	cp = &ControlPlane{Object: &kube.Decoded{}, outside: &outside{}, api: &plan.HubAPI{URL: addresses[0]}}
	cp.Object.Metadata.Name = addresses[0]
	for _, url := range addresses {
		a := asked{hub: plan.HubAPI{URL: url}}
		var who index
		var config file
		for what, into := range map[string]any{askedIndex: &who, askedConfig: &config} {
			r := a.answer(what, read)
			if why := a.unanswered(what, r); why != "" {
				return nil, fmt.Sprintf("the global control plane at %s is not known: %s", url, why)
			}
			if kube.Decode(r.Body, into) != nil {
				return nil, fmt.Sprintf("the global control plane at %s is not known: its answer is not as it documents", url)
			}
		}
		product := zonetoken.Kuma
		if strings.Contains(who.Product+who.Tagline, "Kong") {
			product = zonetoken.KongMesh
		}
		v, err := zonetoken.ParseVersion(product, who.Version)
		if err != nil {
			v = zonetoken.Version{Product: product}
		}
		uid := cmp.Or(who.Cluster, addresses[0])
		switch first := len(cp.outside.configs) == 0; {
		case !first && v != cp.Version:
			return nil, fmt.Sprintf("the processes at %s and %s are of different releases; wait until all are of one",
				addresses[0], url)
		case !first && uid != cp.Object.Metadata.UID:
			return nil, fmt.Sprintf("the processes at %s and %s are not of one global: each says another clusterId; "+
				"name the processes of one with --global-api", addresses[0], url)
		}
		cp.Version, cp.Object.Metadata.UID, cp.config = v, uid, config
		if cp.Mode = cp.set(cp.Spec, "KUMA_MODE", "mode").text; cp.Mode != ModeGlobal {
			return nil, fmt.Sprintf("the control plane at %s is no global: its mode is %q", url, zonetoken.Safe(cp.Mode))
		}
		cp.outside.processes = append(cp.outside.processes, process{pod: zonetoken.Safe(who.Instance)})
		cp.outside.configs = append(cp.outside.configs, config)
	}
	cp.config = cp.outside.configs[0]
	return cp, ""
}

// workload is the global's processes, each of which answered.
func (o *outside) workload() plan.Workload {
	w := plan.Workload{Found: true, Replicas: int64(len(o.processes)), Settled: true}
	for _, p := range o.processes {
		w.Processes = append(w.Processes, plan.Process{Name: p.pod, Ready: true, Started: true})
	}
	return w
}

// unasked names a process of the global that has a session and is at none of the addresses; "" when all were asked.
func (o *outside) unasked(insights map[string][]told) string {
	for _, sessions := range insights {
		for _, s := range sessions {
			if s.Ended.IsZero() && !slices.ContainsFunc(o.processes, func(p process) bool { return p.pod == s.instance }) {
				return s.instance
			}
		}
	}
	return ""
}
