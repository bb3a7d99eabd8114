// Package api holds the types of our own group, xcpauth.io/v1alpha1: EdgeCluster, the roster's entry for one member.
// They are written by the plugin and read by the webhook; the CustomResourceDefinition in manifests/ is generated from them.
// It knows how the roster is stored, not what is decided from it.
//
// +kubebuilder:object:generate=true
// +groupName=xcpauth.io
// +versionName=v1alpha1
package api

//go:generate go run sigs.k8s.io/controller-tools/cmd/controller-gen@v0.23.0 object paths=. crd paths=. output:crd:dir=../../manifests/crd
