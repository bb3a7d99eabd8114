package inspect

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/state"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/pki"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// inspectServed looks at the certificate that the global serves its zones with.
func inspectServed(in *plan.Inspection, where string, s state.Source, w plan.Workload, version zonetoken.Version) {
	object := state.Held(s, where)
	switch {
	case s.Unknown != "":
		add(in, globalCertificateUnknown, object,
			"with which certificate it serves its zones is not known: "+s.Unknown+
				"; whether a zone would refuse it is not known either", "")
		return
	case s.Missing != "":
		add(in, globalCertificateMissing, object,
			"it is to serve its zones with a certificate, and "+s.Missing+", so its pods do not start", "create it")
		return
	}
	certs, err := pki.Certificates(s.Token)
	if err != nil {
		add(in, globalCertificateMalformed, object,
			"the global serves its zones with it, and it cannot be used: "+err.Error(), "put a certificate there")
		return
	}
	m := plan.Material{What: "the certificate with which the global serves its zones", Where: s.Where, Needed: true,
		From: certs[0].NotBefore.UTC(), Until: certs[0].NotAfter.UTC(), Remedy: renewServed(version)}
	in.Materials = append(in.Materials, m)
	if p := olderThan(w, s); p != "" && !version.ReloadsCertificate() { // Kuma pkg/kds/mux/server.go loads it once
		add(in, globalCertificateOlder, object,
			fmt.Sprintf("it was written after pod %s of the global was made, which serves until its end with what it was "+
				"started with", p),
			"once every zone verifies the new one, restart the global")
	}
}

// renewServed says how to renew the certificate that a global serves its zones with, and cut no zone off. A version
// that is not known may do either, and the order of 3.0 is safe for both.
func renewServed(v zonetoken.Version) string {
	switch {
	case v.ReloadsCertificate():
		return "first give every zone the CA of the new certificate, next to the CA that it has; only then renew the certificate there: the global " +
			"serves the new one within seconds, without a restart"
	case !v.Known():
		return "first give every zone the CA of the new certificate, next to the CA that it has; then renew the certificate there; up to 2.14 restart " +
			"the global after that, which reads it at its start alone"
	}
	return "renew it there; once every zone verifies the new one, restart the global, which reads it at its start alone"
}

// olderThan is a process that was made before a secret was last written, "" when there is none.
func olderThan(w plan.Workload, s state.Source) string {
	i := slices.IndexFunc(w.Processes, func(p plan.Process) bool {
		return !p.Created.IsZero() &&
			s.Written.After(p.Created)
	})
	if i < 0 {
		return ""
	}
	return w.Processes[i].Name
}

// inspectTrust looks at how a zone verifies the global, and whether what it verifies with takes what the global serves.
func inspectTrust(in *plan.Inspection, where string, cp state.ControlPlane, v state.Verification,
	s state.Source, at time.Time) {
	object := state.Held(v.Ca, where)
	switch {
	case v.Nobody != "":
		add(in, zoneDoesNotVerify, object,
			"it does not verify the global's certificate, so it gives its token to anyone who answers: "+v.Nobody, v.Remedy)
		return
	case v.Unknown != "":
		add(in, zoneCaUnknown, object, "with which CA it verifies the global is not known: "+v.Unknown, state.GiveCA)
		return
	case v.Ca.Missing != "":
		add(in, zoneCaMissing, object,
			"it is to verify the global with a CA, and "+v.Ca.Missing+", so its pods do not start",
			"create it with the CA of the certificate with which the global serves its zones")
		return
	}
	cas, err := pki.Bundle(v.Ca.Token)
	if err != nil { // Kuma pkg/config/multizone/multicluster.go: failed to parse root certificate
		add(in, zoneCaMalformed, object,
			"it verifies the global with it, and it cannot be used: "+err.Error()+"; a pod ends at its start",
			"put the CA of the certificate with which the global serves its zones there")
		return
	}
	// a bundle has the old CA beside the new one
	longest := slices.MaxFunc(cas, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
	in.Materials = append(in.Materials, plan.Material{What: "the CA with which the zone verifies the global",
		Where: v.Ca.Where, Needed: true, From: longest.NotBefore.UTC(), Until: longest.NotAfter.UTC(),
		Remedy: "put the new CA there beside this one, before the global serves with a certificate of it"})
	leaf, err := pki.Leaf(s.Token)
	if s.Unknown != "" || s.Missing != "" || err != nil {
		return // said of the global
	}
	const unless = "; unless something between the two serves another one, it refuses the global at its next connection"
	if why := pki.Signed(v.Ca.Token, s.Token, at); why != "" {
		add(in, zoneRefusesGlobal, object,
			fmt.Sprintf("it does not verify the certificate with which the global serves its zones (secret %s): %s%s",
				s.Where, why, unless),
			"put the CA that signed it there, beside what is there")
		return
	}
	if u, err := url.Parse(cp.Dials); err == nil && u.Hostname() != "" {
		if leaf.VerifyHostname(u.Hostname()) != nil {
			add(in, zoneDialsOtherName, object,
				fmt.Sprintf("the zone dials %s, and the certificate with which the global serves its zones (secret %s) does not "+
					"name that%s", u.Hostname(), s.Where, unless),
				"have the certificate issued again with that name, or dial the global by one that it has")
		}
	}
}
