package bench

import (
	"fmt"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// The sizes of objects in a cluster with a control plane: what `kubectl get -o json` prints of a meshed pod, a
// ControlPlane, managedFields included.
const (
	podSize     = 10 << 10
	planeSize   = 6 << 10
	neighbours  = 12 // other pods of the namespace
	padding     = "xcpauth.example.test/padding"
	paddingText = "f:metadata f:annotations f:labels k:{\"type\":\"Ready\"} "
)

// sized makes the objects of a cluster as large and as many as they are in life, in the namespace of its plane.
func sized(objects []apifake.Object, ns string) []apifake.Object {
	for _, o := range objects {
		switch o["kind"] {
		case "Pod":
			pad(o, podSize)
		case "ControlPlane", "ManagementPlane", "EdgeXcp", "Deployment":
			pad(o, planeSize)
		}
	}
	for i := range neighbours {
		of, hash := fmt.Sprintf("neighbour-%02d", i), fmt.Sprintf("7d4f9c%02d", i)
		set := of + "-" + hash
		o := apifake.Object{"apiVersion": "v1", "kind": "Pod",
			"metadata": apifake.Object{"name": set + "-x2x4z", "namespace": ns,
				"labels": apifake.Object{"app": of, "pod-template-hash": hash, "istio.io/rev": "default"},
				"ownerReferences": []any{apifake.Object{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set,
					"uid": ns + "-" + set, "controller": true}}},
			"spec": apifake.Object{"volumes": []any{apifake.Object{"name": "a",
				"secret": apifake.Object{"secretName": "something-else"}}}},
			"status": apifake.Object{"phase": "Running"}}
		objects = append(objects, pad(o, podSize))
	}
	return objects
}

// filler is shared by all objects: a thousand clusters' worth of it would not fit.
var filler = strings.Repeat(paddingText, podSize/len(paddingText)+1)

func pad(o apifake.Object, size int) apifake.Object {
	o["metadata"].(apifake.Object)["annotations"] = apifake.Object{padding: filler[:size]}
	return o
}
