package kumasim

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// ZoneClaims has no JSON tags, so that the names are capitalised and read in any case.
type ZoneClaims struct {
	Zone  string
	Scope []string
	jwt.RegisteredClaims
}

// errPanic says that the process ends.
var errPanic = errors.New("panic: interface conversion: interface {} is float64, not string")

// validate judges a token as the validator of 2.11 to 3.0 does, in its order: the key by the kid and the algorithm,
// the signature, the times that are there, the revocation.
func (g *Global) validate(raw string, now time.Time) (*ZoneClaims, error) {
	claims := &ZoneClaims{}
	panicked := false
	_, err := jwt.NewParser(jwt.WithTimeFunc(func() time.Time { return now })).ParseWithClaims(raw, claims,
		func(t *jwt.Token) (any, error) {
			header, there := t.Header["kid"]
			if !there {
				return nil, errors.New("JWT token must have kid header")
			}
			kid, ok := header.(string)
			if !ok {
				panicked = g.opts.Switches.KidPanics
				return nil, errors.New("JWT token kid header must be a string")
			}
			switch alg := t.Method.Alg(); {
			case alg == "RS256":
				if key := g.opts.PublicKeys[kid]; key != nil {
					return key, nil
				}
				if g.opts.SecretsOff {
					return nil, &keyNotFound{kid, "-" + kid} // the product's static accessor has no prefix
				}
				value, err := keyValue(g.opts.Source, kid)
				if err != nil {
					return nil, err
				}
				key, err := parseKey(value)
				if err != nil {
					return nil, err
				}
				return &key.PublicKey, nil
			case alg == "HS256" && g.opts.SecretsOff:
				return nil, &keyNotFound{"0", ""}
			case alg == "HS256" && !g.opts.Switches.NoHMAC:
				return keyValue(g.opts.Source, "0")
			case g.opts.Switches.NoHMAC:
				return nil, fmt.Errorf("unsupported token alg %s. Allowed algorithm is RS256", alg)
			default:
				return nil, fmt.Errorf("unsupported token alg %s. Allowed algorithms are RS256 and %v", alg, jwt.SigningMethodHS256)
			}
		})
	var unknown *keyNotFound
	switch {
	case panicked:
		return nil, errPanic
	case errors.As(err, &unknown):
		return nil, unknown
	case errors.Is(err, jwt.ErrTokenNotValidYet) && !g.opts.Switches.TerseNotYet:
		return nil, fmt.Errorf("token is not yet valid: 'valid_from' date is in the future. Check if the system clock on the instance that issued the token is set correctly: %w", err)
	case err != nil:
		return nil, fmt.Errorf("could not parse token: %w", &productsWords{err})
	}
	revoked, err := isRevoked(g.opts.Source, claims.ID)
	if err != nil {
		return nil, fmt.Errorf("could not check if the token is revoked: %w", err)
	}
	if revoked {
		return nil, errRevoked
	}
	return claims, nil
}

// productsWords is an error of the decoder, with the name of the product's type in place of ours.
type productsWords struct{ error }

func (e *productsWords) Error() string {
	return strings.ReplaceAll(e.error.Error(), "kumasim.ZoneClaims", "zone.ZoneClaims")
}
func (e *productsWords) Unwrap() error { return e.error }

var errRevoked = errors.New("token is revoked")

// Issue makes a token as the product does, with the key that has the highest serial.
func (g *Global) Issue(zone string, scope []string, validFor time.Duration) (string, error) {
	key, kid, err := latestKey(g.opts.Source)
	if err != nil {
		return "", err
	}
	var id [16]byte
	rand.Read(id[:])
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	now := g.opts.Now().Add(-5 * time.Second)
	t := jwt.NewWithClaims(jwt.SigningMethodRS256, ZoneClaims{zone, scope, jwt.RegisteredClaims{
		ID: fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:]), IssuedAt: jwt.NewNumericDate(now),
		NotBefore: jwt.NewNumericDate(now),
		ExpiresAt: jwt.NewNumericDate(now.Add(validFor).Add(5 * time.Second))}})
	t.Header["kid"] = kid
	return t.SignedString(key)
}
