package zonetoken

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/golang-jwt/jwt/v5"

	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/token"
)

// unknownKey is a kid that leads to no key; the product returns its words as they are.
type unknownKey struct{ error }

// verbatim is an error in the product's own words, whose style is not ours.
type verbatim string

func (v verbatim) Error() string { return string(v) }

// Assessment is what the product answers to a token, what we say to it, and where the two differ or might.
type Assessment struct {
	Product  Answer
	Ours     token.Verdict
	Zone     Zone
	Findings finding.Findings
}

// Assess asks the product, judges strictly, and says what is wrong with a token or laxer than it should be, at the
// given time.
func (v Verifier) Assess(raw []byte, now time.Time) Assessment {
	z, err := ReadZone(raw)
	j := Assessment{Product: v.Ask(raw, now), Zone: z}
	if err != nil {
		j.Ours = token.Verdict{Why: err.Error()}
		return j
	}
	j.Ours = v.strict(raw, z, now)
	if j.Ours.Valid && j.Product.Outcome != Accepted { // pkg/token allows for clocks that differ, the product does not
		j.Ours = token.Verdict{Why: "the product does not take it: " + j.Product.Text}
	}
	j.Findings = z.Findings(v, now)
	return j
}

// Verifier is a global control plane, as far as it judges tokens.
type Verifier struct {
	Version     Version
	Keys        KeySet      // from its secrets
	Static      []PublicKey // from its configuration, or a file; looked at first
	Revocations Revocations
	// Zone is what the zone calls itself; "" leaves open who presents the token.
	Zone string
}

// PublicKey is a public key that a control plane is given with its kid.
type PublicKey struct {
	KeyID  string
	Where  string // "file key.pem"
	Public *rsa.PublicKey
}

// Outcome is what becomes of a token at the product.
type Outcome string

// The outcomes.
const (
	Accepted Outcome = "accepted"
	Rejected Outcome = "rejected"
	Crashes  Outcome = "crashes" // the control plane ends with a panic
	NotAsked Outcome = "not asked"
)

// Answer is the product's own.
type Answer struct {
	Outcome Outcome
	Code    string   // the gRPC code of a rejection
	Text    string   // the product's words, as the zone reads them
	Key     string   // where the key is that verified it
	KeyID   string   // the kid of that key, when it is in a secret; a token may say another
	RestsOn []string // what the answer rests on
}

// zoneClaims are the claims of a zone token, by the same names, types and in the same order as in the product (Kuma
// pkg/tokens/builtin/zone/token.go), whose decoder takes them in any case.
type zoneClaims struct {
	Zone  string
	Scope []string
	jwt.RegisteredClaims
}

const (
	unauthenticated  = "Unauthenticated"
	permissionDenied = "PermissionDenied"
	MaxToken         = token.Longest // what is longer is not parsed
)

// Ask says what the product answers to a token that a zone presents, at the given time, in the order of the product
// (Kuma pkg/core/tokens/validator.go in each version, pkg/kds/auth/zone_token.go):
//
//  1. it is parsed; the kid must be there and be a text; the algorithm leads to a key, by the kid;
//  2. its signature, then its times where they are there, without leeway;
//  3. its jti is not revoked;
//  4. its zone is the one that presents it; its scope has cp.
//
// The words are those of a control plane with a lasting store; one that keeps its state in memory adds to some.
func (v Verifier) Ask(raw []byte, now time.Time) Answer {
	a, _ := v.ask(raw, now)
	return a
}

// ask is Ask, and for how long the answer is the same; nil when it rests on the very time.
func (v Verifier) ask(raw []byte, now time.Time) (Answer, *CachedVerdict) {
	a := Answer{RestsOn: v.rests()}
	switch {
	case !v.Version.hasZoneTokens():
		a.Outcome, a.Text = NotAsked, v.Version.String()+" has no zone tokens for control planes: they came with 2.0"
		return a, nil
	case len(raw) > MaxToken:
		a.Outcome, a.Text = NotAsked, fmt.Sprintf("it is %d bytes long, more than a token can be (%d)", len(raw), MaxToken)
		return a, nil
	}
	text := strings.TrimPrefix(strings.TrimPrefix(string(raw), "Bearer "), "bearer ")
	claims := &zoneClaims{}
	kidPanics := false
	var by usedKey
	parser := jwt.NewParser(jwt.WithTimeFunc(func() time.Time { return now })) // and nothing more, as in the product
	_, err := parser.ParseWithClaims(text, claims, func(t *jwt.Token) (any, error) {
		var err error
		by, err = v.key(t, &kidPanics)
		return by.key, err
	})
	if kidPanics {
		a.Outcome, a.Text = Crashes, "panic: interface conversion: interface {} is not string"
		return a, nil
	}
	if err == nil && v.Version.checksIssued() && claims.IssuedAt != nil && now.Before(claims.IssuedAt.Time) {
		err = jwt.ErrTokenUsedBeforeIssued
	}
	switch {
	case err != nil:
		a = a.reject(unauthenticated, "invalid zone token: "+v.words(err, claims, now))
	case v.Revocations.Revoked(claims.ID):
		a = a.reject(unauthenticated, "invalid zone token: token is revoked")
	case v.Zone != "" && claims.Zone != v.Zone:
		a = a.reject(permissionDenied, fmt.Sprintf("token is signed for %q zone, but connected CP advertised as %q",
			claims.Zone, v.Zone))
	case !slices.Contains(claims.Scope, scope):
		a = a.reject(permissionDenied, fmt.Sprintf("token cannot be used to authenticate zone CP (%s is out of token's scope: %+v)", scope, claims.Scope))
	default:
		a.Outcome, a.Key, a.KeyID = Accepted, by.where, by.kid
	}
	if err != nil { // the time is in its words, or may be
		return a, nil
	}
	return a, claims.holds(a)
}

