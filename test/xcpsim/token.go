package xcpsim

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// issuerName is the simulator's token issuer; the vendor's is whatever tokenIssuer.jwt.issuers[0].name says.
const issuerName = "xcpsim"

// issuer signs and verifies tokens with the key of iam-signing-key, RS256 with a kid header.
type issuer struct {
	key *rsa.PrivateKey
	kid string
}

// newIssuer reads a PEM RSA private key (PKCS #1 or #8).
func newIssuer(pemKey []byte, kid string) (*issuer, error) {
	block, _ := pem.Decode(pemKey)
	if block == nil {
		return nil, errors.New("signing key is not PEM")
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return &issuer{key: key, kid: kid}, nil
	}
	any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read signing key: %w", err)
	}
	key, ok := any.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("signing key is not RSA")
	}
	return &issuer{key: key, kid: kid}, nil
}

// mint returns a token for subject that lives from now for ttl.
func (i *issuer) mint(subject string, now time.Time, ttl time.Duration) (string, error) {
	t := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.RegisteredClaims{
		Issuer: issuerName, Subject: subject, IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(ttl)),
	})
	t.Header["kid"] = i.kid
	return t.SignedString(i.key)
}

// verify checks a token at now and returns its subject and expiry, or the reason and text of the refusal.
func (i *issuer) verify(token string, now time.Time) (subject string, expires time.Time, reason Reason, text string) {
	if i == nil {
		return "", time.Time{}, TokenInvalid, "no verification key"
	}
	var claims jwt.RegisteredClaims
	_, err := jwt.ParseWithClaims(token, &claims, func(t *jwt.Token) (any, error) {
		if t.Header["kid"] != i.kid {
			return nil, fmt.Errorf("unknown kid %v", t.Header["kid"])
		}
		return &i.key.PublicKey, nil
	}, jwt.WithValidMethods([]string{"RS256"}), jwt.WithIssuer(issuerName), jwt.WithExpirationRequired(),
		jwt.WithTimeFunc(func() time.Time { return now }))
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return "", time.Time{}, TokenExpired, err.Error()
	case err != nil:
		return "", time.Time{}, TokenInvalid, err.Error()
	}
	return claims.Subject, claims.ExpiresAt.Time, "", ""
}

// edgeSubject is the subject of an edge's token: the key under which the vendor's REST call returns it.
func edgeSubject(cluster string) string { return "xcp-edge-" + cluster }

// tokenAge returns when token was issued and when it expires, without verifying it; ok is false if it cannot be read.
func tokenAge(token string) (issued, expires time.Time, ok bool) {
	var claims jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(token, &claims); err != nil || claims.ExpiresAt == nil ||
		claims.IssuedAt == nil {
		return time.Time{}, time.Time{}, false
	}
	return claims.IssuedAt.Time, claims.ExpiresAt.Time, true
}

// NewServiceAccountKey makes an RSA private JWK (RFC 7517, 7518 section 6.3; RS256 with kid), as `tctl install
// cluster-service-account` prints one.
func NewServiceAccountKey(kid string) ([]byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("make service account key: %w", err)
	}
	b := func(i *big.Int) string { return base64.RawURLEncoding.EncodeToString(i.Bytes()) }
	return json.Marshal(map[string]string{
		"kty": "RSA", "alg": "RS256", "kid": kid,
		"n": b(key.N), "e": b(big.NewInt(int64(key.E))), "d": b(key.D), "p": b(key.Primes[0]), "q": b(key.Primes[1]),
		"dp": b(key.Precomputed.Dp), "dq": b(key.Precomputed.Dq), "qi": b(key.Precomputed.Qinv),
	})
}

// TokenSecret is a secret that holds a token, as tctl prints them.
type TokenSecret struct {
	Name string
	Data map[string][]byte
}

// longLife is how long the tokens live that tctl made before there were service accounts.
const longLife = 8760 * time.Hour

// LongLivedTokens makes the tokens that tctl made for a cluster before there were service accounts, from the data of
// iam-signing-key: each lives for a year, and nothing renews it.
func LongLivedTokens(signingKey map[string][]byte, cluster string, now time.Time) ([]TokenSecret, error) {
	i, err := newIssuer(signingKey["private.key"], string(signingKey["kid"]))
	if err != nil {
		return nil, fmt.Errorf("generating tokens: %w", err)
	}
	var out []TokenSecret
	for _, m := range append(siblingTokens(cluster), managed{"zipkin-token", "token", "zipkin-agent-" + cluster},
		edgeToken(cluster)) {
		token, err := i.mint(m.subject, now, longLife)
		if err != nil {
			return nil, fmt.Errorf("generating tokens: %w", err)
		}
		out = append(out, TokenSecret{m.secret, map[string][]byte{m.key: []byte(token)}})
	}
	return out, nil
}

// checkJWK says whether text is a usable RSA private JWK with a kid.
func checkJWK(text []byte) error {
	var k struct{ Kty, Alg, Kid, N, E, D, P, Q string }
	if err := json.Unmarshal(text, &k); err != nil {
		return errors.New("jwk is not JSON")
	}
	if k.Kty != "RSA" || k.Alg != "RS256" || k.Kid == "" {
		return errors.New("jwk is not an RS256 key with a kid")
	}
	num := map[string]*big.Int{}
	for name, v := range map[string]string{"n": k.N, "e": k.E, "d": k.D, "p": k.P, "q": k.Q} {
		raw, err := base64.RawURLEncoding.DecodeString(v)
		if err != nil || len(raw) == 0 {
			return fmt.Errorf("jwk member %s is not base64url", name)
		}
		num[name] = new(big.Int).SetBytes(raw)
	}
	key := rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: num["n"], E: int(num["e"].Int64())}, D: num["d"], Primes: []*big.Int{num["p"], num["q"]},
	}
	if err := key.Validate(); err != nil {
		return errors.New("jwk is not a private RSA key")
	}
	return nil
}

// checkServiceAccount is the operator's own check of secret cluster-service-account before it asks for tokens.
func checkServiceAccount(data map[string][]byte, clusterName string) error {
	fqn := strings.TrimSpace(string(data["clusterFqn"]))
	parts := strings.Split(fqn, "/")
	if len(parts) != 4 || parts[0] != "organizations" || parts[2] != "clusters" || parts[3] != clusterName {
		return fmt.Errorf("cluster has been configured with incorrect service account secret: %q is not cluster %q",
			fqn, clusterName)
	}
	return checkJWK(data["jwk"])
}
