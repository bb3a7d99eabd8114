package zonetoken

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// margin is how far a token's times reach back, for the verifying clock (Kuma pkg/core/tokens/issuer.go from 2.11 on;
// before, nbf was five minutes back, and both are accepted).
const margin = 5 * time.Second

// Grant is a token to issue.
type Grant struct {
	Zone     string
	ValidFor time.Duration // from now
	ID       string        // its jti, a UUID in lower case
	KeyID    string        // its kid: of a signing key in a secret, its serial without zeros before it
}

// Issue signs a zone token for a control plane, with header and claims as the product makes them: alg RS256, kid and
// typ; Zone, Scope with cp, exp, nbf, iat and jti in this order. It expires ValidFor after now; nbf and iat are 5 s
// before now. What is worth a finding about it comes as findings. The error never contains a part of the key.
func Issue(g Grant, key *rsa.PrivateKey, now time.Time) (plan.Secret, finding.Findings, error) {
	if err := g.check(); err != nil {
		return plan.Secret{}, nil, err
	}
	if bits := key.N.BitLen(); bits < minBits {
		return plan.Secret{}, nil, fmt.Errorf("the key has %d bits; a signing key must have at least %d", bits, minBits)
	}
	from := now.Add(-margin)
	claims := zoneClaims{Zone: g.Zone, Scope: []string{scope}, RegisteredClaims: jwt.RegisteredClaims{
		ID: g.ID, IssuedAt: jwt.NewNumericDate(from), NotBefore: jwt.NewNumericDate(from),
		ExpiresAt: jwt.NewNumericDate(from.Add(g.ValidFor).Add(margin))}}
	t := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	t.Header["kid"] = g.KeyID
	text, err := t.SignedString(key)
	if err != nil {
		return plan.Secret{}, nil, errors.New("the key cannot sign") // the cause may quote it
	}
	var f finding.Findings
	if g.ValidFor > maxLife {
		f.Add(tokenLong, fmt.Sprintf("it is valid for %d days; anyone who has it can be the zone for as long",
			int(g.ValidFor.Hours()/24)), "Issue one for 30 days or so, and have it renewed.")
	}
	if !isNumber(g.KeyID) {
		f.Add(tokenKidName, fmt.Sprintf("its kid %s is no serial, so only a control plane with a public key of that kid in its configuration takes it (2.14 or later)", g.KeyID), "")
	}
	return plan.NewSecret([]byte(text)), f, nil
}

// check refuses what would be refused, or could not be revoked.
func (g Grant) check() error {
	switch {
	case g.Zone == "":
		return errors.New("a token needs the name of its zone")
	case Safe(g.Zone) != g.Zone || strings.ContainsAny(g.Zone, " \"\\"):
		return fmt.Errorf("%q is no name of a zone", g.Zone)
	case g.ValidFor <= 0:
		return fmt.Errorf("a token that is valid for %s would have expired when it is made", g.ValidFor)
	case g.ValidFor < time.Second:
		return errors.New("a token's times are in seconds; it must be valid for at least one")
	case !plainKid(g.KeyID):
		return errors.New("the kid must be a plain name of at most 64 letters, digits, _, - and .: of a signing key in a secret, its serial")
	case isNumber(g.KeyID) && len(g.KeyID) > 1 && g.KeyID[0] == '0':
		return fmt.Errorf("kid %s is padded: the product gives its keys serials without zeros before them, and finds no other", g.KeyID)
	}
	if err := CheckTokenID(g.ID); err != nil {
		return fmt.Errorf("the ID of the token: %w", err)
	}
	return nil
}

// TokenID makes a jti (a UUID of version 4, as the product does) of 16 random bytes.
func TokenID(random [16]byte) string {
	random[6], random[8] = random[6]&0x0f|0x40, random[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", random[:4], random[4:6], random[6:8], random[8:10], random[10:])
}
