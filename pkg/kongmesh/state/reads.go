package state

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

// Reads lists what to read next of a context, in bursts: who the cluster is, and its control planes; then what is
// beside each, and with a global its zones, what it says of their sessions, and the journal; and where a global keeps
// its state to itself, what its API answers; the ReplicaSets, where a pod does not tell by itself whose it is.
func Reads(soFar map[plan.Read]plan.Result, _ bool) []plan.Read {
	if _, begun := soFar[ControlPlanesRead]; !begun {
		return []plan.Read{kube.KubeSystem, ControlPlanesRead}
	}
	var next []plan.Read
	add := func(reads ...plan.Read) {
		for _, r := range reads {
			if _, done := soFar[r]; !done {
				next = append(next, r)
			}
		}
	}
	planes, _ := kube.Deployments(soFar[ControlPlanesRead])
	for i, d := range planes {
		ns := d.Metadata.Namespace
		add(readPods(ns), readSecrets(ns))
		if controlled(soFar, &planes[i]).NeedsReplicaSets() {
			add(readReplicaSets(ns))
		}
		if at := ConfigFileOf(d.Metadata, d.Spec.Template.Spec); at.Unknown == "" {
			add(at.Read)
		}
		if cp := ControlPlaneOf(&planes[i], soFar); cp.Mode == ModeGlobal {
			add(globalReads(cp, soFar)...)
			add(roster.StateReads(soFar)...)
		}
	}
	return next
}

// Where the product's objects are. Sources: the Helm chart (Kuma deployments/charts/kuma: cp-deployment.yaml,
// cp-configmap.yaml and the label app of _helpers.tpl; Kong Mesh's chart carries it under its own name), and the CRDs
// of Zone and ZoneInsight beside it.
var (
	ControlPlanesRead = plan.Read{Group: "apps", Version: "v1", Resource: "deployments",
		Labels: "app in (kong-mesh-control-plane,kuma-control-plane)"}
	readZones    = plan.Read{Group: "kuma.io", Version: "v1alpha1", Resource: "zones"}
	readInsights = plan.Read{Group: "kuma.io", Version: "v1alpha1", Resource: "zoneinsights"}
)

// ContainerName is the container of a control plane's pods, after the chart.
const ContainerName = "control-plane"

// all is a selector that everything matches: a pod that somebody took out of its Deployment's labels runs on, and
// counts. It tells these reads from those of another product.
const all = "!xcpauth.io/none"

func readReplicaSets(ns string) plan.Read {
	r := kube.ReplicaSetsRead(ns)
	r.Labels = all
	return r
}

func readPods(ns string) plan.Read {
	r := kube.PodsRead(ns)
	r.Labels = all
	return r
}

func readSecrets(ns string) plan.Read {
	return plan.Read{Version: "v1", Resource: "secrets", Namespace: ns}
}

// Detects says whether a cluster holds a control plane of the product.
func Detects(s plan.Snapshot) bool {
	planes, _ := kube.Deployments(s.Reads[ControlPlanesRead])
	return slices.ContainsFunc(planes, func(d kube.Decoded) bool {
		mode := ControlPlaneOf(&d, s.Reads).Mode
		return mode == ModeGlobal || mode == ModeZone
	})
}

// Trim leaves of secrets those that a control plane or a token can be made of, of pods what is read of them, and of
// ReplicaSets whose they are: a thousand clusters' worth of the rest would not fit. What is not as its kind says
// stays as it is.
func Trim(r plan.Read, body []byte) []byte {
	switch {
	case r.Asked != "":
		return trimAnswer(r, body)
	case r.Resource == "secrets" && r.Name == "":
		return kube.TrimItems(body, func(o []byte) []byte {
			var kind struct {
				Type string `json:"type"`
			}
			err := kube.Decode(o, &kind)
			if err != nil || slices.Contains([]string{zonetoken.SecretType, "", "Opaque", "kubernetes.io/tls"}, kind.Type) {
				return o
			}
			return nil
		})
	case r.Resource == "deployments" && r.Labels != "":
		return kube.TrimNotes(body)
	case r == readInsights:
		return kube.TrimItems(body, func(o []byte) []byte {
			return trimmed(o, func(z *insightObject) { z.Spec = z.Spec.trimmed() })
		})
	case r.Resource == "pods" && r.Labels != "":
		return trimEach[kube.Pod](body)
	case r.Resource == "replicasets" && r.Labels != "":
		return trimEach[kube.ReplicaSet](body)
	}
	return body
}

// trimAnswer leaves of what a global's own API answers what is read of it.
func trimAnswer(r plan.Read, body []byte) []byte {
	switch {
	case strings.HasSuffix(r.Asked, askedZones):
		return kube.TrimItems(body, func(o []byte) []byte {
			return trimmed(o, func(z *zoneAsked) { z.Insight = z.Insight.trimmed() })
		})
	case strings.HasSuffix(r.Asked, GlobalSecrets):
		return kube.TrimItems(body, func(o []byte) []byte {
			return trimmed(o, func(s *zonetoken.APISecret) {
				if !strings.HasPrefix(s.Name, zonetoken.KeyPrefix) && s.Name != zonetoken.RevocationsName {
					s.Data = nil // the private keys of CAs are among them
				}
			})
		})
	}
	return body
}

// trimEach leaves of the objects of a list what T has a field for; of one that does not fit T, all.
func trimEach[T any](body []byte) []byte { return kube.TrimItems(body, kube.Trim[T]) }

// trimmed leaves of an object what T has a field for, without what take takes out; of one that does not fit T, all.
func trimmed[T any](object []byte, take func(*T)) []byte {
	var o T
	if kube.Decode(object, &o) != nil {
		return object
	}
	take(&o)
	b, err := json.Marshal(o)
	if err != nil {
		return object
	}
	return b
}

// Rollouts says of a read that it tells how far the rollouts of control planes have come.
func Rollouts(r plan.Read) bool {
	return r.Asked == "" && (r == ControlPlanesRead || r.Resource == "pods" || r.Resource == "replicasets")
}

// Sessions says of a read that it tells of the sessions of zones.
func Sessions(r plan.Read) bool { return r == readInsights || strings.HasSuffix(r.Asked, askedZones) }

// Name is how the product is selected.
const Name = "kong-mesh"
