package state

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/xcpauth/kubectl-xcpauth/pkg/observe"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/token"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbobjects"
)

// signer is a signing key, as private PEM and as public JWK with an ID.
type signer struct {
	*ecdsa.PrivateKey
	pem, jwk string
}

func newSigner(t *testing.T, id string) signer {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	point, err := k.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	return signer{k, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		fmt.Sprintf(`{"kty":"EC","crv":"P-256","kid":%q,"x":%q,"y":%q}`, id, b64(point[1:33]), b64(point[33:]))}
}

func (s signer) token(t *testing.T, kid, aud string) []byte {
	t.Helper()
	claims := jwt.MapClaims{"exp": tsbobjects.Noon.Add(time.Hour).Unix()}
	if aud != "" {
		claims["aud"] = aud
	}
	tok := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
	if kid != "" {
		tok.Header["kid"] = kid
	}
	text, err := tok.SignedString(s.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(text)
}

func TestKeysOfAHub(t *testing.T) {
	a, b := newSigner(t, "a"), newSigner(t, "b")
	hub := plan.Ref{Kind: "ManagementPlane", Namespace: "tsb", Name: "managementplane"}
	issuers := func(secret string, list ...any) apifake.Object {
		spec := apifake.Object{"issuers": list}
		if secret != "" {
			spec["signingKeysSecret"] = secret
		}
		return apifake.Object{"apiVersion": "install.tetrate.io/v1alpha1", "kind": "ManagementPlane",
			"metadata": apifake.Object{"name": "managementplane", "namespace": "tsb"},
			"spec":     apifake.Object{"tokenIssuer": apifake.Object{"jwt": spec}}}
	}
	one := func(key string) apifake.Object {
		return apifake.Object{"name": "i-" + key, "algorithm": "ES256", "signingKey": key}
	}
	for _, tc := range []struct {
		name    string
		objects []apifake.Object
		token   []byte
		why     string // "" = valid
		rests   string
	}{
		{"the key that the issuer names", []apifake.Object{issuers("", one("private.key")),
			apifake.Secret("tsb", secretSigningKey, map[string]string{"private.key": a.pem})}, a.token(t, "a", ""), "",
			"the key has no ID"},
		{"an issuer that only verifies", []apifake.Object{issuers("", one("new.key"), one("old.key")),
			apifake.Secret("tsb", secretSigningKey, map[string]string{"new.key": b.pem, "old.key": a.pem})},
			a.token(t, "", ""), "", ""},
		{"a key that no issuer names", []apifake.Object{issuers("", one("new.key")),
			apifake.Secret("tsb", secretSigningKey, map[string]string{"new.key": b.pem, "old.key": a.pem})}, a.token(t, "", ""),
			"signature is not of a known key", ""},
		{"another secret", []apifake.Object{issuers("keys", one("k")), apifake.Secret("tsb", "keys",
			map[string]string{"k": a.pem}), apifake.Secret("tsb", secretSigningKey, map[string]string{"k": b.pem})},
			a.token(t, "", ""), "", "secret tsb/keys"},
		{"no issuers", []apifake.Object{issuers(""), apifake.Secret("tsb", secretSigningKey, map[string]string{"k": a.pem})},
			a.token(t, "", ""), "", ""},
		{"the ID beside the key", []apifake.Object{issuers(""), apifake.Secret("tsb", secretSigningKey,
			map[string]string{"k": a.pem, "kid": "a"})}, a.token(t, "z", ""), "it was signed with key z", ""},
		{"the ID in the public keys", []apifake.Object{issuers("", one("k")),
			apifake.Secret("tsb", secretSigningKey, map[string]string{"k": a.pem}),
			apifake.Secret("tsb", secretJWKS, map[string]string{"jwks": `{"keys":[` + b.jwk + "," + a.jwk + `]}`})},
			a.token(t, "b", ""), "it was signed with key b", ""},
		{"the public keys alone", []apifake.Object{issuers("", one("k")), apifake.Secret("tsb", secretJWKS,
			map[string]string{"jwks": a.jwk, "kid": "a"})}, a.token(t, "a", ""), "", "is inferred"},
		{"the issuer's audience, and the same key among the public ones", []apifake.Object{issuers("",
			apifake.Object{"name": "i", "signingKey": "k", "audiences": []any{"edges"}}),
			apifake.Secret("tsb", secretSigningKey, map[string]string{"k": a.pem}),
			apifake.Secret("tsb", secretJWKS, map[string]string{"jwks": a.jwk})},
			a.token(t, "a", "others"), "it is not for edges", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			read := map[plan.Read]plan.Result{}
			for next := KeyReads(hub, read); len(next) > 0; next = KeyReads(hub, read) {
				for _, r := range next {
					if code, body := apifake.Get(tc.objects, observe.Path(r)); code == http.StatusNotFound {
						read[r] = plan.Result{Missing: true}
					} else {
						read[r] = plan.Result{Body: body}
					}
				}
			}
			keys, rests, err := Keys(hub, read)
			if err != nil {
				t.Fatal(err)
			}
			v := token.Verify(tc.token, keys, tsbobjects.Noon)
			if v.Valid != (tc.why == "") || !strings.Contains(v.Why, tc.why) ||
				!strings.Contains(strings.Join(append(rests, v.Rests...), "\n"), tc.rests) {
				t.Errorf("%+v resting on %q; want why %q and %q", v, rests, tc.why, tc.rests)
			}
		})
	}
	plane := KeyReads(hub, nil)[0]
	_, _, err := Keys(hub, map[plan.Read]plan.Result{plane: {Body: []byte("{}")},
		SecretRead("tsb", secretSigningKey): {Err: "forbidden (403): no"}, SecretRead("tsb", secretJWKS): {Missing: true}})
	if want := "no key to verify with: secret tsb/iam-signing-key could not be read: forbidden (403): no; secret tsb/tsb-iam-jwks is not there; pass the public key with --key-file"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	_, _, err = Keys(hub, map[plan.Read]plan.Result{plane: {Err: "forbidden (403): no"}})
	if want := "ManagementPlane tsb/managementplane, which names the keys, could not be read: forbidden (403): no; pass the public key with --key-file"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
