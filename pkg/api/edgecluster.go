package api

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the group and version of every type here.
var GroupVersion = schema.GroupVersion{Group: "xcpauth.io", Version: "v1alpha1"}

// EdgeClusters is the resource of EdgeCluster.
var EdgeClusters = GroupVersion.WithResource("edgeclusters")

// Namespace is where the roster, the journal and the lock lie in a hub that says nothing else; see NamespaceAnnotation.
const Namespace = "xcpauth-system"

// NamespaceAnnotation is the annotation on the CustomResourceDefinition of EdgeCluster that names the namespace of the
// roster, the journal and the lock. It stands there because a hub has that object once, and so one lock: a setting of
// each user could name two.
const NamespaceAnnotation = "xcpauth.io/namespace"

// JournalName is the ConfigMap in Namespace that holds the journal: under JournalKey the wave that a run has in flight, under OriginalsKey
// what each object said before a migration first changed it, under HistoryKey the waves that were carried out.
const (
	JournalName  = "xcpauth-journal"
	JournalKey   = "wave-in-flight"
	OriginalsKey = "originals"
	HistoryKey   = "history"
)

// EdgesNamespace is where the hub keeps the kubeconfigs with which the webhook reads registered edges, one Secret each,
// named like the edge's roster entry; nothing else lies in it. Its name follows from the roster's namespace:
// xcpauth-edges for xcpauth-system, mesh-edges for mesh.
func EdgesNamespace(namespace string) string {
	return strings.TrimSuffix(namespace, "-system") + "-edges"
}

// LockName is the Lease in Namespace that the one run holds which may write.
const LockName = "xcpauth"

// Role says what a member is to the hub.
// +kubebuilder:validation:Enum=Edge;MPC
type Role string

// The roles: an XCP Edge in a cluster of its own (or the hub's), and MPC, which runs in the hub and dials Central too.
const (
	RoleEdge Role = "Edge"
	RoleMPC  Role = "MPC"
)

// EdgeCluster is one member that must be safe before the hub withdraws a credential. Its spec says who the member is
// (registered once), its status what was last verified about it. A member without a believable status is unknown, and
// unknown is unsafe.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=xec,categories=xcpauth
// +kubebuilder:printcolumn:name="Cluster",type=string,JSONPath=`.spec.clusterName`
// +kubebuilder:printcolumn:name="Role",type=string,JSONPath=`.spec.role`
// +kubebuilder:printcolumn:name="Presents",type=string,JSONPath=`.status.presents`
// +kubebuilder:printcolumn:name="Valid until",type=string,JSONPath=`.status.validUntil`
// +kubebuilder:printcolumn:name="Source",type=string,JSONPath=`.status.source`
type EdgeCluster struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   EdgeClusterSpec   `json:"spec"`
	Status EdgeClusterStatus `json:"status,omitempty"`
}

// EdgeClusterSpec says who the member is.
type EdgeClusterSpec struct {
	// ClusterName is the member's name in TSB: spec.managementPlane.clusterName of its ControlPlane. Empty for MPC.
	// +optional
	ClusterName string `json:"clusterName,omitempty"`
	// Role is Edge or MPC.
	Role Role `json:"role"`
	// ClusterUID is the UID of the member cluster's kube-system namespace, which survives renamed contexts.
	// +optional
	ClusterUID string `json:"clusterUID,omitempty"`
	// ControlPlane is the object that configures the edge. Absent for MPC.
	// +optional
	ControlPlane *ControlPlaneReference `json:"controlPlane,omitempty"`
	// Evidence is what the webhook decides from: the Statement in the status (the default), or what it reads Live in the edge's own
	// cluster at the moment of a decision. A Live member that cannot be read is unknown, whatever its status says.
	// +optional
	Evidence Evidence `json:"evidence,omitempty"`
}

// Evidence says where the truth about a member is looked for.
// +kubebuilder:validation:Enum=Statement;Live
type Evidence string

// The kinds of evidence. The empty one is a statement.
const (
	EvidenceStatement Evidence = "Statement"
	EvidenceLive      Evidence = "Live"
)

// ControlPlaneReference names one ControlPlane in the member's cluster.
type ControlPlaneReference struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid"`
}

// EdgeClusterStatus is a statement about what the member presents. It is believed until ValidUntil.
type EdgeClusterStatus struct {
	// Presents lists every credential that the member may present ("mtls", "jwt"). Absent means unknown.
	// +optional
	Presents []string `json:"presents,omitempty"`
	// ObservedTime is when this was seen in the member's cluster, not when it was written here.
	// +optional
	ObservedTime *metav1.Time `json:"observedTime,omitempty"`
	// ValidUntil is when this stops being believed.
	// +optional
	ValidUntil *metav1.Time `json:"validUntil,omitempty"`
	// ControlPlaneUID is the UID of the ControlPlane that this was seen of. When it differs from the spec's, the
	// ControlPlane was re-created and the statement is void.
	// +optional
	ControlPlaneUID string `json:"controlPlaneUID,omitempty"`
	// RotationTime is when a session of the member was seen that had outlived the token with which it began: the renewal of its
	// tokens works. Absent when that was not seen.
	// +optional
	RotationTime *metav1.Time `json:"rotationTime,omitempty"`
	// Fence says that the member's own cluster was verified to deny every edit that would make it present another credential. Behind it
	// a statement is believed longer.
	// +optional
	Fence *FenceStatus `json:"fence,omitempty"`
	// Conditions are what the webhook's auditor last found: "Accepted" is False while the hub does not accept a credential that the
	// member may present.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Source is who published this: user@host.
	// +optional
	Source string `json:"source,omitempty"`
	// Witnesses lists what was seen, one sentence each.
	// +optional
	Witnesses []string `json:"witnesses,omitempty"`
}

// ConditionAccepted is the type of the condition of which the auditor writes.
const ConditionAccepted = "Accepted"

// FenceStatus is the proof of a fence.
type FenceStatus struct {
	// Binding is the ValidatingAdmissionPolicyBinding in the member's cluster by which edits were denied, and UID is its UID and that of its
	// policy, with a slash between: a fence that was made again says nothing of the time between.
	Binding string `json:"binding"`
	UID     string `json:"uid"`
	// ProvenTime is when that was seen.
	ProvenTime metav1.Time `json:"provenTime"`
}

// EdgeClusterList is a list of EdgeCluster.
//
// +kubebuilder:object:root=true
type EdgeClusterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []EdgeCluster `json:"items"`
}
