package xcpsim

// image is what the simulator's pods claim to run.
const image = "xcpsim.invalid/xcp:0"

// deployment renders one Deployment of one pod for server-side apply: replicas, strategy, environment and secret
// volumes are the operator's, whatever else others put there stays.
type deployment struct {
	namespace, name string
	replicas        int64
	recreate        bool
	serviceAccount  string
	env             [][2]string
	volumes         []volume
	ports           []int64
}

type volume struct {
	name, secret string
	optional     bool
}

func (d deployment) object() map[string]any {
	labels := map[string]any{"app": d.name}
	strategy := map[string]any{"type": "RollingUpdate", "rollingUpdate": map[string]any{"maxSurge": int64(1),
		"maxUnavailable": int64(0)}}
	if d.recreate {
		strategy = map[string]any{"type": "Recreate"}
	}
	var env, volumes, mounts, ports []any
	for _, e := range d.env {
		env = append(env, map[string]any{"name": e[0], "value": e[1]})
	}
	for _, v := range d.volumes {
		secret := map[string]any{"secretName": v.secret}
		if v.optional {
			secret["optional"] = true
		}
		volumes = append(volumes, map[string]any{"name": v.name, "secret": secret})
		mounts = append(mounts, map[string]any{"name": v.name, "mountPath": "/etc/xcpsim/" + v.name, "readOnly": true})
	}
	for _, p := range d.ports {
		ports = append(ports, map[string]any{"containerPort": p, "protocol": "TCP"})
	}
	container := map[string]any{"name": d.name, "image": image, "env": env, "ports": ports}
	pod := map[string]any{"automountServiceAccountToken": false, "containers": []any{container}}
	if d.serviceAccount != "" {
		pod["serviceAccountName"] = d.serviceAccount
	}
	if len(volumes) > 0 {
		container["volumeMounts"] = mounts
		pod["volumes"] = volumes
	}
	return map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{"namespace": d.namespace, "name": d.name, "labels": labels},
		"spec": map[string]any{
			"replicas": d.replicas, "strategy": strategy, "selector": map[string]any{"matchLabels": labels},
			"template": map[string]any{"metadata": map[string]any{"labels": labels}, "spec": pod},
		},
	}
}
