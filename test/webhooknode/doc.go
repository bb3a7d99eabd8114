// Package webhooknode deploys the shipped webhook without a kubelet: its manifests applied by the real kubectl, its binary run
// here as its Deployment says, with its Secret mounted and its own service account, reached by its Service's address.
// It must not know what the webhook decides, nor who starts it: it needs no test.
package webhooknode
