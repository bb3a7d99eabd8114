package install

import (
	"fmt"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

// In has the objects installed in a namespace of its own in place of the usual one: the namespace itself, that of the
// edges' kubeconfigs, what names them, and the roster's kind, which tells every user where the lock is. A name that
// cannot be meant is an error.
func In(objects []Object, namespace string) ([]Object, error) {
	if err := roster.CheckNamespace(namespace); err != nil {
		return nil, err
	}
	if namespace == api.Namespace {
		return objects, nil
	}
	names := strings.NewReplacer(api.Namespace, namespace,
		api.EdgesNamespace(api.Namespace), api.EdgesNamespace(namespace))
	all := make([]Object, len(objects))
	for i, o := range objects {
		all[i] = renamed(o, names).(Object)
		if o["kind"] != "CustomResourceDefinition" {
			continue
		}
		metadata := all[i]["metadata"].(Object)
		annotations, _ := metadata["annotations"].(Object)
		if annotations == nil {
			annotations = Object{}
		}
		annotations[api.NamespaceAnnotation] = namespace
		metadata["annotations"] = annotations
	}
	return all, nil
}

// Placed says whether any of the objects is in our namespace, or names it.
func Placed(objects []Object) bool {
	for _, o := range objects {
		if o["kind"] == "CustomResourceDefinition" || mentions(o, api.Namespace) {
			return true
		}
	}
	return false
}

func mentions(v any, name string) bool {
	switch v := v.(type) {
	case string:
		return strings.Contains(v, name)
	case []any:
		return slices.ContainsFunc(v, func(v any) bool { return mentions(v, name) })
	case Object:
		for key := range v {
			if mentions(v[key], name) {
				return true
			}
		}
	}
	return false
}

// Names says whether the objects tell a cluster its namespace: the roster's kind is among them.
func Names(objects []Object) bool {
	return slices.ContainsFunc(objects, func(o Object) bool { return o["kind"] == "CustomResourceDefinition" })
}

// renamed is a value with the names in every text of it.
func renamed(v any, names *strings.Replacer) any {
	switch v := v.(type) {
	case string:
		return names.Replace(v)
	case []any:
		all := make([]any, len(v))
		for i := range v {
			all[i] = renamed(v[i], names)
		}
		return all
	case Object:
		o := make(Object, len(v))
		for key := range v {
			o[key] = renamed(v[key], names)
		}
		return o
	}
	return v
}

// Used is what a cluster has of an installation.
type Used struct {
	Namespace string // of the roster, the journal and the lock, as the roster's kind names it
	Kind      bool   // the roster's kind is there, so that it tells
	Ran       bool   // a run has taken the lock there, or kept its journal
}

// Choose is the namespace to install in, of which the user named one or none, in a cluster that has that much of an
// installation. Another one than what runs use there is an error: in two namespaces there are two locks, and what an
// interrupted run left in one is not seen in the other. tells says that what is installed tells the cluster its
// namespace.
func Choose(named string, has Used, tells bool) (string, error) {
	switch {
	case named == "" || named == has.Namespace:
		return has.Namespace, nil
	case has.Kind || has.Ran:
		return "", fmt.Errorf("it keeps its state in namespace %s, so nothing is installed in %s: leave --namespace out",
			has.Namespace, named)
	case !tells:
		return "", fmt.Errorf("no run would look in namespace %s before the roster's kind names it: first run kubectl "+
			"xcpauth install crds --namespace %s --apply", named, named)
	}
	return named, nil
}
