package kube

import (
	"encoding/json"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Object is any object as it was read: the metadata that we use, and the whole.
type Object struct {
	Metadata Metadata `json:"metadata"`
	Raw      map[string]any
}

// Metadata is the part of an object's metadata that we use.
type Metadata struct {
	Name              string            `json:"name"`
	Namespace         string            `json:"namespace"`
	UID               string            `json:"uid"`
	ResourceVersion   string            `json:"resourceVersion"`
	Generation        int64             `json:"generation"`
	CreationTimestamp string            `json:"creationTimestamp"`
	DeletionTimestamp string            `json:"deletionTimestamp"`
	Labels            map[string]string `json:"labels"`
	Annotations       map[string]string `json:"annotations"`
	OwnerReferences   []Owner           `json:"ownerReferences"`
	ManagedFields     []struct {
		Time     string          `json:"time"`
		FieldsV1 json.RawMessage `json:"fieldsV1"`
	} `json:"managedFields"`
}

// Owner is one of an object's owners.
type Owner struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	UID  string `json:"uid"`
}

// Written is when a field was last written, in the API server's clock, as managedFields say; zero when they do not.
func (m Metadata) Written(path ...string) time.Time {
	var last time.Time
	for _, f := range m.ManagedFields {
		var at map[string]any
		_ = json.Unmarshal(f.FieldsV1, &at) // what is no object says nothing
		for _, key := range path {
			at, _ = at["f:"+key].(map[string]any)
		}
		if t := Stamp(f.Time); at != nil && t.After(last) {
			last = t
		}
	}
	return last
}

// Stamp reads a time of the API server; zero when it is none.
func Stamp(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// UnmarshalJSON keeps the whole object beside what is decoded of it.
func (o *Object) UnmarshalJSON(b []byte) error {
	type plain Object
	if err := json.Unmarshal(b, (*plain)(o)); err != nil {
		return err
	}
	return json.Unmarshal(b, &o.Raw)
}

// Unreadable says why a result cannot be used, "" when it can, or when the thing is known not to be there.
func Unreadable(r plan.Result) string {
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

// One decodes an object; nil when it was not read or is not there.
func One(r plan.Result) *Object {
	var o Object
	if !r.OK() || json.Unmarshal(r.Body, &o) != nil {
		return nil
	}
	return &o
}

// Ref refers to an object of a kind, which was read by r.
func Ref(o Object, r plan.Read, kind string) plan.Ref {
	return plan.Ref{Group: r.Group, Version: r.Version, Resource: r.Resource, Kind: kind, Namespace: o.Metadata.Namespace,
		Name: o.Metadata.Name, UID: o.Metadata.UID, ResourceVersion: o.Metadata.ResourceVersion}
}

// Owners says who keeps an object as it is: reverts names the tool that puts a change back (Argo CD, Flux), helm the release
// that re-applies its own values at its next upgrade. app.kubernetes.io/managed-by proves nothing here: tctl's manifests
// carry it too.
func Owners(m Metadata) (reverts, helm string) {
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
