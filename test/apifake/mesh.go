package apifake

const meshNamespace, meshName = "kong-mesh-system", "kong-mesh-control-plane"

// controlPlane is the objects of a control plane of Kong Mesh, one Deployment and one pod, with these variables.
func controlPlane(cluster, version string, env []any) []Object {
	meta := func(name string, more Object) Object {
		m := Object{"name": name, "namespace": meshNamespace, "uid": "uid-" + cluster + "-" + name,
			"labels": Object{"app": meshName}}
		for k, v := range more {
			m[k] = v
		}
		return m
	}
	owner := func(kind, name string) Object {
		return Object{"ownerReferences": []any{Object{"kind": kind, "name": name, "uid": "uid-" + cluster + "-" + name}}}
	}
	spec := Object{"containers": []any{Object{"name": "control-plane", "image": "docker.io/kong/kuma-cp:" +
		version, "env": env}}}
	return []Object{
		KubeSystem(cluster),
		{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta(meshName, Object{"generation": 1}),
			"spec": Object{"replicas": 1, "selector": Object{"matchLabels": Object{"app": meshName}},
				"template": Object{"spec": spec}},
			"status": Object{"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}},
		{"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": meta(meshName+"-1", owner("Deployment", meshName))},
		{"apiVersion": "v1", "kind": "Pod", "metadata": labelled(meta(meshName+"-1-a", owner("ReplicaSet", meshName+"-1")),
			Object{"app": meshName, "pod-template-hash": "1"}),
			"spec":   spec,
			"status": Object{"phase": "Running", "conditions": []any{Object{"type": "Ready", "status": "True"}}}},
	}
}

// Variable is a variable of a container; SecretVariable one whose value is a key of a secret.
func Variable(name, value string) Object { return Object{"name": name, "value": value} }

// SecretVariable is a variable of a container whose value is a key of a secret.
func SecretVariable(name, secret, key string) Object {
	return Object{"name": name, "valueFrom": Object{"secretKeyRef": Object{"name": secret, "key": key}}}
}

// Global is the objects of a global control plane of Kong Mesh with these zones, each connected, with a token where
// provided says so.
func Global(version string, provided map[string]bool, env ...any) []Object {
	objects := controlPlane("global", version, append([]any{Variable("KUMA_MODE", "global"),
		Variable("KUMA_ENVIRONMENT", "kubernetes"), Variable("KUMA_STORE_TYPE", "kubernetes")}, env...))
	for zone, token := range provided {
		session := Object{"id": "session-of-" + zone, "connectTime": "2026-01-02T12:00:00Z"}
		if token {
			session["authTokenProvided"] = true
		}
		objects = append(objects, Object{"apiVersion": "kuma.io/v1alpha1", "kind": "Zone", "metadata": Object{"name": zone}},
			Object{"apiVersion": "kuma.io/v1alpha1", "kind": "ZoneInsight", "metadata": Object{"name": zone},
				"spec": Object{"subscriptions": []any{session}}})
	}
	return objects
}

// Zone is the objects of a zone control plane of Kong Mesh.
func Zone(version, zone string, env ...any) []Object {
	return controlPlane(zone, version, append([]any{Variable("KUMA_MODE", "zone"),
		Variable("KUMA_MULTIZONE_ZONE_NAME", zone), Variable("KUMA_MULTIZONE_ZONE_GLOBAL_ADDRESS",
			"grpcs://global.example.test:5685")}, env...))
}

// GlobalSecret is a secret that a control plane sees.
func GlobalSecret(name, value string) Object {
	o := Secret(meshNamespace, name, map[string]string{"value": value})
	o["type"] = "system.kuma.io/global-secret"
	return o
}

// TokenSecret is a secret with the token of a zone.
func TokenSecret(name, token string) Object {
	o := Secret(meshNamespace, name, map[string]string{"token": token})
	o["type"] = "Opaque"
	return o
}
