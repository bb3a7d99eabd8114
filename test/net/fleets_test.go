package net

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

type object = apifake.Object

// noon is when every fleet is looked at.
var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// fleet is what there is in each context.
type fleet struct {
	Contexts map[string][]object `json:"contexts"`
	Down     []string            `json:"down,omitempty"` // contexts that do not answer
}

// maker makes fleets by chance.
type maker struct{ *rand.Rand }

func newMaker(seed uint64) maker { return maker{rand.New(rand.NewPCG(seed, 12))} }

func (m maker) chance(n int) bool { return m.IntN(n) == 0 }

func pick[T any](m maker, of ...T) T { return of[m.IntN(len(of))] }

func stamp(d time.Duration) string { return noon.Add(d).Format(time.RFC3339) }

// jwt is a token that nothing has signed.
func jwt(header, claims string) string {
	e := base64.RawURLEncoding.EncodeToString
	return e([]byte(header)) + "." + e([]byte(claims)) + "." + e([]byte("signature"))
}

func find(objects []object, kind string) object {
	for _, o := range objects {
		if o["kind"] == kind {
			return o
		}
	}
	return nil
}

// created gives every object that runs a time at which it was made, and every pod one at which it was started.
func created(objects []object, at time.Duration) []object {
	for _, o := range objects {
		switch o["kind"] {
		case "Pod":
			o["status"].(object)["containerStatuses"] = []any{
				object{"name": "c", "state": object{"running": object{"startedAt": stamp(at)}}},
			}
			fallthrough
		case "Deployment", "ReplicaSet", "ManagementPlane", "ControlPlane":
			o["metadata"].(object)["creationTimestamp"] = stamp(at)
		}
	}
	return objects
}

// tsbFleet is a management plane and its edges.
func tsbFleet(m maker) fleet {
	f := fleet{Contexts: map[string][]object{}}
	var names []string
	for i := range 1 + m.IntN(4) {
		names = append(names, fmt.Sprintf("edge-%d", i+1))
	}
	hub := apifake.Hub(names...)
	modes := pick(
		m,
		object{"mutualTls": true},
		object{"mutualTls": true, "jwt": true},
		object{"mutualTls": false, "jwt": true},
		object{"jwt": true},
		object{},
	)
	find(hub, "ManagementPlane")["spec"] = object{"components": object{"xcp": object{"centralAuthModes": modes}}}
	if m.chance(6) {
		find(hub, "ManagementPlane")["spec"].(object)["components"].(object)["xcp"].(object)["isolationBoundaries"] = []any{}
		modes["mutualTLS"] = true
	}
	hub = append(
		hub,
		m.workload("tsb", "central", object{"name": "cert", "secret": object{"secretName": "xcp-central-cert"}})...)
	if m.chance(2) {
		hub = append(
			hub,
			m.workload("tsb", "mpc", object{"name": "cert", "secret": object{"secretName": pick(m, "mpc-certs", "other")}})...)
	}
	f.Contexts["hub"] = created(hub, -100*time.Hour)
	if m.chance(2) {
		f.Contexts["hub"] = append(hub, m.roster(names)...)
	}
	for _, name := range names {
		f.Contexts[name] = created(m.edge(name), -time.Duration(m.IntN(50))*time.Hour)
		if m.chance(8) {
			f.Down = append(f.Down, name)
		}
	}
	return f
}

