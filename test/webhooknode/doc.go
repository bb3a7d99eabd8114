// Package webhooknode deploys the shipped webhook and its auditor without a kubelet: the manifests applied by the
// real kubectl, each run here as its Deployment says, with its own service account; the webhook with its Secret
// mounted, reached by its Service's address.
// It must not know what the webhook decides, nor who starts it: it needs no test.
package webhooknode
