package migration

import (
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// WantedCertificate is what a certificate for Central must have.
type WantedCertificate struct {
	Names  []string // DNS names and IP addresses, sorted
	URIs   []string
	Usages []string // extended key usages
}

// Wanted says what Central's certificate must have: every name that a selected edge dials, the further names that are
// given, what the present one has, the SPIFFE ID by which members with certificates know Central, and both usages
// (the vendor's certificate pages).
func Wanted(f plan.State, more []string) WantedCertificate {
	w := WantedCertificate{Names: union(classify(f, plan.Goal{}).dialled, state.HostNames(more)),
		URIs: []string{spiffeCentral}, Usages: []string{"server auth", "client auth"}}
	for _, h := range hubs(f) {
		w.Names, w.URIs = union(w.Names, h.Server.Names), union(w.URIs, h.Server.URIs)
	}
	return w
}

// Dialled lists the names under which edges dial Central, with those that are given besides.
func Dialled(f plan.State, more []string) []string {
	return union(classify(f, plan.Goal{}).dialled, state.HostNames(more))
}

// Lacking lists the names that a certificate lacks of those wanted.
func Lacking(c plan.Certificate, wanted []string) []string { return state.NamesMissingFrom(c, wanted) }
