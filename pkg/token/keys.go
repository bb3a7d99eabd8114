package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// Key is a public key that may have signed a token.
type Key struct {
	Where  string // "secret tsb/iam-signing-key key private.key"
	ID     string // its kid, "" when it has none
	Alg    string // the one algorithm that it is for, "" when any of its kind
	Public crypto.PublicKey
	// Audiences, when there are any, are those of which the token must name one.
	Audiences []string
	// Private says that the text held the private key too.
	Private bool
	// Warnings are about the text that it was read from: what else in it is ignored, and what strict readers refuse.
	Warnings []string
}

// ParseKeys reads public keys, certificates and private keys (of which only the public half is kept) as PEM, or a JWK
// or a JWK set. What is no key that we can use is ignored, with a warning, next to one that is (RFC 7517, section 5):
// a token that it signed is signed with no known key. Neither a warning nor the error contains a part of the text. A
// symmetric key is not used: anyone who verifies with it can sign.
func ParseKeys(text []byte, where string) ([]Key, error) {
	var f finds
	found := func(k Key, err error) { f.add(where, k, err) }
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		public, private, err := fromPEM(block)
		found(Key{Where: where, Public: public, Private: private}, err)
	}
	if f.n > 0 {
		return f.used()
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(text, &set) != nil {
		return nil, fmt.Errorf("%s holds neither PEM nor a JSON Web Key", where)
	}
	if len(set.Keys) == 0 {
		set.Keys = []json.RawMessage{text}
	}
	for _, raw := range set.Keys {
		var k jwk
		if json.Unmarshal(raw, &k) != nil {
			found(Key{}, errors.New("a JSON Web Key in it has a member of the wrong kind"))
			continue
		}
		public, err := k.public()
		found(Key{Where: where, ID: k.Kid, Alg: k.Alg, Public: public, Private: k.D != ""}, err)
		if err == nil && strings.ContainsRune(k.N+k.E+k.X+k.Y, '=') {
			f.warn("%s: key %d is padded with =, which RFC 7515 forbids; strict readers refuse it", where, f.n)
		}
	}
	return f.used()
}

// finds are what was found in one text.
type finds struct {
	n        int // keys, or what may be meant as one
	keys     []Key
	warnings []string
	why      error // of the first that is not used
}

func (f *finds) add(where string, k Key, err error) {
	f.n++
	if err == nil {
		f.keys = append(f.keys, k)
		return
	}
	f.warn("%s: key %d is ignored: %v", where, f.n, err)
	if f.why == nil {
		f.why = fmt.Errorf("%s: %w", where, err)
	}
}

func (f *finds) warn(format string, args ...any) {
	f.warnings = append(f.warnings, fmt.Sprintf(format, args...))
}

// used are the keys, or why there is none.
func (f *finds) used() ([]Key, error) {
	if len(f.keys) == 0 {
		return nil, f.why
	}
	for i := range f.keys {
		f.keys[i].Warnings = f.warnings
	}
	return f.keys, nil
}

func fromPEM(block *pem.Block) (public crypto.PublicKey, private bool, err error) {
	var key any
	switch block.Type {
	case "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var c *x509.Certificate
		if c, err = x509.ParseCertificate(block.Bytes); err == nil {
			key = c.PublicKey
		}
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return nil, false, errors.New("a PEM block in it is neither a key nor a certificate")
	}
	if err != nil {
		return nil, false, errors.New("a PEM block in it cannot be read") // the cause may quote it
	}
	if signer, ok := key.(crypto.Signer); ok {
		key, private = signer.Public(), true
	}
	if methods(key) == nil {
		return nil, false, errors.New("a key in it is of a kind that signs no token")
	}
	return key, private, nil
}

// jwk is what we read of a JSON Web Key (RFC 7517): its public members, and whether there are private ones.
type jwk struct {
	Kty, Kid, Alg, Crv, N, E, X, Y, D string
}

func (k jwk) public() (crypto.PublicKey, error) {
	bytes := func(text string) ([]byte, error) { // tools of .NET and Java pad it, which RFC 7515 forbids and readers take
		return base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
	}
	number := func(text string) *big.Int {
		b, err := bytes(text)
		if err != nil || len(b) == 0 || len(b) > 1024 {
			return nil
		}
		return new(big.Int).SetBytes(b)
	}
	bad := errors.New("a JSON Web Key in it is incomplete")
	switch k.Kty {
	case "RSA":
		n, e := number(k.N), number(k.E)
		if n == nil || e == nil || e.BitLen() > 31 {
			return nil, bad
		}
		return &rsa.PublicKey{N: n, E: int(e.Int64())}, nil
	case "EC":
		curve := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(),
			"P-521": elliptic.P521()}[k.Crv]
		x, y := number(k.X), number(k.Y)
		if curve == nil || x == nil || y == nil || max(x.BitLen(), y.BitLen()) > curve.Params().BitSize {
			return nil, bad
		}
		size := (curve.Params().BitSize + 7) / 8
		point := append([]byte{4}, x.FillBytes(make([]byte, size))...)
		key, err := ecdsa.ParseUncompressedPublicKey(curve, append(point, y.FillBytes(make([]byte, size))...))
		if err != nil {
			return nil, bad
		}
		return key, nil
	case "OKP":
		x, err := bytes(k.X)
		if err != nil || k.Crv != "Ed25519" || len(x) != ed25519.PublicKeySize {
			return nil, bad
		}
		return ed25519.PublicKey(x), nil
	case "oct":
		return nil, errors.New("a key in it is symmetric: anyone who verifies with it can sign, so it is not used")
	}
	return nil, errors.New("it holds no JSON Web Key of a known kind")
}

// methods are the algorithms that a key's kind signs with; nil when it signs no token.
func methods(public crypto.PublicKey) []string {
	switch k := public.(type) {
	case *rsa.PublicKey:
		return []string{"RS256", "RS384", "RS512"}
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return []string{"ES256"}
		case elliptic.P384():
			return []string{"ES384"}
		case elliptic.P521():
			return []string{"ES512"}
		}
	case ed25519.PublicKey:
		return []string{"EdDSA"}
	}
	return nil
}
