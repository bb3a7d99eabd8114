package tsb

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// object is any object as it was read: the metadata that we use, and the whole.
type object struct {
	Metadata metadata `json:"metadata"`
	raw      map[string]any
}

type metadata struct {
	Name              string            `json:"name"`
	Namespace         string            `json:"namespace"`
	UID               string            `json:"uid"`
	ResourceVersion   string            `json:"resourceVersion"`
	Generation        int64             `json:"generation"`
	CreationTimestamp string            `json:"creationTimestamp"`
	DeletionTimestamp string            `json:"deletionTimestamp"`
	Labels            map[string]string `json:"labels"`
	Annotations       map[string]string `json:"annotations"`
	OwnerReferences   []struct {
		Kind string `json:"kind"`
		Name string `json:"name"`
		UID  string `json:"uid"`
	} `json:"ownerReferences"`
	ManagedFields []struct {
		Time     string         `json:"time"`
		FieldsV1 map[string]any `json:"fieldsV1"`
	} `json:"managedFields"`
}

// written is when a field was last written, in the API server's clock, as managedFields say; zero when they do not.
func (m metadata) written(path ...string) time.Time {
	var last time.Time
	for _, f := range m.ManagedFields {
		at := f.FieldsV1
		for _, key := range path {
			at, _ = at["f:"+key].(map[string]any)
		}
		if t := stamp(f.Time); at != nil && t.After(last) {
			last = t
		}
	}
	return last
}

