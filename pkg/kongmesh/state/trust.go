package state

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
)

// These say how a zone verifies the global, and what the global serves its zones with. Sources: Kuma
// pkg/config/multizone/kds.go (the same from 2.3.0 to HEAD), pkg/config/app/kuma-cp/kuma-cp.defaults.yaml,
// pkg/core/bootstrap/autoconfig.go (the general certificate where there is none for zones); the chart's
// deployments/charts/kuma/templates/_helpers.tpl and cp-deployment.yaml, which mount secrets there
// (controlPlane.tls.kdsZoneClient and kdsGlobalServer, else the general one). Under "additional security" the
// vendor's page has the CA.
const (
	rootCAFile  = "KUMA_MULTIZONE_ZONE_KDS_ROOT_CA_FILE"
	skipVerify  = "KUMA_MULTIZONE_ZONE_KDS_TLS_SKIP_VERIFY"
	kdsTLS      = "KUMA_MULTIZONE_GLOBAL_KDS_TLS_ENABLED"
	kdsCertFile = "KUMA_MULTIZONE_GLOBAL_KDS_TLS_CERT_FILE"
	certFile    = "KUMA_GENERAL_TLS_CERT_FILE"
)

// GiveCA is how a zone is given the global's CA.
const GiveCA = "give it the global's CA (" + rootCAFile +
	"; of the chart controlPlane.tls.kdsZoneClient.secretName, key ca.crt)"

// Verification is how the zones to come of a template verify the global that they dial.
type Verification struct {
	Nobody  string // why it verifies nobody, "" when it does
	Remedy  string // what to do about that
	Unknown string // why it cannot be told what it verifies with
	Ca      Source // the CA, as PEM
}

// Verification reads it. Up to 2.2 a zone without a CA verified nobody; from 2.3.0 on (22b6c4c4bb, and UPGRADE.md
// there) it takes the CAs of its image then, which are not seen here, unless it is told not to verify.
func (cp ControlPlane) Verification(secrets []secretObject, unread string) Verification {
	if strings.HasPrefix(cp.Dials, "grpc://") {
		return Verification{Nobody: "it dials the global in plain (" + cp.Dials + ")",
			Remedy: "give it a grpcs:// address, and the global's CA"}
	}
	old := cp.Version.Known() && !cp.Version.AtLeast(2, 3, 0)
	skip, known := cp.flag(skipVerify, "multizone.zone.kds.tlsSkipVerify", false)
	file := cp.set(cp.Spec, rootCAFile, "multizone.zone.kds.rootCaFile")
	unknown := func(format string, args ...any) Verification {
		return Verification{Unknown: fmt.Sprintf(format, args...)}
	}
	switch {
	case !known && !old:
		return unknown("whether it verifies at all comes from something that is not looked into; set %s as a plain value",
			skipVerify)
	case skip && !old:
		return Verification{Nobody: skipVerify + " is true", Remedy: GiveCA + ", and remove " + skipVerify}
	case !file.known || file.secret != nil:
		return unknown("its CA comes from %s, which is not looked into", file.where)
	case file.text == "" && old:
		return Verification{Nobody: "it has no CA, without which " + cp.Version.String() + " verifies nobody", Remedy: GiveCA}
	case file.text == "" && !cp.Version.Known():
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
	return Verification{Ca: ca}
}

// Served finds the certificate that a global serves its zones with: the one for zones, else the general one. Where
// nothing says a certificate, the process makes one for itself.
func (cp ControlPlane) Served(secrets []secretObject, unread string) Source {
	on, known := cp.flag(kdsTLS, "multizone.global.kds.tlsEnabled", true)
	switch {
	case cp.outside != nil:
		return Source{Unknown: "it is in no cluster, so its files are not seen"}
	case !known:
		return Source{Unknown: "whether it serves with TLS comes from something that is not looked into; set " + kdsTLS +
			" as a plain value"}
	case !on:
		return Source{Unknown: kdsTLS + " is false, so whatever stands before it has the certificate"}
	}
	for _, at := range [][2]string{{kdsCertFile, "multizone.global.kds.tlsCertFile"}, {certFile, "general.tlsCertFile"}} {
		file := cp.set(cp.Spec, at[0], at[1])
		switch {
		case !file.known, file.secret != nil:
			return Source{Unknown: "its path comes from " + file.where + ", which is not looked into"}
		case file.text == "":
			continue
		case unread != "":
			return Source{Unknown: unread}
		}
		s, ok := cp.fileOf(file.text, secrets)
		if !ok {
			return Source{Unknown: "it is read from " + file.text + ", which is in no secret volume"}
		}
		return s
	}
	return Source{Unknown: "nothing names one, so each process makes one for itself at its start"}
}

// flag reads a setting that is true or false, as the product's loader does; known is false where that cannot be told.
func (cp ControlPlane) flag(variable, file string, otherwise bool) (on, known bool) {
	s := cp.set(cp.Spec, variable, file)
	if s.text == "" && s.known && s.secret == nil {
		return otherwise, true
	}
	on, err := strconv.ParseBool(s.text)
	return on, err == nil
}

// fileOf is what lies at a path, from the secret that is mounted there; its where names the key too.
func (cp ControlPlane) fileOf(file string, secrets []secretObject) (s Source, ok bool) {
	ref, ok := mounted(cp.Spec, file)
	if !ok {
		return Source{}, false
	}
	s = fromSecret(cp.Object.Metadata.Namespace, ref, secrets)
	s.Where += " key " + ref.key
	return s, true
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

// Held is the secret of a source, else the object that should have one.
func Held(s Source, object string) string {
	if s.Where == "" {
		return object
	}
	return "secret " + s.Where
}

// unverified is what whoever plans should know of a zone that does not verify whom it hands its token to, "" when it
// does, or when that is not known.
func unverified(v Verification) string {
	if v.Nobody == "" {
		return ""
	}
	return fmt.Sprintf("it does not verify the global's certificate (%s), so a token that it is given can be had by anyone who answers in the global's place; %s", v.Nobody, v.Remedy)
}
