package token

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// maxBytes is the longest text that is taken for a token: a token is a few hundred bytes, and parsing megabytes of
// dots is an attack. Longest is what is taken apart all the same, since a product takes it: what is longer fits into
// no variable of an environment.
const (
	maxBytes = 8 << 10
	Longest  = 128 << 10
)

// Info is what a token says of itself, unverified.
type Info struct {
	Expires time.Time // zero when it has no exp, and never when it has one that cannot be read
	Issued  time.Time // zero when it has no iat
	KeyID   string    // the header's kid
	Alg     string
	Digest  string // the first 8 hex digits of its SHA-256: tells two tokens apart and cannot be used as one
}

// Inspect reads a token without verifying it. It refuses what the product would refuse or misread: white space around
// it (`jq -r | base64` appends a newline to the JWT), a wrong number of parts, a body that is not JSON, a non-numeric
// time. The error never contains any part of the token.
func Inspect(raw []byte) (Info, error) {
	text := string(raw)
	switch {
	case len(raw) == 0:
		return Info{}, errors.New("it is empty")
	case len(raw) > maxBytes:
		return Info{}, fmt.Errorf("it is %d bytes long, more than a token can be (%d)", len(raw), maxBytes)
	case strings.TrimSpace(text) != text:
		return Info{}, errors.New("it has white space at its start or end, such as a trailing newline; store it without")
	}
	claims := jwt.MapClaims{}
	t, _, err := jwt.NewParser(jwt.WithStrictDecoding()).ParseUnverified(text, claims)
	if err != nil && t == nil {
		return Info{}, errors.New("it is not a JWT: three base64url parts joined by dots, the first two JSON")
	}
	if err != nil {
		return Info{}, errors.New("its header names no known signing method, or a part of it is malformed")
	}
	exp, err := seconds(claims, "exp")
	if err != nil {
		return Info{}, err
	}
	iat, err := seconds(claims, "iat")
	if err != nil {
		return Info{}, err
	}
	sum := sha256.Sum256(raw)
	info := Info{Alg: t.Method.Alg(), Digest: hex.EncodeToString(sum[:4])}
	info.KeyID, _ = t.Header["kid"].(string)
	info.Expires, info.Issued = exp, iat
	return info, nil
}

// seconds is a claim that is a time; zero only where it is not there. Which reader the product has is not known, so
// nothing but a number counts, and one that nobody can mean, such as 0, is an error: golang-jwt's own MapClaims take
// that for a claim that is not there.
func seconds(claims jwt.MapClaims, claim string) (time.Time, error) {
	value, there := claims[claim]
	if !there {
		return time.Time{}, nil
	}
	n, ok := value.(float64)
	switch {
	case !ok:
		return time.Time{}, fmt.Errorf("its %s claim is not a number of seconds", claim)
	case n <= 0 || n > lastSecond:
		return time.Time{}, fmt.Errorf("its %s claim is not a time that can be meant", claim)
	}
	return time.Unix(int64(n), 0).UTC(), nil
}
