// Package manifests holds what is applied to a cluster with kubectl or kustomize: the CRD, the webhook, the RBAC. The
// plugin installs the CRD itself when it registers the first member, and the fence of each edge, prints and applies the
// rest, and holds what it finds of the webhook's configuration against what is shipped, so these files are embedded
// here, once. It holds
// files only and decides nothing.
package manifests

import "embed"

// EdgeClusterCRD is the CustomResourceDefinition of EdgeCluster as YAML, generated from pkg/api.
//
//go:embed crd/xcpauth.io_edgeclusters.yaml
var EdgeClusterCRD []byte

// EdgeFence is the ValidatingAdmissionPolicy that is installed in an edge's cluster, and its binding, as two YAML
// documents.
//
//go:embed fence/policy.yaml
var EdgeFence []byte

// WebhookConfiguration is the webhook's ValidatingWebhookConfiguration as YAML, with the entries that it writes.
//
//go:embed guard/validating-webhook-configuration.yaml
var WebhookConfiguration []byte

// SelfSigned and CertManager are what kustomize renders of the overlays of these names, with the image that a checkout
// names.
var (
	//go:embed rendered/self-signed.yaml
	SelfSigned []byte
	//go:embed rendered/cert-manager.yaml
	CertManager []byte
)

// Files are the roles for users, with what they refer to.
//
//go:embed rbac crd
var Files embed.FS
