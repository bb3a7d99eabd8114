package kube

import (
	"fmt"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/sorting"
)

// Controlled is a Deployment with what its namespace has of pods, as they were read; and of ReplicaSets, where some pod
// makes that needed.
type Controlled struct {
	Namespace, Name               string
	Deployment, ReplicaSets, Pods plan.Result
	Of                            *Decoded // instead of Deployment, of one that was read in a list
}

// NeedsReplicaSets says whether some pod does not tell by itself whether it is the Deployment's: the ReplicaSets of
// the namespace, which are many and large, are to be read for that alone.
func (c Controlled) NeedsReplicaSets() bool {
	d := c.decoded()
	return d != nil && d.Err == nil && slices.ContainsFunc(decode[Pod](c.Pods).items, func(p Pod) bool {
		return !p.ended() &&
			slices.ContainsFunc(p.Metadata.OwnerReferences, func(o Owner) bool { return c.ownedBy(d, p, o) == untold })
	})
}

// decoded is the Deployment; nil when it was not read, or is not there.
func (c Controlled) decoded() *Decoded {
	if c.Of != nil || !c.Deployment.OK() {
		return c.Of
	}
	d := plan.Cached(c.Deployment, func(r plan.Result) (d Decoded) {
		d.Err = Decode(r.Body, &d.Deployment)
		return d
	})
	return &d
}

// ownership is what a pod tells of whether it is a Deployment's.
type ownership int

const (
	another ownership = iota
	owned
	untold // its ReplicaSet has to tell
)

// ownedBy says whether an owner of a pod is a ReplicaSet of the Deployment. One that was made for another Deployment is
// that one's, unless this one may have adopted it, for which its selector must select it.
func (c Controlled) ownedBy(d *Decoded, p Pod, o Owner) ownership {
	hash, _ := p.Metadata.Labels.get("pod-template-hash")
	switch of := MadeFor(o, hash); {
	case o.Kind != "ReplicaSet":
		return another
	case of == c.Name:
		return owned
	case of == "" || d.Spec.Selector.may(p.Metadata.Labels):
		return untold
	}
	return another
}

// MadeFor is the name of the Deployment for which an owner of a pod was made, by the pod's label pod-template-hash: the
// Deployment controller names a ReplicaSet after both. "" when that does not tell, or the owner is no ReplicaSet.
func MadeFor(o Owner, hash string) string {
	of, made := strings.CutSuffix(o.Name, "-"+hash)
	if o.Kind != "ReplicaSet" || hash == "" || !made {
		return ""
	}
	return of
}

// Workload reads a Deployment and all its pods, found by ownership (labels of a product's pods need not be
// documented), and every other pod of the namespace that holds is true of, whoever owns it: its ReplicaSet may be
// gone while it still ends. each completes what a pod says of itself. Both may be nil.
func (c Controlled) Workload(each func(Pod, *plan.Process), holds func(Pod) bool) plan.Workload {
	var w plan.Workload
	d := c.decoded()
	if d == nil {
		if why := Unreadable(c.Deployment); why != "" {
			w.Err = fmt.Sprintf("Deployment %s/%s could not be read: %s", c.Namespace, c.Name, why)
		}
		return w
	}
	if d.Err != nil {
		w.Err = fmt.Sprintf("Deployment %s/%s is not as its kind says: %v", c.Namespace, c.Name, d.Err)
		return w
	}
	w.Found, w.Replicas, w.RestartedFor = true, 1, d.Spec.Template.Metadata.Annotations[RestartedFor]
	w.Paused = d.Spec.Paused
	if d.Spec.Replicas != nil {
		w.Replicas = *d.Spec.Replicas
	}
	var running listed[Pod]
	if why := Unreadable(c.Pods); why != "" {
		w.Err = fmt.Sprintf("Pods in %s could not be read: %s", c.Namespace, why)
	} else if running = decode[Pod](c.Pods); running.err != nil {
		w.Err = fmt.Sprintf("Pods in %s are not as their kind says: %v", c.Namespace, running.err)
	}
	sets := map[string]bool{}
	if c.NeedsReplicaSets() {
		var why string
		if sets, why = c.replicaSets(d); why != "" {
			w.Err = fmt.Sprintf("ReplicaSets in %s could not be read: %s", c.Namespace, why)
		}
	}
	ready, ending := int64(0), false
	for _, p := range running.items {
		owned := slices.ContainsFunc(p.Metadata.OwnerReferences, func(o Owner) bool {
			is := c.ownedBy(d, p, o)
			return is == owned || is == untold && sets[o.UID]
		})
		if !owned && (holds == nil || !holds(p)) || p.ended() {
			continue
		}
		proc := p.process()
		if each != nil {
			each(p, &proc)
		}
		if proc.Ready {
			ready++
		}
		ending = ending || proc.Ending
		w.Processes = append(w.Processes, proc)
	}
	sorting.Stable(w.Processes, func(a, b *plan.Process) int { return strings.Compare(a.Name, b.Name) })
	w.Settled = w.Err == "" && d.Status.ObservedGeneration >= d.Metadata.Generation &&
		d.Status.UpdatedReplicas == w.Replicas &&
		d.Status.Replicas == w.Replicas && d.Status.AvailableReplicas == w.Replicas &&
		int64(len(w.Processes)) == w.Replicas && ready == w.Replicas && !ending
	return w
}

// replicaSets are the UIDs of the Deployment's, or why they are not known.
func (c Controlled) replicaSets(d *Decoded) (sets map[string]bool, why string) {
	all, why := ListOf[ReplicaSet](c.ReplicaSets)
	sets = map[string]bool{}
	for _, rs := range all {
		for _, o := range rs.Metadata.Owners {
			if o.UID == d.Metadata.UID {
				sets[rs.Metadata.UID] = true
			}
		}
	}
	return sets, why
}
