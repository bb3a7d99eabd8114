package api

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// AddToScheme registers the types of this group, for clients that decode by scheme.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion, &EdgeCluster{}, &EdgeClusterList{})
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
