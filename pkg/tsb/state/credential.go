package state

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/pki"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/token"
)

// Credential says whether the edge of a namespace can present a JWT at the given time:
//
//   - the token secret is there, parses and is unexpired: ready; expired or malformed: bad;
//   - it is not there, but the cluster's service account is, belongs to this cluster, and a sibling token of the same
//     account is unexpired, so that the operator's minting path works: mintable (whether the operator mints before or
//     only after the mode is set is not documented);
//   - else missing.
func Credential(read map[plan.Read]plan.Result, ns, cluster string, at time.Time) plan.Credential {
	r := read[SecretRead(ns, SecretToken)]
	c := plan.Credential{Where: ns + "/" + SecretToken}
	if why := kube.Unreadable(r); why != "" {
		c.Why, c.Denied = "secret "+c.Where+" could not be read: "+why, r.Denied
		return c
	}
	if !r.Missing {
		info, err := token.Inspect(SecretValue(r, "jwt"))
		switch {
		case err != nil:
			c.State, c.Why = plan.CredentialBad, fmt.Sprintf("key jwt of secret %s cannot be used: %v", c.Where, err)
		case !info.Expires.IsZero() && !at.Before(info.Expires):
			c.State, c.Why = plan.CredentialBad,
				fmt.Sprintf("the token in secret %s expired at %s and nothing renewed it; look at the log of tsb-operator-control-plane for \"token rotation failed\"", c.Where, info.Expires.Format(time.RFC3339))
		default:
			c.State = plan.CredentialReady
		}
		c.Expires, c.Key, c.Digest = info.Expires, info.KeyID, info.Digest
		if o := kube.One(r); o != nil {
			c.Written = o.Metadata.Written("data", "jwt")
		}
		if !info.Issued.IsZero() && info.Issued.Before(c.Written) {
			c.Written = info.Issued // managedFields have one time for all that a manager wrote, a label of the same secret too
		}
		if state, why := mints(read, ns, cluster, at); state != plan.CredentialMintable {
			c.Irreplaceable = fmt.Sprintf("%s; fix that with: tctl install manifest control-plane-secrets --cluster %s", why,
				cluster)
		}
		return c
	}
	c.State, c.Why = mints(read, ns, cluster, at)
	switch c.State {
	case plan.CredentialMintable:
		c.Why = "not there yet; " + c.Why + ", so it can mint this one"
	case plan.CredentialMissing:
		c.Why = fmt.Sprintf("secret %s is not there and %s; create it with: tctl install manifest control-plane-secrets --cluster %s, or let migrate do it with --tctl or --secrets", c.Where, c.Why, cluster)
	}
	return c
}

// mints says whether tsb-operator-control-plane can be expected to make a token that is not there, and why, in one
// clause.
func mints(read map[plan.Read]plan.Result, ns, cluster string, at time.Time) (plan.CredentialState, string) {
	account := read[SecretRead(ns, SecretServiceAccount)]
	if why := kube.Unreadable(account); why != "" {
		return plan.CredentialUnknown, fmt.Sprintf("secret %s/%s could not be read: %s", ns, SecretServiceAccount, why)
	}
	fqn, jwk := string(SecretValue(account, "clusterFqn")), SecretValue(account, "jwk")
	switch {
	case account.Missing:
		return plan.CredentialMissing, "no " + SecretServiceAccount + " to mint it from"
	case !strings.HasSuffix(fqn, "/clusters/"+cluster):
		return plan.CredentialMissing, fmt.Sprintf("%s belongs to %q, which the operator refuses", SecretServiceAccount, fqn)
	case !json.Valid(jwk):
		return plan.CredentialMissing, "key jwk of " + SecretServiceAccount + " is not JSON"
	}
	for _, name := range SiblingTokens {
		if info, err := token.Inspect(SecretValue(read[SecretRead(ns, name)], "token")); err == nil &&
			at.Before(info.Expires) {
			return plan.CredentialMintable, fmt.Sprintf("the operator keeps %s/%s fresh from the same service account", ns, name)
		}
	}
	return plan.CredentialMissing, "no other token of the same service account is unexpired, so minting does not work"
}

// certificate reads the public part of a certificate in a secret, and its CA.
func certificate(read map[plan.Read]plan.Result, ns, name string) plan.Certificate {
	r := read[SecretRead(ns, name)]
	where := ns + "/" + name
	switch why := kube.Unreadable(r); {
	case why != "":
		return plan.Certificate{Where: where, Err: "secret " + where + " could not be read: " + why, Denied: r.Denied}
	case r.Missing:
		return plan.Certificate{Where: where, Err: "secret " + where + " is not there", Missing: true}
	}
	c := CertificateOf(SecretValue(r, "tls.crt"), where)
	if c.Err != "" {
		c.Err = "key tls.crt of secret " + c.Err
	}
	c.CA = SecretValue(r, "ca.crt")
	return c
}

// SecretValue returns one key of a Secret, decoded; nil when the secret or the key is not there or not base64.
func SecretValue(r plan.Result, key string) []byte {
	var s struct {
		Data map[string]string `json:"data"`
	}
	if !r.OK() || kube.Decode(r.Body, &s) != nil {
		return nil
	}
	b, err := base64.StdEncoding.DecodeString(s.Data[key])
	if err != nil || len(b) == 0 {
		return nil
	}
	return b
}

// CertificateOf reads the public part of PEM certificates, the first of which is the leaf.
func CertificateOf(text []byte, where string) plan.Certificate {
	c := plan.Certificate{Where: where, Chain: text}
	leaf, err := pki.Leaf(text)
	if err != nil {
		c.Err = fmt.Sprintf("%s: %v", where, err)
		return c
	}
	c.Names = append(c.Names, leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		c.Names = append(c.Names, ip.String())
	}
	for _, u := range leaf.URIs {
		c.URIs = append(c.URIs, u.String())
	}
	for _, u := range leaf.ExtKeyUsage {
		switch u {
		case x509.ExtKeyUsageServerAuth:
			c.Usages = append(c.Usages, "server auth")
		case x509.ExtKeyUsageClientAuth:
			c.Usages = append(c.Usages, "client auth")
		}
	}
	sum := sha256.Sum256(leaf.Raw)
	c.Began, c.Expires, c.Digest = leaf.NotBefore.UTC(), leaf.NotAfter.UTC(), hex.EncodeToString(sum[:4])
	return c
}

// NamesMissingFrom lists the names that a certificate lacks of those wanted.
func NamesMissingFrom(c plan.Certificate, wanted []string) []string {
	leaf, err := pki.Leaf(c.Chain)
	var lacks []string
	for _, name := range wanted {
		if err != nil && !slices.Contains(c.Names, name) || err == nil && leaf.VerifyHostname(name) != nil {
			lacks = append(lacks, name)
		}
	}
	return lacks
}
