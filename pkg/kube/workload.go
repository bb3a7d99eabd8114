package kube

import (
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// RestartedFor is the annotation of a Deployment's pods that says why we had them started again.
const RestartedFor = "xcpauth.io/restarted-for"

// DeploymentRead reads a Deployment.
func DeploymentRead(ns, name string) plan.Read {
	return plan.Read{Group: "apps", Version: "v1", Resource: "deployments", Namespace: ns, Name: name}
}

// ReplicaSetsRead reads the ReplicaSets of a namespace.
func ReplicaSetsRead(ns string) plan.Read {
	return plan.Read{Group: "apps", Version: "v1", Resource: "replicasets", Namespace: ns}
}

// PodsRead reads the pods of a namespace.
func PodsRead(ns string) plan.Read { return plan.Read{Version: "v1", Resource: "pods", Namespace: ns} }

// Deployment is what we read of one.
type Deployment struct {
	Metadata Metadata `json:"metadata"`
	Spec     struct {
		Replicas *int64   `json:"replicas"`
		Paused   bool     `json:"paused"`
		Selector Selector `json:"selector"`
		Template struct {
			Metadata Metadata `json:"metadata"`
			Spec     PodSpec  `json:"spec"`
		} `json:"template"`
	} `json:"spec"`
	Status DeploymentStatus `json:"status"`
}

// DeploymentStatus is what we read of how far a Deployment's pods are.
type DeploymentStatus struct {
	ObservedGeneration int64 `json:"observedGeneration"`
	Replicas           int64 `json:"replicas"`
	UpdatedReplicas    int64 `json:"updatedReplicas"`
	AvailableReplicas  int64 `json:"availableReplicas"`
}

// ReplicaSet is what we read of one: whose it is.
type ReplicaSet struct {
	Metadata struct {
		UID    string `json:"uid"`
		Owners []struct {
			Name string `json:"name,omitempty"`
			UID  string `json:"uid"`
		} `json:"ownerReferences,omitempty"`
	} `json:"metadata"`
}

// OfAnother says whether a ReplicaSet has owners, and each is named, as none of the names.
func (rs ReplicaSet) OfAnother(names ...string) bool {
	for _, o := range rs.Metadata.Owners {
		if o.Name == "" || slices.Contains(names, o.Name) {
			return false
		}
	}
	return len(rs.Metadata.Owners) > 0
}

// Pod is what we read of one.
type Pod struct {
	Metadata PodMetadata `json:"metadata"`
	Spec     PodSpec     `json:"spec"`
	Status   PodStatus   `json:"status"`
}

// PodMetadata is which pod it is, whose, and what selects it.
type PodMetadata struct {
	Identity
	Labels labels `json:"labels,omitempty"`
}

// PodStatus is what we read of how a pod is.
type PodStatus struct {
	Phase             string         `json:"phase"`
	Conditions        []PodCondition `json:"conditions,omitempty"`
	ContainerStatuses []struct {
		Name  string `json:"name"`
		State struct {
			Running *struct {
				StartedAt string `json:"startedAt,omitempty"`
			} `json:"running,omitzero"`
			Waiting *struct {
				Reason  string `json:"reason,omitempty"`
				Message string `json:"message,omitempty"`
			} `json:"waiting,omitzero"`
		} `json:"state"`
	} `json:"containerStatuses,omitempty"`
}

// PodCondition is one condition of a pod.
type PodCondition struct {
	Type   string `json:"type"`
	Status string `json:"status"`
}

// PodSpec is what we read of what a pod is to run.
type PodSpec struct {
	HostNetwork bool        `json:"hostNetwork,omitempty"`
	Hostname    string      `json:"hostname,omitempty"`
	Containers  []Container `json:"containers,omitempty"`
	Volumes     []Volume    `json:"volumes,omitempty"`
}

// Volume is what we read of one.
type Volume struct {
	Name      string `json:"name"`
	ConfigMap *struct {
		Name  string `json:"name"`
		Items []struct {
			Key  string `json:"key"`
			Path string `json:"path"`
		} `json:"items,omitempty"`
	} `json:"configMap,omitzero"`
	Secret *struct {
		SecretName string `json:"secretName"`
		Items      []struct {
			Key  string `json:"key"`
			Path string `json:"path"`
		} `json:"items,omitempty"`
	} `json:"secret,omitzero"`
	Projected *struct {
		Sources []struct {
			Secret *struct {
				Name string `json:"name"`
			} `json:"secret,omitzero"`
		} `json:"sources,omitempty"`
	} `json:"projected,omitzero"`
}

// Container is what we read of one.
type Container struct {
	Name    string           `json:"name"`
	Image   string           `json:"image"`
	Command []string         `json:"command,omitempty"`
	Args    []string         `json:"args,omitempty"`
	Env     []Variable       `json:"env,omitempty"`
	EnvFrom []map[string]any `json:"envFrom,omitempty"`
	Mounts  []struct {
		Name      string `json:"name"`
		MountPath string `json:"mountPath"`
		SubPath   string `json:"subPath,omitempty"`
	} `json:"volumeMounts,omitempty"`
}

// Variable is one variable of a container's environment.
type Variable struct {
	Name      string `json:"name"`
	Value     string `json:"value,omitempty"`
	ValueFrom *struct {
		SecretKeyRef *struct {
			Name     string `json:"name"`
			Key      string `json:"key"`
			Optional bool   `json:"optional"`
		} `json:"secretKeyRef,omitzero"`
	} `json:"valueFrom,omitzero"` // set and without a secret: from something else
}

// Container returns the container of a name, nil when there is none.
func (s PodSpec) Container(name string) *Container {
	for i := range s.Containers {
		if s.Containers[i].Name == name {
			return &s.Containers[i]
		}
	}
	return nil
}

// Variable returns the variable of a name: the last of several, as the kubelet takes it; nil when it is not set here.
func (c Container) Variable(name string) *Variable {
	for i := len(c.Env) - 1; i >= 0; i-- {
		if c.Env[i].Name == name {
			return &c.Env[i]
		}
	}
	return nil
}

// StartedAt is when the process of a container was started that runs now, and with it what it was started with; of
// the only container, whatever its name. Zero when it does not run, or when that is not known.
func (p Pod) StartedAt(container string) time.Time {
	for _, c := range p.Status.ContainerStatuses {
		if r := c.State.Running; r != nil && (c.Name == container || len(p.Status.ContainerStatuses) == 1) {
			return Stamp(r.StartedAt)
		}
	}
	return time.Time{}
}

// Mounts lists the secrets that a pod mounts.
func (p Pod) Mounts() (names []string) {
	for _, v := range p.Spec.Volumes {
		names = append(names, v.Secrets()...)
	}
	return names
}

// Secrets lists the secrets that a volume holds.
func (v Volume) Secrets() (names []string) {
	if v.Secret != nil {
		names = append(names, v.Secret.SecretName)
	}
	if v.Projected != nil {
		for _, s := range v.Projected.Sources {
			if s.Secret != nil {
				names = append(names, s.Secret.Name)
			}
		}
	}
	return names
}

// ended says whether nothing of a pod runs any more, nor will.
func (p Pod) ended() bool { return p.Status.Phase == "Succeeded" || p.Status.Phase == "Failed" }

// process is what a pod says of itself.
func (p Pod) process() plan.Process {
	proc := plan.Process{Name: p.Metadata.Name, UID: p.Metadata.UID, Created: Stamp(p.Metadata.CreationTimestamp),
		Ending: p.Metadata.DeletionTimestamp != "", Started: p.Status.Phase == "Running"}
	for _, c := range p.Status.Conditions {
		if c.Type == "Ready" {
			proc.Ready = c.Status == "True"
		}
	}
	for _, c := range p.Status.ContainerStatuses {
		if r := c.State.Running; r != nil && Stamp(r.StartedAt).After(proc.Since) {
			proc.Since = Stamp(r.StartedAt)
		}
		if w := c.State.Waiting; w != nil {
			proc.Waiting = strings.TrimSpace(w.Reason + " " + w.Message)
		}
	}
	if proc.Waiting == "" && p.Status.Phase == "Pending" {
		proc.Waiting = "Pending"
	}
	return proc
}
