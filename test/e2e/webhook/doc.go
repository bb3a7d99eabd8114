// Package webhook shows the shipped webhook at work: its rendered manifests applied to a real API server by a real
// kubectl, its binary run with the Deployment's own arguments and the manifests' own service account, called by its
// Service. It plays the node (the process, the mounted Secret); it must not know how the webhook decides.
package webhook
