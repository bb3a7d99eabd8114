package zonetoken

// Names of the product. Sources: its docs (multi-zone authentication, zone proxy authentication), and Kuma's
// pkg/core/resources/apis/system/constants.go and pkg/plugins/secrets/k8s/store.go.
const (
	// SecretType is the type of a global secret in Kubernetes; one of another type is invisible to the control plane.
	SecretType = "system.kuma.io/global-secret"
	// SecretKey is the only key of data that is read.
	SecretKey = "value"

	// KeyPrefix is how the name of a zone token's signing key begins; "-" and its serial follow.
	KeyPrefix = "zone-token-signing-key"
	// RevocationsName is the secret with the revoked tokens' IDs.
	RevocationsName = "zone-token-revocations"

	// scope is what a zone token must be for to authenticate a control plane; others are of zone proxies.
	scope = "cp"

	// KongNamespace and KumaNamespace are where the two products' control planes are installed by default.
	KongNamespace = "kong-mesh-system"
	KumaNamespace = "kuma-system"

	// meshLabel must not be on a global secret: the product's webhook refuses it.
	meshLabel = "kuma.io/mesh"
)
