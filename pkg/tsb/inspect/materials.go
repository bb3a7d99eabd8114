package inspect

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/pki"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/token"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// rotatedLifetime is the longest lifetime of a token that the operator renews by itself: the default is an hour, and
// those that were made by hand live for months (tokenTtl: 8760h in the vendor's older pages).
const rotatedLifetime = 24 * time.Hour

// hubMaterials are Central's certificate and the CA beside it.
func hubMaterials(s plan.Snapshot, hub plan.Hub) []plan.Material {
	where := hub.Server.Where
	r := s.Reads[state.SecretRead(hub.Object.Namespace, state.SecretCentralCert)]
	all := []plan.Material{material(r, where, "tls.crt", "Central's certificate", true,
		"have its Certificate re-issued without deleting the secret, or put a new pair into the secret")}
	if r.OK() && len(hub.Server.CA) > 0 {
		all = append(all, material(r, where, "ca.crt", "the CA beside Central's certificate", true,
			"give every edge the new CA beside the old one before anything is issued from it"))
	}
	return all
}

// edgeMaterials is what an edge's connection rests on:
//
//   - its token, and the tokens that the operator mints from the same service account;
//   - the service account that they are minted from;
//   - its client certificate, while it is on mutual TLS;
//   - the CA that verifies Central for a JWT edge, and the one of the API that mints.
func edgeMaterials(s plan.Snapshot, cp kube.Object, m plan.Member, f plan.State) []plan.Material {
	ns := m.Object.Namespace
	at := func(name string) (plan.Result, string) { return s.Reads[state.SecretRead(ns, name)], ns + "/" + name }
	account, where := at(state.SecretServiceAccount)
	minter := serviceAccount(account, where, m.ClusterName)
	mints := !minter.Absent && minter.Unread == "" && minter.Wrong == "" && minter.Foreign == ""

	r, where := at(state.SecretToken)
	main := tokenMaterial(r, where, "jwt", "the edge's token", mints, m)
	main.Needed = true
	main.Absent = r.Missing && m.Credential.State != plan.CredentialMintable
	all := []plan.Material{main}
	for _, name := range state.SiblingTokens {
		r, where := at(name)
		if sibling := tokenMaterial(r, where, "token", "a token of the same service account", mints, m); !r.Missing {
			sibling.Renewed = sibling.Rotated && mints
			all = append(all, sibling)
		}
	}
	minter.Needed = main.Absent || main.Rotated
	all = append(all, minter)

	if m.Declared == state.MTLS || slices.Contains(m.Evidence.Presents, state.MTLS) {
		r, where := at(state.SecretEdgeCert)
		all = append(all, material(r, where, "tls.crt", "the edge's client certificate", true,
			"issue it again with: tctl install cluster-certs --cluster "+m.ClusterName+", or have its Certificate (in the hub's cluster) re-issued"))
	}
	if r, where := at(state.SecretCA); !r.Missing {
		all = append(all, material(r, where, "ca.crt", "the CA that verifies Central", true,
			"put the CA that signs Central's certificate there"))
	}
	if mp, _ := state.Walk(cp.Raw, "", "spec", "managementPlane"); mp["selfSigned"] == true {
		r, where := at(secretManagementCA)
		all = append(all, material(r, where, "ca.crt", "the CA of the API that mints tokens", true,
			"put the CA of the management plane's front-envoy there: spec.managementPlane.selfSigned is true"))
	}
	return all
}

// tokenMaterial reads a token; mints says whether its operator has what it needs to make a new one.
func tokenMaterial(r plan.Result, where, key, what string, mints bool, m plan.Member) plan.Material {
	ns := m.Object.Namespace
	t := plan.Material{What: what, Where: where, Unread: kube.Unreadable(r), Absent: r.Missing,
		Remedy: "create it with: tctl install manifest control-plane-secrets --cluster " + m.ClusterName +
			", and apply of what that prints only this secret"}
	if mints {
		t.Remedy = "tsb-operator-control-plane renews it from " + state.SecretServiceAccount +
			"; look in its log for \"token rotation failed\""
		t.Command = []string{"kubectl", "--context", m.Context, "-n", ns, "logs", "deployment/" + operatorEdge, "--tail=200"}
	}
	if r.Missing || t.Unread != "" {
		return t
	}
	info, err := token.Inspect(state.SecretValue(r, key))
	if err != nil {
		t.Wrong = fmt.Sprintf("key %s: %v", key, err)
		return t
	}
	t.From, t.Until = info.Issued, info.Expires
	t.Rotated = !t.Until.IsZero() && !t.From.IsZero() && t.Until.Sub(t.From) <= rotatedLifetime
	return t
}

// serviceAccount reads the key that the operator mints tokens with. The operator refuses one whose clusterFqn does
// not end with the ControlPlane's clusterName (the vendor's troubleshooting page). Nothing of the key is kept.
func serviceAccount(r plan.Result, where, cluster string) plan.Material {
	a := plan.Material{What: "the cluster's service account", Where: where, Unread: kube.Unreadable(r), Absent: r.Missing,
		Remedy: "make a key with: tctl install cluster-service-account --cluster " + cluster +
			", and pass it to: tctl install manifest control-plane-secrets --cluster " + cluster + " --cluster-service-account"}
	if r.Missing || a.Unread != "" {
		return a
	}
	fqn, jwk := string(state.SecretValue(r, "clusterFqn")), state.SecretValue(r, "jwk")
	var key struct {
		Kty string `json:"kty"`
		D   string `json:"d"`
	}
	switch err := json.Unmarshal(jwk, &key); {
	case strings.TrimSpace(fqn) != fqn:
		a.Wrong, a.Remedy = "key clusterFqn has white space at its start or end, such as a trailing newline",
			"store it again without"
	case fqn == "":
		a.Wrong = "it has no key clusterFqn"
	case !strings.HasSuffix(fqn, "/clusters/"+cluster):
		a.Foreign = fmt.Sprintf("clusterFqn is %q, and this is cluster %q", fqn, cluster)
	case jwk == nil:
		a.Wrong = "it has no key jwk"
	case err != nil || key.Kty == "":
		a.Wrong = "key jwk is no JSON Web Key"
	case key.D == "":
		a.Wrong = "key jwk is a public key; the operator needs the private one"
	}
	return a
}

