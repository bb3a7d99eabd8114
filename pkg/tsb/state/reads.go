package state

import (
	"slices"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

// Reads lists what to read next of a context, in at most four bursts:
//
//  1. who the cluster is, and its planes, whose names and namespaces vary and are discovered;
//  2. what is beside each plane in its namespace, in a hub the roster's kind, and in an edge the journal;
//  3. in a hub, the roster and the journal, and what a Certificate for an edge's certificate left there; beside either
//     plane the ReplicaSets, where a pod does not tell by itself whose it is;
//  4. in an edge, whether another token is made from the service account that is there; and with metrics, the pages of
//     Central's pods and of the edge's, and the certificates that Central's pods serve.
func Reads(soFar map[plan.Read]plan.Result, metrics bool) []plan.Read {
	if _, begun := soFar[ManagementPlanesRead]; !begun {
		return []plan.Read{kube.KubeSystem, ManagementPlanesRead, ControlPlanesRead, EdgeXcpsRead}
	}
	var next []plan.Read
	add := func(reads ...plan.Read) {
		for _, r := range reads {
			if _, done := soFar[r]; !done {
				next = append(next, r)
			}
		}
	}
	hubs, edges := kube.Namespaces(soFar[ManagementPlanesRead]), kube.Namespaces(soFar[ControlPlanesRead])
	for _, ns := range hubs {
		add(besideHub(soFar, ns)...)
	}
	for _, ns := range edges {
		add(besideEdge(soFar, ns)...)
	}
	if len(next) > 0 {
		return next
	}
	for _, ns := range edges {
		add(siblings(soFar, ns)...)
	}
	if !metrics {
		return next
	}
	for _, ns := range hubs {
		addMetrics(add, soFar, ns, "central")
	}
	for _, ns := range edges {
		addMetrics(add, soFar, ns, "edge")
	}
	return next
}

// besideHub is what to read in the namespace of a management plane, and where the hub keeps its state.
func besideHub(soFar map[plan.Read]plan.Result, ns string) []plan.Read {
	reads := append([]plan.Read{kube.DeploymentRead(ns, "central"), kube.DeploymentRead(ns, "mpc"),
		kube.PodsRead(ns), SecretRead(ns, SecretCentralCert), SecretRead(ns, SecretMPCCerts),
		SecretRead(ns, TrialSecret), Certificates(ns), centralXcps(ns), XcpClusters(ns)}, roster.Reads(soFar)...)
	reads = append(reads, replicaSets(soFar, ns, "central", "mpc")...)
	for _, name := range edgeCertificates(soFar, ns) {
		reads = append(reads, SecretRead(ns, name))
	}
	for _, d := range unfinished(soFar, ns) {
		reads = append(reads, SecretRead(ns, d.Object.Name))
	}
	return reads
}

// besideEdge is what to read in the namespace of a control plane, and what a run left in its cluster.
func besideEdge(soFar map[plan.Read]plan.Result, ns string) []plan.Read {
	reads := []plan.Read{kube.DeploymentRead(ns, "edge"), kube.PodsRead(ns), SecretRead(ns, SecretToken),
		SecretRead(ns, SecretCA), SecretRead(ns, SecretEdgeCert), SecretRead(ns, SecretServiceAccount),
		roster.JournalRead(""), FencePolicyRead, FenceBindingRead}
	reads = append(reads, replicaSets(soFar, ns, "edge")...)
	if selfSigned(soFar, ns) {
		reads = append(reads, SecretRead(ns, SecretMPCA))
	}
	return reads
}

// siblings are the other tokens that may be minted from the service account of an edge, where it has one.
func siblings(soFar map[plan.Read]plan.Result, ns string) (reads []plan.Read) {
	if soFar[SecretRead(ns, SecretServiceAccount)].OK() {
		for _, name := range SiblingTokens {
			reads = append(reads, SecretRead(ns, name))
		}
	}
	return reads
}

// The resources of the product that we read. Their short names clash with others (clusters.tsb.tetrate.io), so reading
// always goes by the full name.
var (
	ManagementPlanesRead = plan.Read{Group: "install.tetrate.io", Version: "v1alpha1", Resource: "managementplanes"}
	ControlPlanesRead    = plan.Read{Group: "install.tetrate.io", Version: "v1alpha1", Resource: "controlplanes"}
	EdgeXcpsRead         = plan.Read{Group: "install.xcp.tetrate.io", Version: "v1alpha1", Resource: "edgexcps"}
)

// The secrets of a control plane that tell whether its edge can present a JWT (reference: the vendor's charts and its
// onboarding troubleshooting page).
const (
	SecretToken          = "xcp-edge-central-auth-token" // key jwt
	SecretCA             = "xcp-central-ca-bundle"       // key ca.crt
	SecretEdgeCert       = "xcp-edge-cert"               // mTLS only
	SecretServiceAccount = "cluster-service-account"     // keys clusterFqn, jwk
	SecretCentralCert    = "xcp-central-cert"            // in the hub: tls.crt, ca.crt
	SecretMPCCerts       = "mpc-certs"                   // in the hub, mTLS only
	// in the edge: ca.crt of the management plane's API, when that is not signed by a public CA
	SecretMPCA = "mp-certs"
)

// TrialSecret is what we have Central's certificate issued into once, beside the real one.
const TrialSecret = "xcp-central-cert-xcpauth-rehearsal"

// TokenBackup is the copy of an edge's token that is kept while a new one is made.
const TokenBackup = SecretToken + "-xcpauth-before"

// SiblingTokens are minted by the same operator from the same service account (1.5 and newer).
var SiblingTokens = []string{"oap-token", "otel-token"}

// servingPort is where Central speaks TLS with its edges (the vendor's firewall page: 9080 gRPC).
const servingPort = 9080

// metricsPort is where Central and the edge serve their metrics (the vendor's firewall page).
const metricsPort = 8080

func SecretRead(ns, name string) plan.Read {
	return plan.Read{Version: "v1", Resource: "secrets", Namespace: ns, Name: name}
}

func Certificates(ns string) plan.Read {
	return plan.Read{Group: "cert-manager.io", Version: "v1", Resource: "certificates", Namespace: ns}
}

func centralXcps(ns string) plan.Read {
	return plan.Read{Group: "install.xcp.tetrate.io", Version: "v1alpha1", Resource: "centralxcps", Namespace: ns}
}

func XcpClusters(ns string) plan.Read {
	return plan.Read{Group: "xcp.tetrate.io", Version: "v2", Resource: "clusters", Namespace: ns}
}

func addMetrics(add func(...plan.Read), soFar map[plan.Read]plan.Result, ns, name string) {
	for _, p := range Workload(soFar, ns, name, nil).Processes {
		if p.Started {
			add(PodMetricsRead(ns, p.Name))
			if name == "central" && p.Ready && !p.Ending { // one that starts or ends may not answer
				add(podServes(ns, p.Name))
			}
		}
	}
}

func PodMetricsRead(ns, name string) plan.Read {
	return plan.Read{Version: "v1", Resource: "pods", Namespace: ns, Name: name, Port: metricsPort}
}

func podServes(ns, name string) plan.Read {
	return plan.Read{Version: "v1", Resource: "pods", Namespace: ns, Name: name, Port: servingPort, Served: true}
}

// PairBackup is the secret in which the pair lies that was replaced last. It has one name, so that a role can name it.
const PairBackup = SecretCentralCert + "-xcpauth-before"

// Rollouts says of a read that it tells how far the rollouts of a plane have come.
func Rollouts(r plan.Read) bool {
	return r.Port == 0 && (r.Resource == "pods" || r.Resource == "replicasets" || r.Resource == "deployments")
}

// Counters says of a read that it is a metrics page.
func Counters(r plan.Read) bool { return r.Port == metricsPort }

// Modes says of a read that it tells what the operators of the planes have made of their modes.
func Modes(r plan.Read) bool { return r.Group == EdgeXcpsRead.Group }

// Token says of a read that it is an edge's token.
func Token(r plan.Read) bool { return r.Resource == "secrets" && r.Name == SecretToken }

// selfSigned says whether a ControlPlane of a namespace says, or may say, that the management plane's API is verified
// by a CA of its own.
func selfSigned(read map[plan.Read]plan.Result, ns string) bool {
	type plane struct {
		Metadata kube.Identity `json:"metadata"`
		Spec     struct {
			ManagementPlane struct {
				SelfSigned any `json:"selfSigned"`
			} `json:"managementPlane"`
		} `json:"spec"`
	}
	planes, why := kube.ListOf[plane](read[ControlPlanesRead])
	return why != "" || slices.ContainsFunc(planes, func(p plane) bool {
		said := p.Spec.ManagementPlane.SelfSigned
		return p.Metadata.Namespace == ns && said != nil && said != false
	})
}

// Detects says whether a cluster holds a plane of TSB.
func Detects(s plan.Snapshot) bool {
	return len(kube.Namespaces(s.Reads[ManagementPlanesRead])) > 0 || len(kube.Namespaces(s.Reads[ControlPlanesRead])) > 0
}

// MemberAlone says whether a cluster holds a control plane of TSB, and no management plane.
func MemberAlone(s plan.Snapshot) bool {
	hubs, edges := s.Reads[ManagementPlanesRead], s.Reads[ControlPlanesRead]
	return hubs.Err == "" && len(kube.Namespaces(hubs)) == 0 && len(kube.Namespaces(edges)) > 0
}

// Name is how the product is selected.
const Name = "tsb"
