package kube

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/sorting"
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
		Replicas *int64 `json:"replicas"`
		Paused   bool   `json:"paused"`
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
	Metadata Identity  `json:"metadata"`
	Spec     PodSpec   `json:"spec"`
	Status   PodStatus `json:"status"`
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
func (p Pod) Mounts() []string {
	var names []string
	for _, v := range p.Spec.Volumes {
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
	}
	return names
}

// Controlled is a Deployment with what its namespace has of ReplicaSets and pods, as they were read.
type Controlled struct {
	Namespace, Name               string
	Deployment, ReplicaSets, Pods plan.Result
	Of                            *Decoded // instead of Deployment, of one that was read in a list
}

// Workload reads a Deployment and all its pods, found by ownership (labels of a product's pods need not be
// documented), and every other pod of the namespace that holds is true of, whoever owns it: its ReplicaSet may be
// gone while it still ends. each completes what a pod says of itself. Both may be nil.
func (c Controlled) Workload(each func(Pod, *plan.Process), holds func(Pod) bool) plan.Workload {
	var w plan.Workload
	d := c.Of
	if d == nil {
		if why := Unreadable(c.Deployment); why != "" {
			w.Err = fmt.Sprintf("Deployment %s/%s could not be read: %s", c.Namespace, c.Name, why)
			return w
		}
		if c.Deployment.Missing {
			return w
		}
		one := plan.Cached(c.Deployment, func(r plan.Result) (d Decoded) {
			d.Err = Decode(r.Body,
				&d.Deployment)
			return d
		})
		d = &one
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
	sets := map[string]bool{}
	replicas, why := ListOf[ReplicaSet](c.ReplicaSets)
	if why != "" {
		w.Err = fmt.Sprintf("ReplicaSets in %s could not be read: %s", c.Namespace, why)
	}
	for _, rs := range replicas {
		for _, o := range rs.Metadata.Owners {
			if o.UID == d.Metadata.UID {
				sets[rs.Metadata.UID] = true
			}
		}
	}
	var running listed[Pod]
	if why := Unreadable(c.Pods); why != "" {
		w.Err = fmt.Sprintf("Pods in %s could not be read: %s", c.Namespace, why)
	} else if running = decode[Pod](c.Pods); running.err != nil {
		w.Err = fmt.Sprintf("Pods in %s are not as their kind says: %v", c.Namespace, running.err)
	}
	ready, ending := int64(0), false
	for _, p := range running.items {
		owned := slices.ContainsFunc(p.Metadata.OwnerReferences, func(o Owner) bool {
			return o.Kind == "ReplicaSet" &&
				sets[o.UID]
		})
		if (!owned && (holds == nil || !holds(p))) || p.Status.Phase == "Succeeded" || p.Status.Phase == "Failed" {
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
