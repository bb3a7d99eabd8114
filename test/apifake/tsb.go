package apifake

import "encoding/base64"

// Edge is the objects of a cluster with one edge on mutual TLS, as small as they can be.
func Edge(cluster string) []Object {
	ns := "istio-system"
	meta := func(name string, more Object) Object {
		m := Object{"name": name, "namespace": ns, "uid": "uid-" + cluster + "-" + name}
		for k, v := range more {
			m[k] = v
		}
		return m
	}
	owner := func(kind, name string) Object {
		return Object{"ownerReferences": []any{Object{"kind": kind, "name": name, "uid": "uid-" + cluster + "-" + name}}}
	}
	return []Object{
		KubeSystem(cluster),
		{"apiVersion": "install.tetrate.io/v1alpha1", "kind": "ControlPlane",
			"metadata": meta("controlplane", nil), "spec": Object{
				"managementPlane": Object{"host": "tsb.example.test", "port": 9443, "clusterName": cluster},
				"components":      Object{"xcp": Object{"centralAuthMode": "MUTUAL_TLS"}}}},
		{"apiVersion": "install.xcp.tetrate.io/v1alpha1", "kind": "EdgeXcp", "metadata": meta("edge-xcp", nil),
			"spec": Object{"centralAuthMode": "MUTUAL_TLS"}},
		{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta("edge", Object{"generation": 1}),
			"spec":   Object{"replicas": 1, "selector": Object{"matchLabels": Object{"app": "edge"}}},
			"status": Object{"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}},
		{"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": meta("edge-1", owner("Deployment", "edge"))},
		{"apiVersion": "v1", "kind": "Pod", "metadata": labelled(meta("edge-1-a", owner("ReplicaSet", "edge-1")),
			Object{"app": "edge", "pod-template-hash": "1"}),
			"spec":   Object{"volumes": []any{Object{"name": "cert", "secret": Object{"secretName": "xcp-edge-cert"}}}},
			"status": Object{"phase": "Running", "conditions": []any{Object{"type": "Ready", "status": "True"}}}},
	}
}

// labelled is the metadata of an object, with labels.
func labelled(meta, labels Object) Object {
	meta["labels"] = labels
	return meta
}

// Hub is the objects of a management plane that accepts mutual TLS alone, with an inventory of the given clusters.
func Hub(clusters ...string) []Object {
	objects := []Object{
		KubeSystem("hub"),
		{"apiVersion": "install.tetrate.io/v1alpha1", "kind": "ManagementPlane",
			"metadata": Object{"name": "managementplane", "namespace": "tsb", "uid": "uid-mp"},
			"spec":     Object{"components": Object{"xcp": Object{"centralAuthModes": Object{"mutualTls": true}}}}},
	}
	for _, c := range clusters {
		objects = append(objects, Object{"apiVersion": "xcp.tetrate.io/v2", "kind": "Cluster",
			"metadata": Object{"name": c, "namespace": "tsb"}})
	}
	return objects
}

// KubeSystem is the namespace whose UID identifies a cluster.
func KubeSystem(cluster string) Object {
	return Object{"apiVersion": "v1", "kind": "Namespace", "metadata": Object{"name": "kube-system",
		"uid": "uid-of-" + cluster}}
}

// Secret is a secret with text values.
func Secret(ns, name string, data map[string]string) Object {
	encoded := Object{}
	for k, v := range data {
		encoded[k] = base64.StdEncoding.EncodeToString([]byte(v))
	}
	return Object{"apiVersion": "v1", "kind": "Secret", "metadata": Object{"name": name, "namespace": ns, "uid": "uid-" +
		name}, "data": encoded}
}
