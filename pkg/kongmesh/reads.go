package kongmesh

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

// Where the product's objects are. Sources: the Helm chart (Kuma deployments/charts/kuma: cp-deployment.yaml, cp-configmap.yaml and the
// label app of _helpers.tpl; Kong Mesh's chart carries it under its own name), and the CRDs of Zone and ZoneInsight beside it.
var (
	readControlPlanes = plan.Read{Group: "apps", Version: "v1", Resource: "deployments", Labels: "app in (kong-mesh-control-plane,kuma-control-plane)"}
	readZones         = plan.Read{Group: "kuma.io", Version: "v1alpha1", Resource: "zones"}
	readInsights      = plan.Read{Group: "kuma.io", Version: "v1alpha1", Resource: "zoneinsights"}
)

// containerName is the container of a control plane's pods, after the chart.
const containerName = "control-plane"

// all is a selector that everything matches: a pod that somebody took out of its Deployment's labels runs on, and counts. It tells these
// reads from those of another product.
const all = "!xcpauth.io/none"

func readReplicaSets(d kube.Object) plan.Read {
	r := kube.ReplicaSetsRead(d.Metadata.Namespace)
	r.Labels = all
	return r
}

func readPods(d kube.Object) plan.Read {
	r := kube.PodsRead(d.Metadata.Namespace)
	r.Labels = all
	return r
}

func readSecrets(ns string) plan.Read {
	return plan.Read{Version: "v1", Resource: "secrets", Namespace: ns}
}

// readConfig is the ConfigMap with the control plane's configuration file, which its environment goes before.
func readConfig(d kube.Object) plan.Read {
	return plan.Read{Version: "v1", Resource: "configmaps", Namespace: d.Metadata.Namespace, Name: d.Metadata.Name + "-config"}
}

// reads lists what to read next of a context, in two bursts: who the cluster is, and its control planes; then what lies beside each, and
// with a global its zones, what it says of their sessions, and the journal.
func reads(soFar map[plan.Read]plan.Result, _ bool) []plan.Read {
	if _, begun := soFar[readControlPlanes]; !begun {
		return []plan.Read{kube.KubeSystem, readControlPlanes}
	}
	var next []plan.Read
	add := func(reads ...plan.Read) {
		for _, r := range reads {
			if _, done := soFar[r]; !done {
				next = append(next, r)
			}
		}
	}
	for _, d := range kube.Items(soFar[readControlPlanes]) {
		add(readReplicaSets(d), readPods(d), readSecrets(d.Metadata.Namespace), readConfig(d))
		if cp := controlPlaneOf(d, soFar); cp.mode == modeGlobal {
			add(readZones, readInsights, roster.NamespaceRead(), roster.JournalRead())
		}
	}
	return next
}

// here says whether a cluster holds a control plane of the product.
func here(s plan.Snapshot) bool {
	return slices.ContainsFunc(kube.Items(s.Reads[readControlPlanes]), func(d kube.Object) bool {
		mode := controlPlaneOf(d, s.Reads).mode
		return mode == modeGlobal || mode == modeZone
	})
}

// trim leaves of secrets those that a control plane or a token can be made of, and of ReplicaSets their metadata.
func trim(r plan.Read, body []byte) []byte {
	switch {
	case r.Resource == "secrets" && r.Name == "":
		return trimList(body, func(o map[string]any) bool {
			t, _ := o["type"].(string)
			return t == SecretType || t == "" || t == "Opaque" || t == "kubernetes.io/tls"
		})
	case r.Resource == "replicasets" && r.Labels != "":
		return trimList(body, func(o map[string]any) bool { delete(o, "spec"); delete(o, "status"); return true })
	}
	return body
}

func trimList(body []byte, keep func(map[string]any) bool) []byte {
	var l struct {
		Items []map[string]any `json:"items"`
	}
	if json.Unmarshal(body, &l) != nil {
		return body
	}
	kept := []map[string]any{}
	for _, o := range l.Items {
		if keep(o) {
			kept = append(kept, o)
		}
	}
	b, err := json.Marshal(map[string]any{"items": kept})
	if err != nil {
		return body
	}
	return b
}

// secretsIn decodes the secrets of a namespace, and says why they could not be read.
func secretsIn(read map[plan.Read]plan.Result, ns string) ([]secretObject, string) {
	r := read[readSecrets(ns)]
	if why := kube.Unreadable(r); why != "" {
		return nil, fmt.Sprintf("the secrets in %s could not be read: %s", ns, why)
	}
	var l struct {
		Items []secretObject `json:"items"`
	}
	if err := json.Unmarshal(r.Body, &l); err != nil {
		return nil, fmt.Sprintf("the secrets in %s are not as their kind says", ns) // the cause may quote one
	}
	return l.Items, ""
}

// secretObject is a Secret as it was read. Its data never leaves this package but as plan.Secret.
type secretObject struct {
	Metadata kube.Metadata `json:"metadata"`
	Type     string        `json:"type"`
	// Immutable says that the data is as it was when the object was made.
	Immutable bool              `json:"immutable"`
	Data      map[string][]byte `json:"data"`
}
