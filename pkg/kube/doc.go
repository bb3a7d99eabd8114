// Package kube reads Kubernetes' own objects as data: metadata, who owns them, a Deployment with its pods, which
// cluster is which. Unknown never becomes absent: what could not be read says why. It must not know a product, a
// client, the clock, the environment or randomness.
package kube