// material reads the first certificate of a secret's key, or of a CA bundle the one that is valid longest: a bundle
// keeps the old CA beside the new one while they change.
func material(r plan.Result, where, key, what string, needed bool, fix string) plan.Material {
	c := plan.Material{What: what, Where: where, Unread: kube.Unreadable(r), Absent: r.Missing,
		Needed: needed, Remedy: fix}
	if r.Missing || c.Unread != "" {
		return c
	}
	read := pki.Certificates
	if key == "ca.crt" {
		read = pki.Bundle
	}
	certs, err := read(state.SecretValue(r, key))
	if err != nil {
		c.Wrong = fmt.Sprintf("key %s: %v", key, err)
		return c
	}
	chosen := certs[0]
	if key == "ca.crt" {
		chosen = slices.MaxFunc(certs, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
	}
	c.From, c.Until = chosen.NotBefore.UTC(), chosen.NotAfter.UTC()
	return c
}

// ownTrust says whether the CA beside Central's certificate verifies it: edges get that CA, and Central verifies
// their certificates with it.
func ownTrust(hub plan.Hub, at time.Time) []plan.Distrust {
	if len(hub.Server.CA) == 0 || hub.Server.Err != "" {
		return nil
	}
	if why := pki.Signed(hub.Server.CA, hub.Server.Chain, at); why != "" {
		return []plan.Distrust{{Where: hub.Server.Where + " key ca.crt", Whose: "Central's certificate in the same secret",
			Why: why, Now: true,
			Remedy: "put the CA that signed tls.crt, with every intermediate in tls.crt, into the secret"}}
	}
	return nil
}

// edgeTrust is what would make the edge refuse Central, or Central the edge, now or once it presents a JWT. Names and
// times are judged apart.
func edgeTrust(s plan.Snapshot, m plan.Member, f plan.State) []plan.Distrust {
	ns := m.Object.Namespace
	hub := f.Hub
	if hub.Server.Err != "" {
		return nil
	}
	var all []plan.Distrust
	onJWT := m.Declared == state.JWT || slices.Contains(m.Evidence.Presents, state.JWT)
	r, where := s.Reads[state.SecretRead(ns, state.SecretCA)], ns+"/"+state.SecretCA
	fix := fmt.Sprintf("put the CA of Central's certificate (key ca.crt of secret %s in the hub) into it beside the CA that is there", hub.Server.Where)
	bundle := state.SecretValue(r, "ca.crt")
	switch {
	case kube.Unreadable(r) != "":
	case r.Missing && onJWT && len(hub.Server.CA) > 0:
		all = append(all, plan.Distrust{Where: where, Whose: "Central's certificate",
			Why: "the secret is not there", Now: true,
			Remedy: fmt.Sprintf("create it with key ca.crt of secret %s in the hub", hub.Server.Where)})
	case r.Missing && !onJWT && len(hub.Server.CA) == 0:
		all = append(all, plan.Distrust{Where: where, Whose: "Central's certificate",
			Why:    "the secret is not there, and there is no CA in the hub to make it from",
			Remedy: "create it with the CA that signs Central's certificate under key ca.crt"})
	case r.OK() && bundle != nil:
		if why := pki.Signed(bundle, hub.Server.Chain, s.Clock(f.At)); why != "" {
			all = append(all, plan.Distrust{Where: where, Whose: "Central's certificate", Why: why, Now: onJWT, Remedy: fix})
		}
	}
	if m.Declared == state.MTLS || slices.Contains(m.Evidence.Presents, state.MTLS) {
		all = append(all, mutualTrust(s.Reads[state.SecretRead(ns, state.SecretEdgeCert)], ns+"/"+state.SecretEdgeCert,
			"the edge's certificate", hub, s.Clock(f.At))...)
	}
	return all
}

// mutualTrust is what would end a mutual TLS connection: either side's CA does not verify the other's certificate.
func mutualTrust(r plan.Result, where, whose string, hub plan.Hub, at time.Time) []plan.Distrust {
	if !r.OK() || hub.Server.Err != "" {
		return nil
	}
	const fix = "issue both from one CA again: all peers of mutual TLS need one chain of trust"
	var all []plan.Distrust
	if ca := state.SecretValue(r, "ca.crt"); ca == nil {
		all = append(all, plan.Distrust{Where: where + " key ca.crt", Whose: "Central's certificate",
			Why: "the secret has no such key", Now: true, Remedy: fix})
	} else if why := pki.Signed(ca, hub.Server.Chain, at); why != "" {
		all = append(all, plan.Distrust{Where: where + " key ca.crt", Whose: "Central's certificate", Why: why,
			Now: true, Remedy: fix})
	}
	if leaf := state.SecretValue(r, "tls.crt"); leaf != nil && len(hub.Server.CA) > 0 {
		if _, err := pki.Leaf(leaf); err != nil {
			return all // said of the certificate itself
		}
		if why := pki.Signed(hub.Server.CA, leaf, at); why != "" {
			all = append(all, plan.Distrust{Where: hub.Server.Where + " key ca.crt", Whose: whose + " in secret " + where,
				Why: why, Now: true, Remedy: fix})
		}
	}
	return all
}
