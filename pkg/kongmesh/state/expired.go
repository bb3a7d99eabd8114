package state

import (
	"slices"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// pruneMargin is how long ago a token must have expired for its ID to be taken off the list: other machines of the
// global have other clocks.
const pruneMargin = 5 * time.Minute

// expired are the IDs on the list of revoked tokens whose token is known to have expired. The product keeps no list
// of what it issued, so only a token that is seen counts: one that is next to a zone, or that was provided. What a
// token says of itself counts only when one of the global's keys has signed it, since whoever can write a secret
// beside a zone could else have a stolen token taken off the list; and only when no other token of the same ID is
// seen that has not expired, or does not say when.
func expired(snaps []plan.Snapshot, where plan.Selection, hub *zonetoken.GlobalVerifier, f *plan.State) []string {
	list := f.Hub.Revocations.IDs
	if len(list) == 0 || hub.Unread != "" {
		return nil
	}
	by := f.At.Add(min(0, hub.Ahead) - pruneMargin) // by the global's clock, and by ours
	ends, stays := map[string]bool{}, map[string]bool{}
	look := func(raw []byte) {
		z, err := zonetoken.ReadZone(raw)
		switch {
		case err != nil || z.Kind == zonetoken.Other || z.ID == "" || !slices.Contains(list,
			z.ID): // an empty ID is of every token without one
		case z.Expires.IsZero() || !z.Expires.Before(by):
			stays[z.ID] = true
		case tookBeforeExpiry(hub, raw, z):
			ends[z.ID] = true
		}
	}
	for _, s := range snaps {
		for ns := range namespacesOf(s) {
			secrets, _ := SecretsIn(s.Reads, ns)
			for _, o := range secrets {
				for _, value := range o.Data {
					look(value)
				}
			}
		}
	}
	for _, token := range where.Tokens {
		look(token.Reveal())
	}
	for _, token := range where.Revoked {
		look(token.Reveal())
	}
	var ids []string
	for _, id := range zonetoken.Distinct(list) {
		if ends[id] && !stays[id] {
			ids = append(ids, id)
		}
	}
	return ids
}

// namespacesOf are the namespaces of a cluster's control planes.
func namespacesOf(s plan.Snapshot) map[string]bool {
	all := map[string]bool{}
	for _, ns := range kube.Namespaces(s.Reads[ControlPlanesRead]) {
		all[ns] = true
	}
	return all
}

// tookBeforeExpiry says whether the global took a token right before it expired: one of its keys has signed it.
func tookBeforeExpiry(v *zonetoken.GlobalVerifier, raw []byte, z zonetoken.Zone) bool {
	then := v.Verifier
	then.Zone, then.Revocations = z.Name, zonetoken.Revocations{}
	return then.Ask(raw, z.Expires.Add(-time.Second)).Outcome == zonetoken.Accepted
}