// holds says for how long an answer is the same that was given to claims whose times were all looked at, and were good.
func (c *zoneClaims) holds(a Answer) *CachedVerdict {
	h := CachedVerdict{Answer: a}
	for _, from := range []*jwt.NumericDate{c.NotBefore, c.IssuedAt} {
		if from != nil && from.After(h.from) {
			h.from = from.Time
		}
	}
	if c.ExpiresAt != nil {
		h.until = c.ExpiresAt.Time
	}
	return &h
}

func (a Answer) reject(code, text string) Answer {
	a.Outcome, a.Code, a.Text = Rejected, code, Safe(text)
	return a
}

// usedKey is a key to verify a token with: where it is, and its kid when it is in a secret.
type usedKey struct {
	key        any
	where, kid string
}

// key finds the key for a token as the product does; panics says that the product would not come back.
func (v Verifier) key(t *jwt.Token, panics *bool) (usedKey, error) {
	raw, there := t.Header["kid"]
	if !there {
		if !v.Version.AtLeast(2, 1, 0) {
			return usedKey{}, errors.New("missing Key ID")
		}
		return usedKey{}, errors.New("JWT token must have kid header")
	}
	kid, ok := raw.(string)
	switch {
	case !ok && v.Version.panicsOnKid():
		*panics = true
		return usedKey{}, errors.New("panic")
	case !ok && !v.Version.AtLeast(2, 1, 0):
		return usedKey{}, verbatim("kid header is invalid. Expected string.")
	case !ok:
		return usedKey{}, errors.New("JWT token kid header must be a string")
	}
	if v.Version.kidIsNumber() {
		n, err := strconv.Atoi(kid)
		if err != nil {
			return usedKey{}, verbatim("kid header is invalid. Expected string to be parseable as int.")
		}
		kid = strconv.Itoa(n)
	}
	switch alg := t.Method.Alg(); {
	case alg == jwt.SigningMethodRS256.Name:
		for _, k := range v.Static {
			if k.KeyID == kid {
				return usedKey{key: k.Public, where: k.Where}, nil
			}
		}
		key, err := v.Keys.Verifier(kid)
		if err != nil {
			if key.Name == "" {
				err = unknownKey{err}
			}
			return usedKey{}, err
		}
		return usedKey{key.Public, "secret " + key.Name, key.Verifies}, nil
	case alg == jwt.SigningMethodHS256.Name && v.Version.verifiesHMAC():
		for _, k := range v.Keys.Keys {
			if k.Seen && k.Name == KeyPrefix {
				return usedKey{k.value.Reveal(), "secret " + k.Name, k.Verifies}, nil
			}
		}
		return usedKey{}, unknownKey{notFound("0")}
	case !v.Version.verifiesHMAC():
		return usedKey{}, fmt.Errorf("unsupported token alg %s. Allowed algorithm is RS256", alg)
	case !v.Version.AtLeast(2, 1, 0):
		return usedKey{}, errors.New("unknown token alg. Allowed algs are HS256 and RS256")
	default:
		return usedKey{}, fmt.Errorf("unsupported token alg %s. Allowed algorithms are RS256 and %v", alg,
			jwt.SigningMethodHS256)
	}
}

// words puts an error of the library as the version does.
func (v Verifier) words(err error, claims *zoneClaims, now time.Time) string {
	var unknown unknownKey
	if errors.As(err, &unknown) {
		return unknown.Error()
	}
	if !v.Version.AtLeast(2, 11, 0) {
		return "could not parse token: " + itsTypes.Replace(oldWords(err, claims, now))
	}
	if errors.Is(err, jwt.ErrTokenNotValidYet) && v.Version.saysNotYet() {
		return "token is not yet valid: 'valid_from' date is in the future. Check if the system clock on the instance that issued the token is set correctly: " + err.Error()
	}
	return "could not parse token: " + itsTypes.Replace(err.Error())
}