// stamp reads a time of the API server; zero when it is none.
func stamp(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

func (o *object) UnmarshalJSON(b []byte) error {
	type plain object
	if err := json.Unmarshal(b, (*plain)(o)); err != nil {
		return err
	}
	return json.Unmarshal(b, &o.raw)
}

// list decodes a list, or says why there is none to speak of: unknown must never become absent. A kind that is not served at
// all is an empty list.
func list(r plan.Result) ([]object, string) {
	if why := unreadable(r); why != "" || r.Missing {
		return nil, why
	}
	var l struct {
		Items []object `json:"items"`
	}
	if err := json.Unmarshal(r.Body, &l); err != nil {
		return nil, "the API server's answer is not a list as expected: " + err.Error()
	}
	return l.Items, ""
}

// items is list where an unreadable list is reported elsewhere.
func items(r plan.Result) []object {
	l, _ := list(r)
	return l
}

// unreadable says why a result cannot be used, "" when it can, or when the thing is known not to be there.
func unreadable(r plan.Result) string {
	switch {
	case r.Err != "":
		return r.Err
	case r.Missing:
		return ""
	case r.Body == nil:
		return "it was not read"
	}
	return ""
}

// one decodes an object; nil when it was not read or is not there.
func one(r plan.Result) *object {
	var o object
	if !r.OK() || json.Unmarshal(r.Body, &o) != nil {
		return nil
	}
	return &o
}

func ref(o object, r plan.Read, kind string) plan.Ref {
	return plan.Ref{Group: r.Group, Version: r.Version, Resource: r.Resource, Kind: kind, Namespace: o.Metadata.Namespace,
		Name: o.Metadata.Name, UID: o.Metadata.UID, ResourceVersion: o.Metadata.ResourceVersion}
}

// owners says who keeps an object as it is: reverts names the tool that puts a change back (Argo CD, Flux), helm the release
// that re-applies its own values at its next upgrade. app.kubernetes.io/managed-by proves nothing here: tctl's manifests
// carry it too.
func owners(m metadata) (reverts, helm string) {
	if id := m.Annotations["argocd.argoproj.io/tracking-id"]; id != "" {
		reverts = "Argo CD (" + id + ")"
	} else if id := m.Labels["argocd.argoproj.io/instance"]; id != "" {
		reverts = "Argo CD (" + id + ")"
	} else if id := m.Labels["kustomize.toolkit.fluxcd.io/name"]; id != "" {
		reverts = "Flux (kustomization " + id + ")"
	} else if id := m.Labels["helm.toolkit.fluxcd.io/name"]; id != "" {
		reverts = "Flux (helm release " + id + ")"
	}
	if r := m.Annotations["meta.helm.sh/release-name"]; r != "" {
		helm = m.Annotations["meta.helm.sh/release-namespace"] + "/" + r
	}
	return reverts, helm
}

// The parts of a Deployment, a ReplicaSet and a Pod that we read.
type deploymentObject struct {
	Metadata metadata `json:"metadata"`
	Spec     struct {
		Replicas *int64 `json:"replicas"`
		Template struct {
			Metadata metadata `json:"metadata"`
		} `json:"template"`
	} `json:"spec"`
	Status struct {
		ObservedGeneration int64 `json:"observedGeneration"`
		Replicas           int64 `json:"replicas"`
		UpdatedReplicas    int64 `json:"updatedReplicas"`
		AvailableReplicas  int64 `json:"availableReplicas"`
	} `json:"status"`
}

type podObject struct {
	Metadata metadata `json:"metadata"`
	Spec     struct {
		Volumes []struct {
			Name   string `json:"name"`
			Secret *struct {
				SecretName string `json:"secretName"`
			} `json:"secret"`
			Projected *struct {
				Sources []struct {
					Secret *struct {
						Name string `json:"name"`
					} `json:"secret"`
				} `json:"sources"`
			} `json:"projected"`
		} `json:"volumes"`
	} `json:"spec"`
	Status struct {
		Phase      string `json:"phase"`
		Conditions []struct {
			Type   string `json:"type"`
			Status string `json:"status"`
		} `json:"conditions"`
		ContainerStatuses []struct {
			State struct {
				Running *struct {
					StartedAt string `json:"startedAt"`
				} `json:"running"`
				Waiting *struct {
					Reason  string `json:"reason"`
					Message string `json:"message"`
				} `json:"waiting"`
			} `json:"state"`
		} `json:"containerStatuses"`
	} `json:"status"`
}

// mounts lists the secrets that a pod mounts.
func (p podObject) mounts() []string {
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

// workload reads a Deployment and all its pods, found by ownership (labels of the product's pods are not documented), and
// every other pod of the namespace that mounts one of the role's credentials, whoever owns it: its ReplicaSet may be gone
// while it still ends. presents tells from the mounted secrets which credential a pod was started with.
func workload(read map[plan.Read]plan.Result, ns, name string, presents func(mounts []string) guard.Cred, credentials ...string) plan.Workload {
	var w plan.Workload
	var d deploymentObject
	r := read[deployment(ns, name)]
	if why := unreadable(r); why != "" {
		w.Err = fmt.Sprintf("Deployment %s/%s could not be read: %s", ns, name, why)
		return w
	}
	if r.Missing {
		return w
	}
	if err := json.Unmarshal(r.Body, &d); err != nil {
		w.Err = fmt.Sprintf("Deployment %s/%s is not as its kind says: %v", ns, name, err)
		return w
	}
	w.Found, w.Replicas, w.RestartedFor = true, 1, d.Spec.Template.Metadata.Annotations[restartedFor]
	if d.Spec.Replicas != nil {
		w.Replicas = *d.Spec.Replicas
	}
	sets := map[string]bool{}
	replicas, why := list(read[replicaSets(ns)])
	if why != "" {
		w.Err = fmt.Sprintf("ReplicaSets in %s could not be read: %s", ns, why)
	}
	for _, rs := range replicas {
		for _, o := range rs.Metadata.OwnerReferences {
			if o.UID == d.Metadata.UID {
				sets[rs.Metadata.UID] = true
			}
		}
	}
	var running struct {
		Items []podObject `json:"items"`
	}
	if why := unreadable(read[pods(ns)]); why != "" {
		w.Err = fmt.Sprintf("Pods in %s could not be read: %s", ns, why)
	} else if err := json.Unmarshal(read[pods(ns)].Body, &running); err != nil {
		w.Err = fmt.Sprintf("Pods in %s are not as their kind says: %v", ns, err)
	}
	ready, ending := int64(0), false
	for _, p := range running.Items {
		owned := slices.ContainsFunc(p.Metadata.OwnerReferences, func(o struct {
			Kind string `json:"kind"`
			Name string `json:"name"`
			UID  string `json:"uid"`
		}) bool {
			return o.Kind == "ReplicaSet" && sets[o.UID]
		})
		holds := slices.ContainsFunc(p.mounts(), func(secret string) bool { return slices.Contains(credentials, secret) })
		if (!owned && !holds) || p.Status.Phase == "Succeeded" || p.Status.Phase == "Failed" {
			continue
		}
		proc := process(p, presents)
		if m, tried := read[podMetrics(ns, p.Metadata.Name)]; tried {
			proc.Counters, proc.NoMetric = counters(m)
		}
		if served := read[podServes(ns, p.Metadata.Name)]; served.OK() {
			if c := certificateOf(served.Body, "pod "+p.Metadata.Name); c.Err == "" {
				proc.Serves = &c
			}
		}
		if proc.Ready {
			ready++
		}
		ending = ending || proc.Ending
		w.Processes = append(w.Processes, proc)
	}
	slices.SortFunc(w.Processes, func(a, b plan.Process) int { return strings.Compare(a.Name, b.Name) })
	w.Settled = w.Err == "" && d.Status.ObservedGeneration >= d.Metadata.Generation && d.Status.UpdatedReplicas == w.Replicas &&
		d.Status.Replicas == w.Replicas && d.Status.AvailableReplicas == w.Replicas &&
		int64(len(w.Processes)) == w.Replicas && ready == w.Replicas && !ending
	return w
}

func process(p podObject, presents func([]string) guard.Cred) plan.Process {
	proc := plan.Process{Name: p.Metadata.Name, UID: p.Metadata.UID, Created: stamp(p.Metadata.CreationTimestamp), Ending: p.Metadata.DeletionTimestamp != "", Started: p.Status.Phase == "Running"}
	for _, c := range p.Status.Conditions {
		if c.Type == "Ready" {
			proc.Ready = c.Status == "True"
		}
	}
	if presents != nil {
		proc.Presents = presents(p.mounts())
	}
	for _, c := range p.Status.ContainerStatuses {
		if r := c.State.Running; r != nil && stamp(r.StartedAt).After(proc.Since) {
			proc.Since = stamp(r.StartedAt)
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

// edgePresents tells an edge pod's credential by what it mounts (the volumes are documented for JWT; that an mTLS edge
// mounts xcp-edge-cert is inferred).
func edgePresents(mounts []string) guard.Cred {
	switch token, cert := slices.Contains(mounts, secretToken), slices.Contains(mounts, secretEdgeCert); {
	case token && !cert:
		return JWT
	case cert && !token:
		return MTLS
	}
	return "" // neither or both: not known to be one
}

// mpcPresents tells MPC's credential: it needs mpc-certs for mutual TLS (the vendor's certificate page), so without them it
// cannot present a certificate.
func mpcPresents(mounts []string) guard.Cred {
	if slices.Contains(mounts, secretMPCCerts) {
		return MTLS
	}
	return JWT
}

// presented is the union of what the processes present and of what is configured; nil as soon as a part is unknown.
func presented(w plan.Workload, configured ...guard.Cred) ([]guard.Cred, string) {
	if w.Err != "" {
		return nil, w.Err
	}
	if !w.Found {
		return nil, "its Deployment is not there"
	}
	all := []guard.Cred{}
	for _, c := range configured {
		if c == "" {
			return nil, "its configured mode is not explicit"
		}
		all = append(all, c)
	}
	var seen []string
	for _, p := range w.Processes {
		if p.Presents == "" {
			return nil, fmt.Sprintf("pod %s mounts neither credential, or both", p.Name)
		}
		all = append(all, p.Presents)
		seen = append(seen, fmt.Sprintf("%s presents %s", p.Name, p.Presents))
	}
	slices.Sort(all)
	if len(seen) == 0 {
		return slices.Compact(all), "no pods; it will present what is configured"
	}
	return slices.Compact(all), "read from its pods: " + strings.Join(seen, ", ")
}
