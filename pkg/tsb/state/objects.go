package state

import (
	"fmt"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// The secrets that tell what a pod presents, by that it mounts them.
var (
	edgeCredentials = []string{SecretToken, SecretEdgeCert}
	mpcCredentials  = []string{SecretMPCCerts}
	credentials     = slices.Concat(edgeCredentials, mpcCredentials)
)

// Workload reads a Deployment of the product with its pods, and every other pod of the namespace that mounts one of
// the role's credentials. presents tells from the mounted secrets which credential a pod was started with.
func Workload(read map[plan.Read]plan.Result, ns, name string, presents func(mounts []string) guard.Cred,
	mounted ...string) plan.Workload {
	return controlled(read, ns, name).Workload(func(p kube.Pod, proc *plan.Process) {
		if presents != nil {
			proc.Presents = presents(p.Mounts())
		}
		if m, tried := read[PodMetricsRead(ns, p.Metadata.Name)]; tried {
			proc.Counters, proc.NoMetric = counters(m)
		}
		if served := read[podServes(ns, p.Metadata.Name)]; served.OK() {
			if c := CertificateOf(served.Body, "pod "+p.Metadata.Name); c.Err == "" {
				proc.Serves = &c
			}
		}
	}, func(p kube.Pod) bool {
		return slices.ContainsFunc(p.Mounts(), func(secret string) bool { return slices.Contains(mounted, secret) })
	})
}

// replicaSets is the read of a namespace's ReplicaSets, where one of these Deployments needs it.
func replicaSets(read map[plan.Read]plan.Result, ns string, deployments ...string) []plan.Read {
	if slices.ContainsFunc(deployments, func(name string) bool { return controlled(read, ns, name).NeedsReplicaSets() }) {
		return []plan.Read{kube.ReplicaSetsRead(ns)}
	}
	return nil
}

// controlled is a Deployment of the product, as far as it was read.
func controlled(read map[plan.Read]plan.Result, ns, name string) kube.Controlled {
	return kube.Controlled{Namespace: ns, Name: name, Deployment: read[kube.DeploymentRead(ns, name)],
		ReplicaSets: read[kube.ReplicaSetsRead(ns)], Pods: read[kube.PodsRead(ns)]}
}

// edgePresents tells an edge pod's credential by what it mounts (the volumes are documented for JWT; that an mTLS edge
// mounts xcp-edge-cert is inferred).
func edgePresents(mounts []string) guard.Cred {
	switch token, cert := slices.Contains(mounts, SecretToken), slices.Contains(mounts, SecretEdgeCert); {
	case token && !cert:
		return JWT
	case cert && !token:
		return MTLS
	}
	return "" // neither or both: not known to be one
}

// mpcPresents tells MPC's credential: it needs mpc-certs for mutual TLS (the vendor's certificate page), so without
// them it cannot present a certificate.
func mpcPresents(mounts []string) guard.Cred {
	if slices.Contains(mounts, SecretMPCCerts) {
		return MTLS
	}
	return JWT
}

// presented is the union of what the processes present and of what is configured; nil as soon as a part is unknown.
func presented(w plan.Workload, configured ...guard.Cred) ([]guard.Cred, string) {
	if w.Err != "" {
		return nil, w.Err
	}
	if !w.Found {
		return nil, "its Deployment is not there"
	}
	all := []guard.Cred{}
	for _, c := range configured {
		if c == "" {
			return nil, "its configured mode is not explicit"
		}
		all = append(all, c)
	}
	var seen []string
	for _, p := range w.Processes {
		if p.Presents == "" {
			return nil, fmt.Sprintf("pod %s mounts neither credential, or both", p.Name)
		}
		all = append(all, p.Presents)
		seen = append(seen, fmt.Sprintf("%s presents %s", p.Name, p.Presents))
	}
	slices.Sort(all)
	if len(seen) == 0 {
		return slices.Compact(all), "no pods; it will present what is configured"
	}
	return slices.Compact(all), "read from its pods: " + strings.Join(seen, ", ")
}
