package kongmesh

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/chain"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// These say how a zone verifies the global, and what the global serves its zones with. Sources: Kuma pkg/config/multizone/kds.go (the same
// from 2.3.0 to HEAD), pkg/config/app/kuma-cp/kuma-cp.defaults.yaml, pkg/core/bootstrap/autoconfig.go (the general certificate where there
// is none for zones); the chart's deployments/charts/kuma/templates/_helpers.tpl and cp-deployment.yaml, which mount secrets there
// (controlPlane.tls.kdsZoneClient and kdsGlobalServer, else the general one). Under "additional security" the vendor's page has the CA.
const (
	rootCAFile  = "KUMA_MULTIZONE_ZONE_KDS_ROOT_CA_FILE"
	skipVerify  = "KUMA_MULTIZONE_ZONE_KDS_TLS_SKIP_VERIFY"
	kdsTLS      = "KUMA_MULTIZONE_GLOBAL_KDS_TLS_ENABLED"
	kdsCertFile = "KUMA_MULTIZONE_GLOBAL_KDS_TLS_CERT_FILE"
	certFile    = "KUMA_GENERAL_TLS_CERT_FILE"
)

// giveCA is how a zone is given the global's CA.
const giveCA = "give it the global's CA (" + rootCAFile + "; of the chart controlPlane.tls.kdsZoneClient.secretName, key ca.crt)"

// verification is how the zones to come of a template verify the global that they dial.
type verification struct {
	nobody  string // why it verifies nobody, "" when it does
	mend    string // what to do about that
	unknown string // why it cannot be told what it verifies with
	ca      source // the CA, as PEM
}

// verification reads it. Up to 2.2 a zone without a CA verified nobody; from 2.3.0 on (22b6c4c4bb, and UPGRADE.md there) it takes the CAs
// of its image then, which are not seen here, unless it is told not to verify.
func (cp controlPlane) verification(secrets []secretObject, unread string) verification {
	if strings.HasPrefix(cp.dials, "grpc://") {
		return verification{nobody: "it dials the global in plain (" + cp.dials + ")", mend: "give it a grpcs:// address, and the global's CA"}
	}
	old := cp.version.Known() && !cp.version.atLeast(2, 3, 0)
	skip, known := cp.flag(skipVerify, "multizone.zone.kds.tlsSkipVerify", false)
	file := cp.set(cp.spec, rootCAFile, "multizone.zone.kds.rootCaFile")
	unknown := func(format string, args ...any) verification {
		return verification{unknown: fmt.Sprintf(format, args...)}
	}
	switch {
	case !known && !old:
		return unknown("whether it verifies at all comes from something that is not looked into; set %s as a plain value", skipVerify)
	case skip && !old:
		return verification{nobody: skipVerify + " is true", mend: giveCA + ", and remove " + skipVerify}
	case !file.known || file.secret != nil:
		return unknown("its CA comes from %s, which is not looked into", file.where)
	case file.text == "" && old:
		return verification{nobody: "it has no CA, without which " + cp.version.String() + " verifies nobody", mend: giveCA}
	case file.text == "" && !cp.version.Known():
		return unknown("it has no CA of its own, and its version, which says what that means, is not known")
	case file.text == "":
		return unknown("it has no CA of its own, so it takes those of its image, which are not seen here")
	case unread != "":
		return unknown("%s", unread)
	}
	ca, ok := cp.fileOf(file.text, secrets)
	if !ok {
		return unknown("its CA is read from %s, which is in no secret volume", file.text)
	}
	return verification{ca: ca}
}

// flag reads a setting that is true or false, as the product's loader does; known is false where that cannot be told.
func (cp controlPlane) flag(variable, file string, otherwise bool) (on, known bool) {
	s := cp.set(cp.spec, variable, file)
	if s.text == "" && s.known && s.secret == nil {
		return otherwise, true
	}
	on, err := strconv.ParseBool(s.text)
	return on, err == nil
}

