package state

import (
	"encoding/json"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Trim leaves of a body what is read here of its kind: of pods, ReplicaSets and Deployments a hundredth, of a metrics
// page the series that begin with xcp_. A body of another kind, or one that is not as its kind says, stays as it is.
func Trim(r plan.Read, body []byte) []byte {
	switch {
	case r.Labels != "", r.Asked != "": // not a read of ours
	case r.Port != 0 && !r.Served:
		return trimMetrics(body)
	case r.Resource == "pods" && r.Name == "":
		return trimTo(body, func(l *struct {
			Items []kube.Pod `json:"items"`
		}) {
			for i := range l.Items {
				trim(&l.Items[i].Metadata)
				l.Items[i].Spec.Containers = nil
			}
		})
	case r.Resource == "replicasets" && r.Name == "":
		return trimTo(body, func(l *struct {
			Items []struct {
				Metadata kube.Metadata `json:"metadata"`
			} `json:"items"`
		}) {
			for i := range l.Items {
				trim(&l.Items[i].Metadata)
			}
		})
	case r.Resource == "deployments" && r.Name != "":
		return trimTo(body, func(d *kube.Deployment) {
			trim(&d.Metadata)
			d.Spec.Template.Spec = kube.PodSpec{}
		})
	}
	return body
}

// trim drops what is read of the planes alone.
func trim(m *kube.Metadata) { m.Labels, m.Annotations, m.ManagedFields = nil, nil, nil }

// trimTo keeps what a type holds, and of that what drop leaves.
func trimTo[T any](body []byte, drop func(*T)) []byte {
	var kept T
	if json.Unmarshal(body, &kept) != nil {
		return body
	}
	drop(&kept)
	b, err := json.Marshal(kept)
	if err != nil {
		return body
	}
	return b
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
