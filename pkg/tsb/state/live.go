package state

import (
	"fmt"
	"slices"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Live returns what an edge may present by what LiveReads found, and from what that is concluded; nil is unknown. It
// is everything that the ControlPlane declares, that EdgeXcp was told, and that any of its pods was started with, old
// and ending ones too.
//
//  1. The ControlPlane must be there, and be the one that was registered.
//  2. It and EdgeXcp must each say exactly one mode.
//  3. Every pod must present exactly one credential.
func Live(read map[plan.Read]plan.Result, cp api.ControlPlaneReference) ([]guard.Cred, string) {
	reads := AllLiveReads(cp)
	name := fmt.Sprintf("ControlPlane %s/%s", cp.Namespace, cp.Name)
	r := read[reads[0]]
	object := kube.One(r)
	switch why := kube.Unreadable(r); {
	case why != "":
		return nil, name + " could not be read: " + why
	case r.Missing:
		return nil, name + " is not there"
	case object == nil:
		return nil, name + " is not as its kind says"
	case object.Metadata.UID == "" || object.Metadata.UID != cp.UID:
		return nil, name + " was re-created since it was registered"
	}
	declared, _ := ReadEdge(object.Raw)
	if declared == "" {
		return nil, name + " declares no documented mode"
	}
	xcps, why := kube.List(read[reads[1]])
	if why != "" {
		return nil, fmt.Sprintf("EdgeXcps in %s could not be read: %s", cp.Namespace, why)
	}
	told := effective(xcps, cp.Namespace)
	if told == "" {
		return nil, fmt.Sprintf("the EdgeXcps in %s do not say one documented mode", cp.Namespace)
	}
	// its pods are told by its UID
	if d := read[reads[2]]; d.OK() && (kube.One(d) == nil || kube.One(d).Metadata.UID == "") {
		return nil, fmt.Sprintf("Deployment %s/edge is not as its kind says", cp.Namespace)
	}
	for _, r := range reads[3:] {
		if read[r].Missing { // what every API server has
			return nil, fmt.Sprintf("its API server knows no %s", r.Resource)
		}
	}
	presents, why := presented(Workload(read, cp.Namespace, "edge", edgePresents, edgeCredentials...), declared,
		told)
	switch {
	case presents == nil:
	case declared != told:
		why = fmt.Sprintf("%s declares %s, EdgeXcp says %s; %s", name, ModeWord(declared), ModeWord(told), why)
	default:
		why = fmt.Sprintf("%s declares %s; %s", name, ModeWord(declared), why)
	}
	return presents, why
}

// LiveReads lists what to read next of an edge to tell what it may present: all in one burst, and the ReplicaSets in
// another where a pod does not tell by itself whose it is. All of it lies in the ControlPlane's namespace.
func LiveReads(cp api.ControlPlaneReference, soFar map[plan.Read]plan.Result) []plan.Read {
	if len(soFar) == 0 {
		return firstLiveReads(cp)
	}
	return slices.DeleteFunc(replicaSets(soFar, cp.Namespace, "edge"), func(r plan.Read) bool {
		_, done := soFar[r]
		return done
	})
}

// AllLiveReads lists all that LiveReads may.
func AllLiveReads(cp api.ControlPlaneReference) []plan.Read {
	return slices.Insert(firstLiveReads(cp), 3, kube.ReplicaSetsRead(cp.Namespace))
}

func firstLiveReads(cp api.ControlPlaneReference) []plan.Read {
	object, xcps := ControlPlanesRead, EdgeXcpsRead
	object.Namespace, object.Name, xcps.Namespace = cp.Namespace, cp.Name, cp.Namespace
	return []plan.Read{object, xcps, kube.DeploymentRead(cp.Namespace, "edge"), kube.PodsRead(cp.Namespace)}
}

// effective is the mode that every EdgeXcp of a namespace was told; "" when they say none, or not the same.
func effective(xcps []kube.Object, ns string) (mode guard.Cred) {
	seen := 0
	for _, e := range xcps {
		if e.Metadata.Namespace != ns {
			continue
		}
		spec, _ := Walk(e.Raw, "", "spec")
		word, _ := spec["centralAuthMode"].(string)
		this := map[string]guard.Cred{"JWT": JWT, "MUTUAL_TLS": MTLS}[word]
		if seen > 0 && this != mode {
			return ""
		}
		mode, seen = this, seen+1
	}
	return mode
}
