package kumasim

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// keyNotFound is a kid that leads to no secret.
type keyNotFound struct{ kid, name string }

func (e *keyNotFound) Error() string {
	return fmt.Sprintf("there is no signing key with KID %s. GlobalSecret of name %q is not found. If signing key was rotated, regenerate the token", e.kid, e.name)
}

func keyName(kid string) string {
	if kid == "0" {
		return keyPrefix
	}
	return keyPrefix + "-" + kid
}

// NewKey makes a signing key as the product does: RSA 2048, PKCS#1 PEM.
func NewKey() ([]byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("make signing key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), nil
}

// parseKey reads PKCS#1, as PEM or DER.
func parseKey(value []byte) (*rsa.PrivateKey, error) {
	if block, _ := pem.Decode(value); block != nil && block.Type == "RSA PRIVATE KEY" {
		return x509.ParsePKCS1PrivateKey(block.Bytes)
	}
	return x509.ParsePKCS1PrivateKey(value)
}

// keyValue is the raw value of the secret to which a kid leads.
func keyValue(from Source, kid string) ([]byte, error) {
	value, found, err := get(from, keyName(kid))
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, &keyNotFound{kid, keyName(kid)}
	}
	return value, nil
}

// latestKey is the key that signs: the highest number behind the prefix; what is no number is 0.
func latestKey(from Source) (*rsa.PrivateKey, string, error) {
	all, err := visible(from)
	if err != nil {
		return nil, "", err
	}
	highest, value := -1, []byte(nil)
	for _, s := range all {
		if !strings.HasPrefix(s.Name, keyPrefix) {
			continue
		}
		n, err := strconv.Atoi(strings.ReplaceAll(s.Name, keyPrefix+"-", ""))
		if err != nil {
			n = 0
		}
		if n > highest {
			highest, value = n, s.Data[valueKey]
		}
	}
	if highest < 0 {
		return nil, "", &keyNotFound{"1", keyName("1")}
	}
	key, err := parseKey(value)
	return key, strconv.Itoa(highest), err
}

// publicHalf is what zones get for a signing key: PEM of PKCS#1. The panic of a value that is no PEM comes as an
// error of its words.
func publicHalf(value []byte) ([]byte, error) {
	block, _ := pem.Decode(value)
	if block == nil {
		return nil, errors.New("runtime error: invalid memory address or nil pointer dereference")
	}
	if block.Type != "RSA PRIVATE KEY" {
		return nil, fmt.Errorf("invalid key encoding %q", block.Type)
	}
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&key.PublicKey)}), nil
}
