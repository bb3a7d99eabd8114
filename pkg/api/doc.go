// Package api holds the types of our own group, xcpauth.io/v1alpha1: EdgeCluster, the roster's entry for one member.
// They are written by the plugin and read by the webhook; the CustomResourceDefinition in manifests/ is generated from them.
// It knows how the roster is stored, not what is decided from it.
//
// +kubebuilder:object:generate=true
// +groupName=xcpauth.io
package api