// mounted is the key of a secret that is mounted at a path in the control plane's container.
func mounted(spec kube.PodSpec, file string) (ref secretRef, ok bool) {
	if file == "" {
		return ref, false
	}
	for _, m := range containerOf(spec).Mounts {
		name, inside := strings.CutPrefix(file, strings.TrimSuffix(m.MountPath, "/")+"/")
		if file == m.MountPath {
			name, inside = path.Base(m.SubPath), m.SubPath != ""
		}
		if !inside {
			continue
		}
		for _, v := range spec.Volumes {
			if v.Name != m.Name || v.Secret == nil {
				continue
			}
			for _, i := range v.Secret.Items {
				if i.Path == name {
					name = i.Key
				}
			}
			return secretRef{v.Secret.SecretName, name}, true
		}
	}
	return ref, false
}

// fileOf is what lies at a path, from the secret that is mounted there; its where names the key too.
func (cp controlPlane) fileOf(file string, secrets []secretObject) (s source, ok bool) {
	ref, ok := mounted(cp.spec, file)
	if !ok {
		return source{}, false
	}
	s = fromSecret(cp.object.Metadata.Namespace, ref, secrets)
	s.where += " key " + ref.key
	return s, true
}

// served finds the certificate that a global serves its zones with: the one for zones, else the general one. Where nothing says a
// certificate, the process makes one for itself.
func (cp controlPlane) served(secrets []secretObject, unread string) source {
	on, known := cp.flag(kdsTLS, "multizone.global.kds.tlsEnabled", true)
	switch {
	case !known:
		return source{unknown: "whether it serves with TLS comes from something that is not looked into; set " + kdsTLS + " as a plain value"}
	case !on:
		return source{unknown: kdsTLS + " is false, so whatever stands before it has the certificate"}
	}
	for _, at := range [][2]string{{kdsCertFile, "multizone.global.kds.tlsCertFile"}, {certFile, "general.tlsCertFile"}} {
		file := cp.set(cp.spec, at[0], at[1])
		switch {
		case !file.known, file.secret != nil:
			return source{unknown: "its path comes from " + file.where + ", which is not looked into"}
		case file.text == "":
			continue
		case unread != "":
			return source{unknown: unread}
		}
		s, ok := cp.fileOf(file.text, secrets)
		if !ok {
			return source{unknown: "it is read from " + file.text + ", which is in no secret volume"}
		}
		return s
	}
	return source{unknown: "nothing names one, so each process makes one for itself at its start"}
}

// held is the secret of a source, else the object that should have one.
func held(s source, object string) string {
	if s.where == "" {
		return object
	}
	return "secret " + s.where
}

// unverified is what whoever plans should know of a zone that does not verify whom it hands its token to, "" when it does, or when that
// is not known.
func unverified(v verification) string {
	if v.nobody == "" {
		return ""
	}
	return fmt.Sprintf("it does not verify the global's certificate (%s), so a token that it is given can be had by whoever answers in the global's place; %s", v.nobody, v.mend)
}

// inspectServed looks at the certificate that the global serves its zones with.
func inspectServed(in *plan.Inspection, where string, s source, w plan.Workload, version Version) {
	add := func(id string, severity Severity, saw, remedy string) {
		in.Remarks = append(in.Remarks, plan.Remark{ID: id, Severity: string(severity), Where: held(s, where), Found: saw, Remedy: remedy})
	}
	switch {
	case s.unknown != "":
		add("global-certificate-unknown", Info, "with which certificate it serves its zones is not known: "+s.unknown+"; whether a zone would refuse it is not known either", "")
		return
	case s.missing != "":
		add("global-certificate-missing", Error, "it is to serve its zones with a certificate, and "+s.missing+", so its pods do not start", "create it")
		return
	}
	certs, err := chain.Certificates(s.token)
	if err != nil {
		add("global-certificate-malformed", Error, "the global serves its zones with it, and it cannot be used: "+err.Error(), "put a certificate there")
		return
	}
	m := plan.Material{What: "the certificate with which the global serves its zones", Where: s.where, Needed: true,
		From: certs[0].NotBefore.UTC(), Until: certs[0].NotAfter.UTC(), Remedy: renewServed(version)}
	in.Materials = append(in.Materials, m)
	if p := olderThan(w, s); p != "" && !version.reloadsCertificate() { // Kuma pkg/kds/mux/server.go loads it once
		add("global-certificate-older", Warning, fmt.Sprintf("it was written after pod %s of the global was made, which serves until its end with what it was started with", p), "once every zone verifies the new one, restart the global")
	}
}

