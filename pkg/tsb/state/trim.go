package state

import (
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Trim leaves of a body what is read here of its kind: of pods, ReplicaSets and Deployments a hundredth, of planes all
// but long annotations, of EdgeXcps what they say, of a metrics page the series that begin with xcp_. A body of another
// kind, or one that is not as its kind says, stays as it is.
func Trim(r plan.Read, body []byte) []byte {
	switch {
	case r.Labels != "", r.Asked != "": // not a read of ours
	case r.Port != 0 && !r.Served:
		return trimMetrics(body)
	case r.Resource == "pods" && r.Name == "":
		return kube.TrimList(body, spare)
	case r.Resource == "replicasets" && r.Name == "":
		// the garbage collector removes what names an owner that is not there by that name
		return kube.TrimList(body, func(rs *kube.ReplicaSet) bool { return !rs.OfAnother("central", "mpc", "edge") })
	case r == ManagementPlanesRead, r == ControlPlanesRead:
		return kube.TrimNotes(body)
	case r == EdgeXcpsRead:
		return kube.TrimList(body, func(*edgeXcp) bool { return true })
	case r.Resource == "deployments" && r.Name != "":
		return kube.Trim[deployment](body)
	}
	return body
}

// pod is what is read of one: whose it is, which secrets it mounts, and how it is.
type pod struct {
	Metadata kube.PodMetadata `json:"metadata"`
	Spec     struct {
		Volumes []kube.Volume `json:"volumes,omitempty"`
	} `json:"spec"`
	Status kube.PodStatus `json:"status"`
}

// spare takes out of a pod the volumes that hold no credential of the product, and the conditions other than Ready.
func spare(p *pod) bool {
	p.Spec.Volumes = slices.DeleteFunc(p.Spec.Volumes, func(v kube.Volume) bool {
		return !slices.ContainsFunc(v.Secrets(), func(secret string) bool { return slices.Contains(credentials, secret) })
	})
	p.Status.Conditions = slices.DeleteFunc(p.Status.Conditions,
		func(c kube.PodCondition) bool { return c.Type != "Ready" })
	return true
}

// edgeXcp is what is read of one: all that it says, and not who wrote it.
type edgeXcp struct {
	Metadata kube.Identity  `json:"metadata"`
	Spec     map[string]any `json:"spec,omitempty"`
}

// deployment is what is read of one: all but what its pods are to run.
type deployment struct {
	Metadata kube.Identity `json:"metadata"`
	Spec     struct {
		Replicas *int64        `json:"replicas"`
		Paused   bool          `json:"paused"`
		Selector kube.Selector `json:"selector"`
		Template struct {
			Metadata struct {
				Annotations map[string]string `json:"annotations"`
			} `json:"metadata"`
		} `json:"template"`
	} `json:"spec"`
	Status kube.DeploymentStatus `json:"status"`
}

func trimMetrics(page []byte) []byte {
	var kept strings.Builder
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(strings.TrimSpace(line), "xcp_") {
			kept.WriteString(line)
		}
	}
	return []byte(kept.String())
}
