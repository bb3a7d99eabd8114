package state

import (
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/token"
)

// Where the keys of edge tokens lie in the hub (the vendor's page on active and standby management planes):
// iam-signing-key is what they are signed with, unless the ManagementPlane names another; that tsb-iam-jwks holds the
// public keys is inferred.
const (
	secretSigningKey = "iam-signing-key"
	secretJWKS       = "tsb-iam-jwks"
)

// TokenOf is an edge's token as it lies in its cluster: what to read, and what was read of it.
func TokenOf(m plan.Member) (plan.Read, func(plan.Result) []byte) {
	return SecretRead(m.Object.Namespace, SecretToken), func(r plan.Result) []byte { return SecretValue(r, "jwt") }
}

// issuer is one entry of spec.tokenIssuer.jwt.issuers of a ManagementPlane: the first signs, the others only verify.
type issuer struct {
	Name       string   `json:"name"`
	Algorithm  string   `json:"algorithm"`
	SigningKey string   `json:"signingKey"`
	Audiences  []string `json:"audiences"`
}

// KeyReads is what to read of a hub for the keys of edge tokens. The first is the ManagementPlane; ask again with it
// read.
func KeyReads(hub plan.Ref, soFar map[plan.Read]plan.Result) []plan.Read {
	plane := ManagementPlanesRead
	plane.Namespace, plane.Name = hub.Namespace, hub.Name
	if _, read := soFar[plane]; !read {
		return []plan.Read{plane}
	}
	name, _ := issuersOf(soFar[plane])
	var next []plan.Read
	for _, r := range []plan.Read{SecretRead(hub.Namespace, name), SecretRead(hub.Namespace, secretJWKS)} {
		if _, read := soFar[r]; !read {
			next = append(next, r)
		}
	}
	return next
}

// Keys are the public keys of edge tokens that a hub has, in these steps:
//
//  1. of each issuer of the ManagementPlane, the key that it names in the secret of signing keys; without issuers, all
//     keys in it;
//  2. from tsb-iam-jwks the IDs of those keys; the keys themselves only where there are no others, since no audience is
//     known of them.
//
// rests says what that rests on. Of a private key the public half alone is kept.
func Keys(hub plan.Ref, read map[plan.Read]plan.Result) (keys []token.Key, rests []string, err error) {
	plane := ManagementPlanesRead
	plane.Namespace, plane.Name = hub.Namespace, hub.Name
	if why := kube.Unreadable(read[plane]); why != "" {
		return nil, nil, fmt.Errorf("%s, which names the keys, could not be read: %s; pass the public key with --key-file",
			hub, why)
	}
	if read[plane].Missing {
		return nil, nil, fmt.Errorf("%s, which names the keys, is not there; pass the public key with --key-file", hub)
	}
	name, issuers := issuersOf(read[plane])
	var whys []string
	var jwks []token.Key
	add := func(secretName, key, alg string, audiences []string) {
		r := read[SecretRead(hub.Namespace, secretName)]
		where := fmt.Sprintf("secret %s/%s key %s", hub.Namespace, secretName, key)
		found, err := token.ParseKeys(SecretValue(r, key), where)
		if err != nil {
			whys = append(whys, err.Error())
			return
		}
		for _, k := range found {
			if k.Alg == "" {
				k.Alg = alg
			}
			k.Audiences = audiences
			// newer ones say the ID of their one key
			if id := string(SecretValue(r, "kid")); k.ID == "" && len(found) == 1 && len(dataKeys(r)) == 2 {
				k.ID = strings.TrimSpace(id)
			}
			if secretName == secretJWKS {
				jwks = append(jwks, k)
			} else {
				keys = append(keys, k)
			}
		}
	}
	for _, s := range []string{name, secretJWKS} {
		r := read[SecretRead(hub.Namespace, s)]
		if why := kube.Unreadable(r); why != "" {
			whys = append(whys, fmt.Sprintf("secret %s/%s could not be read: %s", hub.Namespace, s, why))
			continue
		}
		if r.Missing {
			whys = append(whys, fmt.Sprintf("secret %s/%s is not there", hub.Namespace, s))
			continue
		}
		if s == name && len(issuers) > 0 {
			for _, i := range issuers {
				add(s, i.SigningKey, i.Algorithm, i.Audiences)
			}
			continue
		}
		for _, key := range dataKeys(r) {
			if key != "kid" {
				add(s, key, "", nil)
			}
		}
	}
	inferred := "that secret " + secretJWKS + " holds the public keys of edge tokens is inferred"
	if len(keys) == 0 && len(jwks) > 0 {
		return jwks, []string{inferred}, nil
	}
	for i := range keys {
		for _, j := range jwks {
			if same, ok := j.Public.(interface{ Equal(crypto.PublicKey) bool }); ok && keys[i].ID == "" &&
				same.Equal(keys[i].Public) {
				keys[i].ID, rests = j.ID, []string{inferred}
			}
		}
	}
	if len(keys) == 0 {
		return nil, nil, errors.New("no key to verify with: " + strings.Join(whys, "; ") +
			"; pass the public key with --key-file")
	}
	return keys, append(rests, fmt.Sprintf("edge tokens are signed with secret %s/%s, as the vendor's page on standby management planes says; one of its charts says otherwise", hub.Namespace, name)), nil
}

func issuersOf(r plan.Result) (string, []issuer) {
	var mp struct {
		Spec struct {
			TokenIssuer struct {
				JWT struct {
					SigningKeysSecret string   `json:"signingKeysSecret"`
					Issuers           []issuer `json:"issuers"`
				} `json:"jwt"`
			} `json:"tokenIssuer"`
		} `json:"spec"`
	}
	if !r.OK() || kube.Decode(r.Body, &mp) != nil || mp.Spec.TokenIssuer.JWT.SigningKeysSecret == "" {
		return secretSigningKey, mp.Spec.TokenIssuer.JWT.Issuers
	}
	return mp.Spec.TokenIssuer.JWT.SigningKeysSecret, mp.Spec.TokenIssuer.JWT.Issuers
}

// dataKeys are the keys of a secret, sorted.
func dataKeys(r plan.Result) []string {
	var s struct {
		Data map[string]json.RawMessage `json:"data"`
	}
	if !r.OK() || kube.Decode(r.Body, &s) != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(s.Data))
}
