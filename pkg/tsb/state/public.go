package state

import (
	"crypto/x509"
	"fmt"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/pki"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// publicCA says whether a hub's certificate is signed by a CA that the system trusts on which this runs. It is asked
// only where no CA is next to the certificate, as from public issuers (the vendor's page on JWTs: then no bundle is
// made).
func publicCA(c plan.Certificate, roots func() *x509.CertPool, at time.Time) bool {
	if c.Err != "" || len(c.CA) > 0 || roots == nil {
		return false
	}
	certs, err := pki.Certificates(c.Chain)
	pool := roots()
	if err != nil || pool == nil {
		return false
	}
	o := x509.VerifyOptions{Roots: pool, Intermediates: x509.NewCertPool(), CurrentTime: at}
	for _, c := range certs[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err = certs[0].Verify(o)
	return err == nil
}

// trustPublic is trust in a certificate of a public CA, without a bundle.
func trustPublic(t plan.Trust, hub plan.Hub, name string) plan.Trust {
	t.Public = true
	if lacks := NamesMissingFrom(hub.Server, []string{name}); len(lacks) > 0 {
		t.Unnamed = true
		t.Why = fmt.Sprintf("the edge would refuse Central's certificate (%s) under the name %s, which it lacks; re-issue it with that name first", hub.Server.Where, name)
		return t
	}
	t.OK = true
	return t
}
