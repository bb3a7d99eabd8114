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

// maxBytes is the longest text that is parsed: a token is a few hundred bytes, and parsing megabytes of dots is an attack.
const maxBytes = 8 << 10

// Info is what a token says of itself, unverified.
type Info struct {
	Expires time.Time // zero when it has no exp
	Issued  time.Time // zero when it has no iat
	KeyID   string    // the header's kid
	Alg     string
	Digest  string // the first 8 hex digits of its SHA-256: tells two tokens apart and cannot be used as one
}

// Inspect reads a token without verifying it. It refuses what the product would refuse or misread: white space around it
// (`jq -r | base64` appends a newline to the JWT), a wrong number of parts, a body that is not JSON, a non-numeric time.
// The error never contains any part of the token.
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
	exp, err := claims.GetExpirationTime()
	if err != nil {
		return Info{}, errors.New("its exp claim is not a number of seconds")
	}
	iat, err := claims.GetIssuedAt()
	if err != nil {
		return Info{}, errors.New("its iat claim is not a number of seconds")
	}
	sum := sha256.Sum256(raw)
	info := Info{Alg: t.Method.Alg(), Digest: hex.EncodeToString(sum[:4])}
	info.KeyID, _ = t.Header["kid"].(string)
	if exp != nil {
		info.Expires = exp.UTC()
	}
	if iat != nil {
		info.Issued = iat.UTC()
	}
	return info, nil
}
