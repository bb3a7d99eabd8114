package registration

import (
	"slices"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Unmanaged is the annotation of a configuration whose entries somebody else keeps, with the value "unmanaged".
const Unmanaged = "xcpauth.io/entries"

// Service is where the API server calls.
type Service struct {
	Namespace, Name string
	Port            int32
}

// Next returns what the entries should be, and whether those that were found differ from it. An entry that is there
// keeps its CA bundle, which is its keeper's; one that is not gets the given bundle. An entry of another name stays as
// it is.
func Next(shipped, found []admissionregistrationv1.ValidatingWebhook, at Service, bundle []byte) (
	entries []admissionregistrationv1.ValidatingWebhook, differ bool) {
	entries = slices.Clone(found)
	for _, want := range shipped {
		want := *want.DeepCopy()
		want.ClientConfig.Service.Namespace, want.ClientConfig.Service.Name = at.Namespace, at.Name
		want.ClientConfig.Service.Port = &at.Port
		want.ClientConfig.CABundle = bundle
		// as the API server fills them in
		want.NamespaceSelector, want.ObjectSelector = &metav1.LabelSelector{}, &metav1.LabelSelector{}
		i := slices.IndexFunc(entries, named(want.Name))
		if i < 0 {
			entries, differ = append(entries, want), true
			continue
		}
		if has := entries[i].ClientConfig.CABundle; len(has) > 0 {
			want.ClientConfig.CABundle = has
		}
		if !equality.Semantic.DeepEqual(entries[i], want) {
			entries[i], differ = want, true
		}
	}
	return entries, differ
}

// closed says whether the configuration has an entry of those that are shipped: the API server asks about something.
func closed(shipped, found []admissionregistrationv1.ValidatingWebhook) bool {
	return slices.ContainsFunc(found, func(w admissionregistrationv1.ValidatingWebhook) bool {
		return slices.ContainsFunc(shipped, named(w.Name))
	})
}

func named(name string) func(admissionregistrationv1.ValidatingWebhook) bool {
	return func(w admissionregistrationv1.ValidatingWebhook) bool { return w.Name == name }
}

// ready says whether an endpoint of a Service is ready.
func ready(of []discoveryv1.EndpointSlice) bool {
	return slices.ContainsFunc(of, func(s discoveryv1.EndpointSlice) bool {
		return slices.ContainsFunc(s.Endpoints, func(e discoveryv1.Endpoint) bool {
			return e.Conditions.Ready == nil || *e.Conditions.Ready // unset means ready
		})
	})
}
