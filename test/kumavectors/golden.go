package kumavectors

import (
	"crypto/rsa"
	"crypto/x509"
	"embed"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
)

//go:embed testdata/one.pem testdata/two.pem testdata/kuma-2.14.3.json
var testdata embed.FS

// Row is a vector and the answer that was recorded.
type Row struct {
	Vector
	Kuma Answer `json:"kuma"`
}

// Golden is what testdata/kuma-2.14.3.json holds.
type Golden struct {
	Kuma      string            `json:"kuma"`      // the version that answered
	Materials map[string][]byte `json:"materials"` // by name
	Rows      []Row             `json:"rows"`
}

// Recorded are the vectors with the answers of Kuma.
func Recorded() (Golden, error) {
	var g Golden
	text, err := testdata.ReadFile("testdata/kuma-2.14.3.json")
	if err == nil {
		err = json.Unmarshal(text, &g)
	}
	if err != nil {
		return g, fmt.Errorf("read the recorded answers: %w", err)
	}
	return g, nil
}

// TestKeys are the two keys of all vectors. They are in the repository, and of no use for anything else.
func TestKeys() (one, two *rsa.PrivateKey, err error) {
	read := func(name string) (*rsa.PrivateKey, error) {
		text, err := testdata.ReadFile("testdata/" + name)
		if err != nil {
			return nil, err
		}
		block, _ := pem.Decode(text)
		if block == nil {
			return nil, errors.New(name + " is no PEM")
		}
		return x509.ParsePKCS1PrivateKey(block.Bytes)
	}
	one, err1 := read("one.pem")
	two, err2 := read("two.pem")
	if err := errors.Join(err1, err2); err != nil {
		return nil, nil, fmt.Errorf("read the test keys: %w", err)
	}
	return one, two, nil
}
