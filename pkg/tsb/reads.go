package tsb

import (
	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

// The resources of the product that we read. Their short names clash with others (clusters.tsb.tetrate.io), so reading
// always goes by the full name.
var (
	readManagementPlanes = plan.Read{Group: "install.tetrate.io", Version: "v1alpha1", Resource: "managementplanes"}
	readControlPlanes    = plan.Read{Group: "install.tetrate.io", Version: "v1alpha1", Resource: "controlplanes"}
	readEdgeXcps         = plan.Read{Group: "install.xcp.tetrate.io", Version: "v1alpha1", Resource: "edgexcps"}
)

// The secrets of a control plane that tell whether its edge can present a JWT (reference: the vendor's charts and its
// onboarding troubleshooting page).
const (
	secretToken          = "xcp-edge-central-auth-token" // key jwt
	secretCA             = "xcp-central-ca-bundle"       // key ca.crt
	secretEdgeCert       = "xcp-edge-cert"               // mTLS only
	secretServiceAccount = "cluster-service-account"     // keys clusterFqn, jwk
	secretCentralCert    = "xcp-central-cert"            // in the hub: tls.crt, ca.crt
	secretMPCCerts       = "mpc-certs"                   // in the hub, mTLS only
	secretMPCA           = "mp-certs"                    // in the edge: ca.crt of the management plane's API, when that is not signed by a public CA
)

// trialSecret is what we have Central's certificate issued into once, beside the real one.
const trialSecret = "xcp-central-cert-xcpauth-rehearsal"

// tokenBackup is the copy of an edge's token that is kept while a new one is made.
const tokenBackup = secretToken + "-xcpauth-before"

// siblingTokens are minted by the same operator from the same service account (1.5 and newer).
var siblingTokens = []string{"oap-token", "otel-token"}

// servingPort is where Central speaks TLS with its edges (the vendor's firewall page: 9080 gRPC).
const servingPort = 9080

// metricsPort is where Central and the edge serve their metrics (the vendor's firewall page).
const metricsPort = 8080

func secret(ns, name string) plan.Read {
	return plan.Read{Version: "v1", Resource: "secrets", Namespace: ns, Name: name}
}

func podMetrics(ns, name string) plan.Read {
	return plan.Read{Version: "v1", Resource: "pods", Namespace: ns, Name: name, Port: metricsPort}
}

func podServes(ns, name string) plan.Read {
	return plan.Read{Version: "v1", Resource: "pods", Namespace: ns, Name: name, Port: servingPort, Served: true}
}

func certificates(ns string) plan.Read {
	return plan.Read{Group: "cert-manager.io", Version: "v1", Resource: "certificates", Namespace: ns}
}

func centralXcps(ns string) plan.Read {
	return plan.Read{Group: "install.xcp.tetrate.io", Version: "v1alpha1", Resource: "centralxcps", Namespace: ns}
}

func xcpClusters(ns string) plan.Read {
	return plan.Read{Group: "xcp.tetrate.io", Version: "v2", Resource: "clusters", Namespace: ns}
}

// reads lists what to read next of a context, in at most four bursts:
//
//  1. who the cluster is, and its planes, whose names and namespaces vary and are discovered;
//  2. what lies beside each plane in its namespace, the roster in a hub, and the journal;
//  3. in a hub, what a Certificate for an edge's certificate left there;
//  4. with metrics: the pages of Central's pods and of the edge's, and the certificates that Central's pods serve.
func reads(soFar map[plan.Read]plan.Result, metrics bool) []plan.Read {
	if _, begun := soFar[readManagementPlanes]; !begun {
		return []plan.Read{kube.KubeSystem, readManagementPlanes, readControlPlanes, readEdgeXcps}
	}
	var next []plan.Read
	add := func(reads ...plan.Read) {
		for _, r := range reads {
			if _, done := soFar[r]; !done {
				next = append(next, r)
			}
		}
	}
	hubs, edges := kube.Items(soFar[readManagementPlanes]), kube.Items(soFar[readControlPlanes])
	for _, mp := range hubs {
		ns := mp.Metadata.Namespace
		add(kube.DeploymentRead(ns, "central"), kube.DeploymentRead(ns, "mpc"), kube.ReplicaSetsRead(ns), kube.PodsRead(ns), secret(ns, secretCentralCert), secret(ns, secretMPCCerts), secret(ns, trialSecret),
			certificates(ns), centralXcps(ns), xcpClusters(ns))
		add(roster.Reads()...)
		for _, name := range edgeCertificates(soFar, ns) {
			add(secret(ns, name))
		}
		for _, d := range unfinished(soFar, ns) {
			add(secret(ns, d.Object.Name))
		}
	}
	for _, cp := range edges {
		ns := cp.Metadata.Namespace
		add(kube.DeploymentRead(ns, "edge"), kube.ReplicaSetsRead(ns), kube.PodsRead(ns), secret(ns, secretToken), secret(ns, secretCA), secret(ns, secretEdgeCert), secret(ns, secretServiceAccount), secret(ns, secretMPCA))
		add(roster.JournalRead(), readFencePolicy, readFenceBinding)
		for _, s := range siblingTokens {
			add(secret(ns, s))
		}
	}
	if len(next) > 0 || !metrics {
		return next
	}
	for _, mp := range hubs {
		addMetrics(add, soFar, mp.Metadata.Namespace, "central")
	}
	for _, cp := range edges {
		addMetrics(add, soFar, cp.Metadata.Namespace, "edge")
	}
	return next
}

func addMetrics(add func(...plan.Read), soFar map[plan.Read]plan.Result, ns, name string) {
	for _, p := range workload(soFar, ns, name, nil).Processes {
		if p.Started {
			add(podMetrics(ns, p.Name))
			if name == "central" && p.Ready && !p.Ending { // one that starts or ends may not answer
				add(podServes(ns, p.Name))
			}
		}
	}
}