// renewServed says how to renew the certificate that a global serves its zones with, and cut no zone off. A version that is not known may
// do either, and the order of 3.0 is safe for both.
func renewServed(v Version) string {
	switch {
	case v.reloadsCertificate():
		return "first give every zone the CA of the new certificate, next to the CA that it has; only then renew the certificate there: the global " +
			"serves the new one within seconds, without a restart"
	case !v.Known():
		return "first give every zone the CA of the new certificate, next to the CA that it has; then renew the certificate there; up to 2.14 restart " +
			"the global after that, which reads it at its start alone"
	}
	return "renew it there; once every zone verifies the new one, restart the global, which reads it at its start alone"
}

// olderThan is a process that was made before a secret was last written, "" when there is none.
func olderThan(w plan.Workload, s source) string {
	i := slices.IndexFunc(w.Processes, func(p plan.Process) bool { return !p.Created.IsZero() && s.written.After(p.Created) })
	if i < 0 {
		return ""
	}
	return w.Processes[i].Name
}

// inspectTrust looks at how a zone verifies the global, and whether what it verifies with takes what the global serves.
func inspectTrust(in *plan.Inspection, where string, cp controlPlane, v verification, s source, at time.Time) {
	add := func(id string, severity Severity, saw, remedy string) {
		in.Remarks = append(in.Remarks, plan.Remark{ID: id, Severity: string(severity), Where: held(v.ca, where), Found: saw, Remedy: remedy})
	}
	switch {
	case v.nobody != "":
		add("zone-does-not-verify", Warning, "it does not verify the global's certificate, so it hands its token to whoever answers: "+v.nobody, v.mend)
		return
	case v.unknown != "":
		add("zone-ca-unknown", Info, "with which CA it verifies the global is not known: "+v.unknown, giveCA)
		return
	case v.ca.missing != "":
		add("zone-ca-missing", Error, "it is to verify the global with a CA, and "+v.ca.missing+", so its pods do not start", "create it with the CA of the certificate with which the global serves its zones")
		return
	}
	cas, err := chain.Bundle(v.ca.token)
	if err != nil { // Kuma pkg/config/multizone/multicluster.go: failed to parse root certificate
		add("zone-ca-malformed", Error, "it verifies the global with it, and it cannot be used: "+err.Error()+"; a pod ends at its start", "put the CA of the certificate with which the global serves its zones there")
		return
	}
	longest := slices.MaxFunc(cas, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) }) // a bundle has the old CA beside the new one
	in.Materials = append(in.Materials, plan.Material{What: "the CA with which the zone verifies the global", Where: v.ca.where, Needed: true, From: longest.NotBefore.UTC(), Until: longest.NotAfter.UTC(),
		Remedy: "put the new CA there beside this one, before the global serves with a certificate of it"})
	leaf, err := chain.Leaf(s.token)
	if s.unknown != "" || s.missing != "" || err != nil {
		return // said of the global
	}
	const unless = "; unless something between the two serves another one, it refuses the global at its next connection"
	if why := chain.Signed(v.ca.token, s.token, at); why != "" {
		add("zone-refuses-global", Error, fmt.Sprintf("it does not verify the certificate with which the global serves its zones (secret %s): %s%s", s.where, why, unless), "put the CA that signed it there, beside what is there")
		return
	}
	if u, err := url.Parse(cp.dials); err == nil && u.Hostname() != "" {
		if leaf.VerifyHostname(u.Hostname()) != nil {
			add("zone-dials-other-name", Error, fmt.Sprintf("the zone dials %s, and the certificate with which the global serves its zones (secret %s) does not name that%s", u.Hostname(), s.where, unless), "have the certificate issued again with that name, or dial the global by one that it has")
		}
	}
}
