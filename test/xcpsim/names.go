package xcpsim

import "k8s.io/apimachinery/pkg/runtime/schema"

// Names of the vendor's objects and documented values; those below xcpsim- are the simulator's own.
const (
	centralXcpName    = "central-xcp"
	edgeXcpName       = "edge-xcp"
	centralDeployment = "central"
	mpcDeployment     = "mpc"
	edgeDeployment    = "edge"

	centralCertSecret    = "xcp-central-cert"
	mpcCertSecret        = "mpc-certs"
	edgeCertSecret       = "xcp-edge-cert"
	edgeTokenSecret      = "xcp-edge-central-auth-token"
	caBundleSecret       = "xcp-central-ca-bundle"
	serviceAccountSecret = "cluster-service-account"
	signingKeySecret     = "iam-signing-key"

	tokenVolume = "xcp-central-auth-jwt"
	caVolume    = "xcp-central-auth-ca"

	// MPCMember is the name under which MPC's dials and sessions are recorded.
	MPCMember = "mpc"

	modeMTLS = "MUTUAL_TLS"
	modeJWT  = "JWT"

	centralSPIFFE = "spiffe://xcp.tetrate.io/central"
	centralDNS    = "central.xcp.tetrate.io"

	defaultHost         = "tsb.example.test"
	defaultPort         = 9443
	defaultOrganization = "example"

	defaultHubName       = "managementplane"
	defaultHubNamespace  = "tsb"
	defaultEdgeName      = "controlplane"
	defaultEdgeNamespace = "istio-system"

	grpcPort    = 9080
	metricsPort = 8080

	nodeName = "xcpsim-node"
)

var (
	managementPlanes = schema.GroupVersionResource{Group: "install.tetrate.io", Version: "v1alpha1",
		Resource: "managementplanes"}
	controlPlanes = schema.GroupVersionResource{Group: "install.tetrate.io", Version: "v1alpha1",
		Resource: "controlplanes"}
	centralXcps = schema.GroupVersionResource{Group: "install.xcp.tetrate.io", Version: "v1alpha1",
		Resource: "centralxcps"}
	edgeXcps = schema.GroupVersionResource{Group: "install.xcp.tetrate.io", Version: "v1alpha1",
		Resource: "edgexcps"}
	xcpClusters = schema.GroupVersionResource{Group: "xcp.tetrate.io", Version: "v2", Resource: "clusters"}
	deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
)
