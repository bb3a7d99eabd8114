package zonetoken

import (
	"slices"
)

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

// Severity says how much a finding matters.
type Severity string

// The severities, worst first.
const (
	Error   Severity = "error"   // it is refused, or breaks something
	Warning Severity = "warning" // it works, and should not be left so
	Info    Severity = "info"    // worth knowing
)

// Finding is one thing that is wrong, or laxer than it should be.
type Finding struct {
	ID       string   `json:"id"` // what tests and scripts know it by; never used again for anything else
	Severity Severity `json:"severity"`
	Found    string   `json:"saw"`              // one clause
	Remedy   string   `json:"remedy,omitempty"` // one sentence
}

// Findings collects them.
type Findings []Finding

func (f *Findings) add(id string, s Severity, saw, remedy string) {
	*f = append(*f, Finding{id, s, saw, remedy})
}

// Has says whether a finding of this ID is there.
func (f Findings) Has(id string) bool {
	return slices.ContainsFunc(f, func(g Finding) bool { return g.ID == id })
}
