package kube

import (
	"encoding/json"
	"strings"
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
	Identity
	Labels        map[string]string `json:"labels"`
	Annotations   map[string]string `json:"annotations"`
	ManagedFields []struct {
		Manager  string          `json:"manager"`
		Time     string          `json:"time"`
		FieldsV1 json.RawMessage `json:"fieldsV1"`
	} `json:"managedFields"`
}

// Identity is which object it is, of which state, and whose: the small part of its metadata.
type Identity struct {
	Name              string  `json:"name"`
	Namespace         string  `json:"namespace,omitempty"`
	UID               string  `json:"uid,omitempty"`
	ResourceVersion   string  `json:"resourceVersion,omitempty"`
	Generation        int64   `json:"generation,omitzero"`
	CreationTimestamp string  `json:"creationTimestamp,omitempty"`
	DeletionTimestamp string  `json:"deletionTimestamp,omitempty"`
	OwnerReferences   []Owner `json:"ownerReferences,omitempty"`
}

// Owner is one of an object's owners.
type Owner struct {
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	UID        string `json:"uid"`
	Controller bool   `json:"controller,omitzero"`
}

// Written is when a field was last written, in the API server's clock, as managedFields say; zero when they do not.
func (m Metadata) Written(path ...string) time.Time {
	var last time.Time
	for _, f := range m.ManagedFields {
		if t := Stamp(f.Time); has(f.FieldsV1, path) && t.After(last) {
			last = t
		}
	}
	return last
}

// has says whether fields of an entry of managedFields hold a path. A key of it that begins with "k:" names an entry
// of a list.
func has(fields json.RawMessage, path []string) bool {
	var at map[string]any
	_ = Decode(fields, &at) // what is no object says nothing
	for _, key := range path {
		if !strings.HasPrefix(key, "k:") {
			key = "f:" + key
		}
		at, _ = at[key].(map[string]any)
	}
	return at != nil
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
	if err := Decode(b, (*plain)(o)); err != nil {
		return err
	}
	return Decode(b, &o.Raw)
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
	if !r.OK() || Decode(r.Body, &o) != nil {
		return nil
	}
	return &o
}

// Ref refers to an object of a kind, which was read by r.
func Ref(o Object, r plan.Read, kind string) plan.Ref {
	return plan.Ref{Group: r.Group, Version: r.Version, Resource: r.Resource, Kind: kind, Namespace: o.Metadata.Namespace,
		Name: o.Metadata.Name, UID: o.Metadata.UID, ResourceVersion: o.Metadata.ResourceVersion}
}

// Later is the later of two times.
func Later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
