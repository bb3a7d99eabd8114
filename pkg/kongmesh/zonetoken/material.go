package zonetoken

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strconv"
)

// material reads the key itself, and says what is wrong with it.
func (k *SigningKey) material() {
	value := k.value.Reveal()
	key, err := readPrivate(value)
	if k.err = err; err == nil {
		k.Public = &key.PublicKey
	}
	remedy := "Delete the secret if nothing is signed with it yet, and create the key again as PKCS#1 PEM (RSA PRIVATE KEY); key create makes one."
	f := &k.Findings
	if why := syncBreak(value, err); why != "" {
		stops := "; while the control plane sees it, nothing at all is synced from the global to any zone (" + why + ")"
		block, _ := pem.Decode(value)
		switch {
		case len(value) == 0:
			f.Add(keyEmpty, fmt.Sprintf("secret %s has no data.%s%s", k.Name, SecretKey, stops), remedy)
		case block != nil && block.Type == "EC PRIVATE KEY":
			f.Add(keyEc, fmt.Sprintf("secret %s holds an elliptic curve key, and tokens are RS256%s", k.Name, stops), remedy)
		case block != nil && block.Type == "PRIVATE KEY":
			f.Add(keyPkcs8, fmt.Sprintf("secret %s holds PKCS#8 PEM (openssl's default), which the product does not read%s",
				k.Name, stops), remedy)
		case block != nil && block.Type != privateBlock:
			f.Add(keyPem, fmt.Sprintf("secret %s holds PEM of another kind (%s), which the product does not read%s", k.Name,
				strconv.Quote(shorten(block.Type)), stops), remedy)
		case block != nil:
			f.Add(keyUnreadable, fmt.Sprintf("the PEM in secret %s cannot be read%s", k.Name, stops), remedy)
		case k.Public != nil:
			f.Add(keyDer, fmt.Sprintf("secret %s holds DER without PEM: tokens are signed and verified with it, and%s", k.Name,
				stops[1:]), remedy)
		case twiceEncoded(value):
			f.Add(keyTwiceEncoded, fmt.Sprintf("the value of secret %s is base64 in base64 (kumactl generate signing-key prints base64 already)%s", k.Name, stops), remedy)
		default:
			f.Add(keyUnreadable, fmt.Sprintf("secret %s holds no key%s", k.Name, stops), remedy)
		}
		return
	}
	if k.Public.N.BitLen() < minBits {
		f.Add(keyShort, fmt.Sprintf("secret %s holds a key of %d bits, less than %d", k.Name, k.Public.N.BitLen(), minBits),
			"Rotate to a longer key.")
	}
	if block, rest := pem.Decode(value); len(bytes.TrimSpace(rest)) > 0 || !bytes.HasPrefix(value, []byte("-----BEGIN")) {
		f.Add(keySurplus, fmt.Sprintf("secret %s holds more than the one PEM block (%s) that is read", k.Name, block.Type),
			"")
	}
}

// syncBreak says what becomes of the global's sync when it makes the public half of this value for its zones, "" when
// it goes on; read is what readPrivate said of it. Nothing of any kind is synced to any zone while one signing key
// breaks it (Kuma pkg/kds/context/context.go).
func syncBreak(value []byte, read error) string {
	block, _ := pem.Decode(value)
	if block == nil {
		return "nil pointer dereference"
	}
	if block.Type != privateBlock {
		return fmt.Sprintf("invalid key encoding %q", block.Type)
	}
	if read != nil {
		return read.Error()
	}
	return ""
}

// EncodeKey writes a key as the product does: PKCS#1 PEM.
func EncodeKey(key *rsa.PrivateKey) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: privateBlock, Bytes: x509.MarshalPKCS1PrivateKey(key)})
}

// KeyManifest is the Secret of a signing key: its value is the PEM, encoded once. Serials begin at 1.
func KeyManifest(namespace string, serial int, text []byte) (map[string]any, error) {
	if serial < 1 {
		return nil, fmt.Errorf("the serial of a signing key is %d; serials begin at 1", serial)
	}
	if _, err := CheckPEM(text); err != nil {
		return nil, fmt.Errorf("making the secret of signing key %d: %w", serial, err)
	}
	return map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": SecretType,
		"metadata": map[string]any{"namespace": namespace, "name": KeyName(strconv.Itoa(serial))},
		"data":     map[string]any{SecretKey: base64.StdEncoding.EncodeToString(text)},
	}, nil
}

// CheckPEM refuses what must not become a signing key, and returns the key. A half-valid one under the prefix stops
// the sync to all zones from the moment it is there, so this comes before it is created: exactly one PEM block, RSA
// PRIVATE KEY (PKCS#1), not encrypted, valid, of 2048 bits or more. The error never contains a part of it.
func CheckPEM(text []byte) (*rsa.PrivateKey, error) {
	block, rest := pem.Decode(text)
	switch {
	case block == nil && twiceEncoded(text):
		return nil, errors.New("it is base64 of the key and not the key: pass the PEM (kumactl generate signing-key --format=pem), which is encoded once when it is stored")
	case block == nil:
		return nil, errors.New("it is not PEM; a signing key must be -----BEGIN RSA PRIVATE KEY-----")
	case block.Type == "PRIVATE KEY":
		return nil, errors.New("it is PKCS#8 (PRIVATE KEY), which stops all sync from the global to its zones; convert it with: openssl rsa -traditional")
	case block.Type != privateBlock:
		return nil, fmt.Errorf("it is PEM of another kind (%s); a signing key must be RSA PRIVATE KEY (PKCS#1)",
			strconv.Quote(shorten(block.Type)))
	case len(block.Headers) > 0:
		return nil, errors.New("it is encrypted, or has headers; the product reads neither")
	case len(bytes.TrimSpace(rest)) > 0 || !bytes.HasPrefix(bytes.TrimSpace(text), []byte("-----BEGIN")):
		return nil, errors.New("it holds more than one PEM block; a signing key must be alone")
	}
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("the RSA key in it cannot be read") // the cause may quote it
	}
	if err := key.Validate(); err != nil {
		return nil, errors.New("the RSA key in it is not valid")
	}
	if bits := key.N.BitLen(); bits < minBits {
		return nil, fmt.Errorf("it has %d bits; a signing key must have at least %d", bits, minBits)
	}
	return key, nil
}

// twiceEncoded says whether a value is base64 of PEM, or of a key.
func twiceEncoded(value []byte) bool {
	once, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(value)))
	if err != nil {
		return false
	}
	_, err = readPrivate(once)
	block, _ := pem.Decode(once)
	return err == nil || block != nil
}

const (
	privateBlock = "RSA PRIVATE KEY" // PKCS#1: the one kind of PEM that the product reads
	minBits      = 2048              // what the product makes
)

// readPrivate reads a signing key as the product does (Kuma pkg/core/tokens/signing_key.go, pkg/util/rsa/pem.go):
// PKCS#1, as PEM or, for old keys, as DER. The error is the product's.
func readPrivate(value []byte) (*rsa.PrivateKey, error) {
	if block, _ := pem.Decode(value); block != nil && block.Type == privateBlock {
		return x509.ParsePKCS1PrivateKey(block.Bytes)
	}
	return x509.ParsePKCS1PrivateKey(value)
}

func shorten(s string) string {
	if len(s) > 32 {
		return s[:32] + "..."
	}
	return s
}
