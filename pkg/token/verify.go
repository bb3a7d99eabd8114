package token

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// leeway is how far two machines' clocks may be apart before a time in a token counts.
const leeway = 30 * time.Second

// Verdict says whether a token is valid, by which key, and what that rests on.
type Verdict struct {
	Valid bool
	Why   string // why it is rejected
	Key   Key    // that verified it
	Rests []string
}

// Verify judges a token strictly, at the given time, in these steps:
//
//  1. its form: nothing may be odd about it that another reader could take differently;
//  2. the keys: those of its kid, or all when they have no IDs; never one that the token brings itself;
//  3. its signature, with the algorithms of the key's own kind and no other;
//  4. its times, exp required, and its audience where the key asks for one.
func Verify(raw []byte, keys []Key, now time.Time) Verdict {
	p, err := parse(raw)
	if err != nil {
		return Verdict{Why: err.Error()}
	}
	for _, odd := range p.odd {
		if odd.Kind != OddIgnored {
			return Verdict{Why: odd.Text}
		}
	}
	for _, claim := range []string{"exp", "iat", "nbf"} {
		if _, err := p.time(claim); err != nil {
			return Verdict{Why: err.Error()}
		}
	}
	kid := p.text("kid")
	var candidates []Key
	var known []string
	for _, k := range keys {
		if k.ID == "" || kid == "" || k.ID == kid {
			candidates = append(candidates, k)
		}
		known = append(known, k.Where)
	}
	if len(candidates) == 0 {
		return Verdict{Why: fmt.Sprintf("it was signed with key %s, which is none of the known ones (%s)", printable(kid),
			strings.Join(known, ", "))}
	}
	why := ""
	for _, k := range candidates {
		err := verify(string(raw), k, now)
		if err == nil {
			return Verdict{Valid: true, Key: k, Rests: rests(k, kid)}
		}
		if why == "" || !errors.Is(err, errSignature) { // a key that did sign it says more
			why = err.Error()
		}
	}
	return Verdict{Why: why}
}

var errSignature = errors.New("its signature is not of a known key")

// verify judges a token of plain form by one key.
func verify(text string, k Key, now time.Time) error {
	allowed := methods(k.Public)
	if k.Alg != "" {
		allowed = slices.DeleteFunc(slices.Clone(allowed), func(m string) bool { return m != k.Alg })
	}
	if len(allowed) == 0 {
		return fmt.Errorf("the key (%s) is said to be for %s, which its kind cannot sign", k.Where, printable(k.Alg))
	}
	options := []jwt.ParserOption{jwt.WithValidMethods(allowed), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
		jwt.WithLeeway(leeway), jwt.WithStrictDecoding(),
		jwt.WithTimeFunc(func() time.Time { return now })}
	if len(k.Audiences) > 0 {
		options = append(options, jwt.WithAudience(k.Audiences...))
	}
	var claims jwt.RegisteredClaims
	_, err := jwt.NewParser(options...).ParseWithClaims(text, &claims, func(*jwt.Token) (any,
		error) {
		return k.Public, nil
	})
	switch { // in our words: the library's may quote the token
	case err == nil:
		return nil
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return fmt.Errorf("%w (%s, %s)", errSignature, k.Where, strings.Join(allowed, " or "))
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing) && claims.ExpiresAt == nil:
		return errors.New("it has no exp, so it would never expire")
	case errors.Is(err, jwt.ErrTokenExpired):
		return fmt.Errorf("it expired at %s", claims.ExpiresAt.UTC().Format(time.RFC3339))
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return fmt.Errorf("it is valid only from %s", claims.NotBefore.UTC().Format(time.RFC3339))
	case errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return errors.New("it says that it was issued later than now")
	case errors.Is(err, jwt.ErrTokenInvalidAudience), errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return fmt.Errorf("it is not for %s", strings.Join(k.Audiences, " or "))
	}
	return errors.New("a claim of it is not of the kind that it should be")
}

// rests is what a verdict rests on beyond the signature.
func rests(k Key, kid string) []string {
	var all []string
	if kid != "" && k.ID == "" {
		all = append(all, "the key has no ID of its own, so the token's kid was not compared")
	}
	if len(k.Audiences) == 0 {
		all = append(all, "no audience is configured, so aud was not checked")
	}
	return append(all, "iss and sub were not checked: which ones the hub wants is not documented",
		"whether it was revoked cannot be told: it can expire, or its key can be retired")
}
