package roster

import (
	"cmp"
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// crdRead reads the roster's kind, which says in which namespace the roster lies.
var crdRead = plan.Read{Group: "apiextensions.k8s.io", Version: "v1",
	Resource: "customresourcedefinitions", Name: crdName}

// Reads is what to read of a hub to know the roster and the journal, of which that much was read: first the roster's
// kind, which says where they are.
func Reads(read map[plan.Read]plan.Result) []plan.Read {
	all := StateReads(read)
	if len(all) > 1 {
		namespace, _ := In(read)
		all = append(all, entriesRead(namespace))
	}
	return all
}

// StateReads is Reads of a cluster that holds the journal and no roster.
func StateReads(read map[plan.Read]plan.Result) []plan.Read {
	if _, begun := read[crdRead]; !begun {
		return []plan.Read{crdRead}
	}
	namespace, _ := In(read)
	return []plan.Read{crdRead, namespaceRead(namespace), JournalRead(namespace)}
}

// In is the namespace of the roster, the journal and the lock in a cluster of which that much was read: the one that
// the roster's kind names, else the usual one. unknown says why that is not known, "" when it is. Where the kind was
// not asked for, as in an edge's own cluster, it is the usual one.
func In(read map[plan.Read]plan.Result) (namespace, unknown string) {
	crd := read[crdRead]
	if crd.Err != "" {
		return api.Namespace, fmt.Sprintf("the CustomResourceDefinition %s could not be read, so it is not known which "+
			"namespace holds the journal: %s", crdName, crd.Err)
	}
	named := plan.Cached(crd, namedBy)
	return named.namespace, named.unknown
}

// named is the namespace that the roster's kind names, or why that is not known.
type named struct{ namespace, unknown string }

func namedBy(crd plan.Result) named {
	if !crd.OK() {
		return named{namespace: api.Namespace}
	}
	namespace, err := NamedBy(crd.Body)
	if err != nil {
		return named{api.Namespace, err.Error()}
	}
	return named{namespace: namespace}
}

// NamedBy is the namespace that the roster's kind, as JSON, names for the roster, the journal and the lock.
func NamedBy(crd []byte) (string, error) {
	var o struct {
		Metadata struct {
			Annotations map[string]string `json:"annotations"`
		} `json:"metadata"`
	}
	if err := kube.Decode(crd, &o); err != nil {
		return "", fmt.Errorf("the CustomResourceDefinition %s is not as its kind says: %w", crdName, err)
	}
	name := cmp.Or(o.Metadata.Annotations[api.NamespaceAnnotation], api.Namespace)
	if err := CheckNamespace(name); err != nil {
		return "", fmt.Errorf("the annotation %s of the CustomResourceDefinition %s: %w", api.NamespaceAnnotation, crdName,
			err)
	}
	return name, nil
}

// CheckNamespace refuses a name that no namespace has, or that leaves no room for the name of the namespace of the
// edges' kubeconfigs.
func CheckNamespace(name string) error {
	for _, n := range []string{name, api.EdgesNamespace(name)} {
		if bad := validation.IsDNS1123Label(n); len(bad) > 0 {
			return fmt.Errorf("%q is not the name of a namespace: %s", n, bad[0])
		}
	}
	return nil
}

// JournalRead reads the journal in a namespace, "" for the usual one. In the usual one a run without a hub keeps its
// journal in an edge's own cluster.
func JournalRead(namespace string) plan.Read {
	return plan.Read{Version: "v1", Resource: "configmaps", Namespace: cmp.Or(namespace, api.Namespace),
		Name: api.JournalName}
}

func namespaceRead(namespace string) plan.Read {
	return plan.Read{Version: "v1", Resource: "namespaces", Name: namespace}
}

func entriesRead(namespace string) plan.Read {
	return plan.Read{Group: api.GroupVersion.Group, Version: api.GroupVersion.Version,
		Resource: api.EdgeClusters.Resource, Namespace: namespace}
}