// itsTypes words the decoder's errors with the name of the product's type in place of ours.
var itsTypes = strings.NewReplacer("zonetoken.zoneClaims", "zone.ZoneClaims", "zoneClaims", "ZoneClaims")

// oldWords are those of golang-jwt v4, which Kuma had up to 2.10: the innermost error alone, and of several the last.
func oldWords(err error, claims *zoneClaims, now time.Time) string {
	switch {
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return "token is not valid yet"
	case errors.Is(err, jwt.ErrTokenUsedBeforeIssued), errors.Is(err, jwt.ErrTokenExpired) && claims.IssuedAt != nil &&
		now.Before(claims.IssuedAt.Time):
		return "token used before issued"
	case errors.Is(err, jwt.ErrTokenExpired):
		return fmt.Sprintf("token is expired by %s", now.Sub(claims.ExpiresAt.Time))
	}
	text := err.Error()
	for _, outer := range []string{"token is malformed: ", "token is unverifiable: ", "token signature is invalid: ",
		"token has invalid claims: ", "error while executing keyfunc: ",
		"could not base64 decode header: ", "could not JSON decode header: ", "could not base64 decode claim: ",
		"could not JSON decode claim: ", "could not base64 decode signature: "} {
		text = strings.TrimPrefix(text, outer)
	}
	return text
}

const noZone = "no zone was named, so it was not compared"

// rests is what an answer rests on.
func (v Verifier) rests() []string {
	var all []string
	if !v.Version.Known() {
		all = append(all, "the control plane's version is not known; this is how 2.14 does it")
	}
	switch {
	case !v.Version.AuthenticatesZones():
		all = append(all, v.Version.String()+" asks no zone for a token; this is what its validator, and the checks of 3.0 after it, would say")
	case !v.Version.AtLeast(3, 0, 0):
		all = append(all, "the authenticator of Kong Mesh up to 2.14 is closed: its checks of zone and scope, and their words, are taken from the open one of Kuma 3.0")
	}
	if v.Zone == "" {
		all = append(all, noZone)
	}
	return all
}

// strict judges a token as it should be judged: by pkg/token, with the keys that its kid leads to, then its claims.
func (v Verifier) strict(raw []byte, z Zone, now time.Time) token.Verdict {
	var keys []token.Key
	for _, k := range v.Static {
		keys = append(keys, token.Key{Where: k.Where, ID: k.KeyID, Alg: "RS256", Public: k.Public})
	}
	for _, k := range v.Keys.Keys {
		if k.Seen && k.Public != nil && k.Verifies != "" {
			keys = append(keys, token.Key{Where: "secret " + k.Name, ID: k.Verifies, Alg: "RS256", Public: k.Public})
		}
	}
	verdict := token.Verify(raw, keys, now)
	why := ""
	switch {
	case !verdict.Valid:
		return verdict
	case z.KeyID == "":
		why = "it has no kid, so nothing says which key it was signed with"
	case z.odd != "":
		why = z.odd
	case z.ID == "":
		why = "it has no jti, so it alone can never be revoked"
	case v.Revocations.Revoked(z.ID):
		why = "it is revoked"
	case slices.Contains(v.Revocations.Ineffective(), z.ID):
		why = "it was evidently meant to be revoked; the list is not written as the product reads it"
	case z.Name == "":
		why = "it names no zone"
	case z.claims["aud"] != nil:
		why = "it names an audience, and a control plane has none: it was made for something else"
	case v.Zone != "" && z.Name != v.Zone:
		why = fmt.Sprintf("it is for zone %q and not %q", z.Name, v.Zone)
	case !slices.Contains(z.Scope, scope):
		why = "its scope has no cp, so it is not for a control plane"
	}
	if why != "" {
		return token.Verdict{Why: Safe(why)}
	}
	verdict.Rests = nil // of pkg/token, for tokens in general
	if v.Zone == "" {
		verdict.Rests = []string{noZone}
	}
	return verdict
}

// Safe makes words that may quote a claim fit to be printed.
func Safe(text string) string {
	text = strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return ' '
		}
		return c
	}, text)
	if runes := []rune(text); len(runes) > 600 {
		text = string(runes[:600]) + "..."
	}
	return text
}

// CachedVerdict is an answer, and from when until when it is the same; zero: from or for ever.
type CachedVerdict struct {
	Answer
	from, until time.Time
}

func (h CachedVerdict) at(now time.Time) bool {
	return !now.Before(h.from) && (h.until.IsZero() || now.Before(h.until))
}
