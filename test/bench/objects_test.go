package bench

import (
	"fmt"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// The sizes of objects in a cluster with a control plane: what `kubectl get -o json` prints of a meshed pod, a
// ReplicaSet, a ControlPlane, managedFields included.
const (
	podSize     = 10 << 10
	setSize     = 6 << 10
	planeSize   = 6 << 10
	neighbours  = 12 // other pods of the namespace
	oldSets     = 30 // ReplicaSets of its Deployments, old ones included
	padding     = "xcpauth.example.test/padding"
	paddingText = "f:metadata f:annotations f:labels k:{\"type\":\"Ready\"} "
)

// sized makes the objects of a cluster as large and as many as they are in life, in the namespace of its plane.
func sized(objects []apifake.Object, ns string) []apifake.Object {
	for _, o := range objects {
		switch o["kind"] {
		case "Pod":
			pad(o, podSize)
		case "ReplicaSet":
			padSet(o)
		case "ControlPlane", "ManagementPlane", "EdgeXcp", "Deployment":
			pad(o, planeSize)
		}
	}
	for i := range neighbours {
		o := apifake.Object{"apiVersion": "v1", "kind": "Pod",
			"metadata": apifake.Object{"name": fmt.Sprintf("neighbour-%02d", i), "namespace": ns},
			"spec": apifake.Object{"volumes": []any{apifake.Object{"name": "a",
				"secret": apifake.Object{"secretName": "something-else"}}}},
			"status": apifake.Object{"phase": "Running"}}
		objects = append(objects, pad(o, podSize))
	}
	for i := range oldSets {
		o := apifake.Object{"apiVersion": "apps/v1", "kind": "ReplicaSet",
			"metadata": apifake.Object{"name": fmt.Sprintf("neighbour-%02d", i), "namespace": ns,
				"uid": fmt.Sprintf("%s-neighbour-%02d", ns, i), "ownerReferences": []any{apifake.Object{
					"apiVersion": "apps/v1", "kind": "Deployment", "name": "neighbour", "uid": ns + "-neighbour",
					"controller": true}}}}
		objects = append(objects, padSet(o))
	}
	return objects
}

// filler is shared by all objects: a thousand clusters' worth of it would not fit.
var filler = strings.Repeat(paddingText, podSize/len(paddingText)+1)

// padSet makes a ReplicaSet as large as it is in life: a third of it is metadata, with managedFields, and most of the
// rest its pods' template.
func padSet(o apifake.Object) apifake.Object {
	spec, _ := o["spec"].(apifake.Object)
	if spec == nil {
		spec = apifake.Object{}
		o["spec"] = spec
	}
	spec["template"] = apifake.Object{"metadata": apifake.Object{"annotations": apifake.Object{
		padding: filler[:setSize*2/3]}}}
	return pad(o, setSize/3)
}

func pad(o apifake.Object, size int) apifake.Object {
	o["metadata"].(apifake.Object)["annotations"] = apifake.Object{padding: filler[:size]}
	return o
}
