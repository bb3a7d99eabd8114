package canary

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"
)

func TestEveryPieceOfASecretIsFound(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	private := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE",
		Bytes: []byte("a certificate that anybody may see, and is seen everywhere")}))
	const header, payload, signature = "eyJhbGciOiJSUzI1NiJ9", "eyJpc3MiOiJvcGVyYXRvciIsInN1YiI6ImVkZ2UifQ",
		"c2lnbmF0dXJlLW9mLXRoZS10b2tlbi10aGF0LW5vYm9keS1rbm93cw"
	const jwk = `{"kty":"RSA","kid":"key-of-edge-1-2026","n":"public-modulus-of-the-key","d":"private-exponent-of-the-key"}`
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	var s Set
	for _, v := range []struct{ key, value string }{{"tls.key", private},
		{"jwt", header + "." + payload + "." + signature}, {"jwk", jwk}, {"password", "correct horse battery staple"},
		{"pin", "hunter2hunter2"},
		{"ca.crt", ca}, {"tls.crt", ca}, {"bundle", ca + private}, {"clusterFqn", "organizations/tetrate/clusters/edge-1"}} {
		s.Add("secret "+v.key, v.key, []byte(v.value))
	}
	for name, tc := range map[string]struct {
		text string
		hit  bool
	}{
		"a private key":                    {"x " + private, true},
		"a line of it":                     {"x " + strings.Split(private, "\n")[1], true},
		"a part of a line":                 {"x " + strings.Split(private, "\n")[1][20:40], true},
		"it in base64":                     {"x " + b64(private), true},
		"a token":                          {"Bearer " + header + "." + payload + "." + signature, true},
		"its signature":                    {signature[5:30], true},
		"its payload":                      {payload, true},
		"it in base64 ":                    {b64(header + "." + payload + "." + signature), true},
		"it in base64, in the midst":       {b64("1" + header + "." + payload + "." + signature + "2"), true},
		"its header":                       {header, false},
		"another token":                    {"eyJhbGciOiJub25lIn0.eyJhIjoiYiIsImMiOiJkIn0.AAAABBBBCCCC", true},
		"another key":                      {"-----BEGIN RSA PRIVATE KEY-----", true},
		"another key in base64":            {b64("-----BEGIN RSA PRIVATE KEY-----\nMIIE"), true},
		"a JWK":                            {jwk, true},
		"a JWK in JSON":                    {`{"a":"{\"d\":\"abcdefghijklmnopqrs\"}"}`, true},
		"its public part":                  {`"kid":"key-of-edge-1-2026","n":"public-modulus-of-the-key"`, false},
		"a password":                       {"correct horse battery", true},
		"a password in base64":             {b64("correct horse battery staple"), true},
		"a short password":                 {"hunter2hunter2", true},
		"a CA":                             {ca + b64(ca), false},
		"the name of a cluster":            {"organizations/tetrate/clusters/edge-1", false},
		"nothing":                          {"secret istio-system/xcp-edge-cert: tls.key is there", false},
		"what all private keys begin with": {"-----BEGIN PRIVATE", false},
	} {
		found := s.Find("Before it: " + tc.text)
		if (len(found) > 0) != tc.hit {
			t.Errorf("%s: found %q, want %v", name, found, tc.hit)
		}
		for _, f := range found {
			each(f, func(p [piece]byte) {
				if s.pieces[p] != "" && !s.public[p] {
					t.Errorf("%s: the report repeats the secret: %q", name, f)
				}
			})
		}
	}
	if s.Len() == 0 {
		t.Error("nothing is looked for")
	}
}

// A certificate of another key shares the name of the algorithm with a private key, and nothing else.
func TestAPublicKeyIsNotTakenForAPrivateOne(t *testing.T) {
	curve := func(c elliptic.Curve) func() (any, any) {
		return func() (any, any) {
			key, err := ecdsa.GenerateKey(c, rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			return key, key.Public()
		}
	}
	for name, generate := range map[string]func() (private, public any){"P-256": curve(elliptic.P256()),
		"P-384": curve(elliptic.P384()), "RSA": func() (any, any) {
			key, err := rsa.GenerateKey(rand.Reader, 2048)
			if err != nil {
				t.Fatal(err)
			}
			return key, key.Public()
		}} {
		private, _ := generate()
		der, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			t.Fatal(err)
		}
		var s Set
		s.Add("the key", "tls.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
		_, public := generate()
		spki, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		for before := range 6 {
			certificate := append(make([]byte, before), spki...)
			for _, text := range []string{base64.StdEncoding.EncodeToString(certificate),
				string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}))} {
				if found := s.Find(text); len(found) > 0 {
					t.Errorf("%s behind %d bytes: %q", name, before, found)
				}
			}
		}
	}
}