// workload is a Deployment with its pod.
func (m maker) workload(ns, name string, volumes ...any) []object {
	labels := object{"app": name, "pod-template-hash": "1"}
	meta := func(name string, more object) object {
		all := object{"name": name, "namespace": ns, "uid": "uid-" + name, "labels": labels}
		for k, v := range more {
			all[k] = v
		}
		return all
	}
	owner := func(kind, name string) object {
		return object{"ownerReferences": []any{object{"kind": kind, "name": name, "uid": "uid-" + name}}}
	}
	return []object{
		{
			"apiVersion": "apps/v1",
			"kind":       "Deployment",
			"metadata":   meta(name, object{"generation": 1}),
			"spec":       object{"replicas": 1, "selector": object{"matchLabels": object{"app": name}}},
			"status":     object{"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1},
		},
		{"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": meta(name+"-1", owner("Deployment", name))},
		{
			"apiVersion": "v1",
			"kind":       "Pod",
			"metadata":   meta(name+"-1-a", owner("ReplicaSet", name+"-1")),
			"spec":       object{"volumes": volumes},
			"status":     object{"phase": "Running", "conditions": []any{object{"type": "Ready", "status": "True"}}},
		},
	}
}

// edge is the cluster of an edge, somewhere on its way.
func (m maker) edge(name string) []object {
	objects := apifake.Edge(name)
	mode := pick(m, "MUTUAL_TLS", "MUTUAL_TLS", "JWT", "JWT", "")
	xcp := object{"centralAuthMode": mode}
	if mode == "" {
		xcp = object{}
	}
	find(objects, "ControlPlane")["spec"].(object)["components"] = object{"xcp": xcp}
	runs := mode
	if m.chance(5) || mode == "" {
		runs = pick(m, "MUTUAL_TLS", "JWT")
	}
	find(objects, "EdgeXcp")["spec"] = object{"centralAuthMode": runs}
	mounted := "xcp-edge-cert"
	if runs == "JWT" {
		mounted = "xcp-edge-central-auth-token"
	}
	find(objects, "Pod")["spec"] = object{"volumes": []any{object{"name": "v", "secret": object{"secretName": mounted}}}}
	deployment := find(objects, "Deployment")["spec"].(object)
	switch m.IntN(10) {
	case 0:
		deployment["replicas"] = 0
	case 1:
		deployment["paused"] = true
	}
	if !m.chance(5) {
		claims := fmt.Sprintf(
			`{"sub":"%s","iat":%d,"exp":%d}`,
			name,
			noon.Add(-time.Hour).Unix(),
			noon.Add(pick(m, -time.Minute, time.Hour, 100*time.Hour)).Unix(),
		)
		objects = append(
			objects,
			apifake.Secret(
				"istio-system",
				"xcp-edge-central-auth-token",
				map[string]string{"jwt": jwt(`{"alg":"ES256","kid":"k"}`, claims)},
			),
		)
	}
	if m.chance(3) {
		find(objects, "ControlPlane")["metadata"].(object)["annotations"] = pick(
			m,
			object{"argocd.argoproj.io/tracking-id": "app"},
			object{"meta.helm.sh/release-name": "cp", "meta.helm.sh/release-namespace": "istio-system"},
		)
	}
	return objects
}

// roster is the roster of a hub, with a journal now and then.
func (m maker) roster(names []string) []object {
	all := []object{
		{"apiVersion": "v1", "kind": "Namespace", "metadata": object{"name": "xcpauth-system", "uid": "uid-xcpauth"}},
	}
	for _, name := range names {
		if m.chance(4) {
			continue
		}
		entry := object{
			"apiVersion": "xcpauth.io/v1alpha1",
			"kind":       "EdgeCluster",
			"metadata":   object{"name": name, "namespace": "xcpauth-system", "uid": "uid-entry-" + name},
			"spec": object{
				"clusterName": name,
				"role":        "Edge",
				"controlPlane": object{
					"namespace": "istio-system",
					"name":      "controlplane",
					"uid":       "uid-" + name + "-controlplane",
				},
			},
		}
		if m.chance(2) {
			entry["status"] = object{
				"presents":        []any{pick(m, "jwt", "mtls")},
				"observedTime":    stamp(-time.Minute),
				"validUntil":      stamp(pick(m, -time.Second, 10*time.Minute)),
				"controlPlaneUID": pick(m, "uid-"+name+"-controlplane", "another"),
				"source":          "ann@host",
			}
		}
		all = append(all, entry)
	}
	if m.chance(3) {
		all = append(
			all,
			object{
				"apiVersion": "v1",
				"kind":       "ConfigMap",
				"metadata":   object{"name": "xcpauth-journal", "namespace": "xcpauth-system"},
				"data": object{
					"wave-in-flight": `{"wave":"canary","by":"ann@host","began":"` + stamp(-time.Hour) + `","steps":[]}`,
				},
			},
		)
	}
	return all
}

// meshFleet is a global control plane and its zones.
func meshFleet(m maker) fleet {
	f := fleet{Contexts: map[string][]object{}}
	version := pick(m, "2.11.0", "2.13.10", "2.14.6", "3.0.0")
	provided := map[string]bool{}
	zoneToken := pick(m, "KMESH_MULTIZONE_ZONE_KDS_AUTH_CP_TOKEN_INLINE", "KUMA_MULTIZONE_ZONE_KDS_AUTH_TOKEN_INLINE")
	for i := range 1 + m.IntN(4) {
		name := fmt.Sprintf("zone-%d", i+1)
		token := m.chance(2)
		provided[name] = token && !m.chance(4)
		var env []any
		if token {
			env = append(env, apifake.SecretVariable(zoneToken, "cp-token", "token"))
		}
		objects := apifake.Zone(pick(m, version, "2.13.10"), name, env...)
		if token && !m.chance(6) {
			claims := fmt.Sprintf(
				`{"Zone":%q,"Scope":["cp"],"jti":"11111111-1111-4111-8111-11111111111%d","exp":%d}`,
				pick(m, name, name, name, "other"),
				i,
				noon.Add(pick(m, -time.Hour, 10*time.Hour, 1000*time.Hour)).Unix(),
			)
			objects = append(objects, apifake.TokenSecret("cp-token", jwt(`{"alg":"RS256","kid":"1","typ":"JWT"}`, claims)))
		}
		if m.chance(6) {
			find(objects, "Deployment")["spec"].(object)["paused"] = true
		}
		f.Contexts[name] = created(objects, -time.Duration(1+m.IntN(50))*time.Hour)
		if m.chance(8) {
			f.Down = append(f.Down, name)
		}
	}
	var env []any
	if m.chance(2) {
		env = append(env, apifake.Variable("KMESH_MULTIZONE_GLOBAL_KDS_AUTH_TYPE", pick(m, "cpToken", "none")))
	}
	global := apifake.Global(version, provided, env...)
	if m.chance(3) {
		global = append(
			global,
			apifake.GlobalSecret("zone-token-revocations", pick(m, "11111111-1111-4111-8111-111111111110", `["a"]`, "")),
		)
	}
	f.Contexts["global"] = created(global, -200*time.Hour)
	return f
}
