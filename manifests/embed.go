// Package manifests holds what is applied to a cluster with kubectl or kustomize: the CRD, the webhook, the RBAC. The
// plugin installs the CRD itself when it registers the first member, and the fence of each edge, and holds what it
// finds of the webhook's configuration against what is shipped, so these files are embedded here, once. It holds
// files only and decides nothing.
package manifests

import _ "embed"

// EdgeClusterCRD is the CustomResourceDefinition of EdgeCluster as YAML, generated from pkg/api.
//
//go:embed crd/xcpauth.io_edgeclusters.yaml
var EdgeClusterCRD []byte

// EdgeFence is the ValidatingAdmissionPolicy that is installed in an edge's cluster, and its binding, as two YAML
// documents.
//
//go:embed fence/policy.yaml
var EdgeFence []byte

// WebhookConfiguration is the webhook's ValidatingWebhookConfiguration as YAML.
//
//go:embed base/validating-webhook-configuration.yaml
var WebhookConfiguration []byte
