package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// rsaKey is one for all tests: making it is what takes time.
var rsaKey = func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
}()

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// rs256 signs a header and a body as they are written, which no library would write.
func rs256(t *testing.T, header, body string) string {
	t.Helper()
	text := b64([]byte(header)) + "." + b64([]byte(body))
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(rand.Reader, rsaKey, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + b64(sig)
}

func publicPEM(t *testing.T, public any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

const plainHeader = `{"alg":"RS256","typ":"JWT","kid":"k1"}`

func lives(from, to time.Duration) string {
	return fmt.Sprintf(`{"iss":"i","iat":%d,"exp":%d}`, now.Add(from).Unix(), now.Add(to).Unix())
}

// The attacks on verifiers of JWTs that are known to have worked somewhere: each is rejected, for its own reason.
func TestVerifyRejectsEachAttack(t *testing.T) {
	good := lives(-time.Minute, 59*time.Minute)
	exp := func(claims string) string { return fmt.Sprintf(`{"exp":%d,%s}`, now.Add(time.Hour).Unix(), claims) }
	public := publicPEM(t, &rsaKey.PublicKey)
	mac := func(header string) string {
		text := b64([]byte(header)) + "." + b64([]byte(good))
		h := hmac.New(sha256.New, []byte(public))
		h.Write([]byte(text))
		return text + "." + b64(h.Sum(nil))
	}
	unsigned := func(header string) string { return b64([]byte(header)) + "." + b64([]byte(good)) + "." }
	valid := rs256(t, plainHeader, good)
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	tail := func(text string) string { // the last character of a 256-byte signature has bits that decode to nothing
		const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		return text[:len(text)-1] + string(alphabet[strings.IndexByte(alphabet, text[len(text)-1])|1])
	}
	for _, tc := range []struct {
		name, token string
		key         func(*Key)
		why         string // "" = valid
	}{
		{"a plain token", valid, nil, ""},
		{"within the leeway of nbf", rs256(t, plainHeader, exp(fmt.Sprintf(`"nbf":%d`, now.Add(29*time.Second).Unix()))), nil,
			""},
		{"a header that brings a key, which is ignored", rs256(t, `{"alg":"RS256","kid":"k1","jku":"https://evil.test/jwks"}`,
			good), nil, ""},
		{"the audience that is wanted", rs256(t, plainHeader, exp(`"aud":["x","edges"]`)),
			func(k *Key) { k.Audiences = []string{"edges"} }, ""},

		{"alg none", unsigned(`{"alg":"none"}`), nil, "no signature"},
		{"alg nOnE", unsigned(`{"alg":"nOnE"}`), nil, "no signature"},
		{"alg none with a signature", rs256(t, `{"alg":"none"}`, good), nil, "its alg is none"},
		{"no alg", rs256(t, `{"kid":"k1"}`, good), nil, "its alg is none"},
		{"HS256 with the public key as secret", mac(`{"alg":"HS256","kid":"k1"}`), nil, "its alg is symmetric"},
		{"hs256 in another case", mac(`{"alg":"hs256","kid":"k1"}`), nil, "its alg is symmetric"},
		{"an algorithm of another kind of key", rs256(t, `{"alg":"ES256","kid":"k1"}`, good), nil,
			"signature is not of a known key"},
		{"an algorithm that the key is not for", valid, func(k *Key) { k.Alg = "RS512" }, "signature is not of a known key"},
		{"PS256", rs256(t, `{"alg":"PS256","kid":"k1"}`, good), nil, "signature is not of a known key"},
		{"another key", valid, func(k *Key) { k.Public = &other.PublicKey }, "signature is not of a known key"},
		{"a body that was changed", strings.Split(valid, ".")[0] + "." + b64([]byte(lives(-time.Minute, 99*time.Minute))) +
			"." + strings.Split(valid, ".")[2], nil, "signature is not of a known key"},
		{"no exp", rs256(t, plainHeader, `{"iss":"i"}`), nil, "it has no exp"},
		{"exp null", rs256(t, plainHeader, `{"exp":null}`), nil, "exp claim"},
		{"exp 0", rs256(t, plainHeader, `{"exp":0}`), nil, "not a time that can be meant"},
		{"exp -1", rs256(t, plainHeader, `{"exp":-1}`), nil, "not a time that can be meant"},
		{"exp 1e300", rs256(t, plainHeader, `{"exp":1e300}`), nil, "not a time that can be meant"},
		{"exp a text", rs256(t, plainHeader, `{"exp":"9999999999"}`), nil, "not a number of seconds"},
		{"expired", rs256(t, plainHeader, lives(-2*time.Hour, -31*time.Second)), nil, "it expired at 2026-03-01T11:59:29Z"},
		{"a wrong audience", rs256(t, plainHeader, exp(`"aud":"others"`)), func(k *Key) { k.Audiences = []string{"edges"} },
			"it is not for edges"},
		{"no audience", rs256(t, plainHeader, good), func(k *Key) { k.Audiences = []string{"edges"} }, "it is not for edges"},
		{"an empty audience", rs256(t, plainHeader, exp(`"aud":[]`)), func(k *Key) { k.Audiences = []string{"edges"} },
			"it is not for edges"},
		{"issued in the future", rs256(t, plainHeader, lives(time.Minute, time.Hour)), nil, "issued later than now"},
		{"nbf in the future", rs256(t, plainHeader, exp(fmt.Sprintf(`"nbf":%d`, now.Add(31*time.Second).Unix()))), nil,
			"valid only from"},
		{"exp twice, past and future", rs256(t, plainHeader, fmt.Sprintf(`{"exp":1,"exp":%d}`, now.Add(time.Hour).Unix())),
			nil, "the key exp twice"},
		{"alg twice", rs256(t, `{"alg":"none","alg":"RS256","kid":"k1"}`, good), nil, "the key alg twice"},
		{"a key twice further down", rs256(t, plainHeader, exp(`"x":[{"a":1,"b":{"c":1,"c":2}}]`)), nil, "the key c twice"},
		{"exp past and EXP future", rs256(t, plainHeader, fmt.Sprintf(`{"exp":1,"EXP":%d}`, now.Add(time.Hour).Unix())), nil,
			"exp in another case"},
		{"EXP alone", rs256(t, plainHeader, fmt.Sprintf(`{"EXP":%d}`, now.Add(time.Hour).Unix())), nil,
			"exp in another case"},
		{"an unknown crit", rs256(t, `{"alg":"RS256","kid":"k1","crit":["b64"],"b64":false}`, good), nil,
			"its header has crit"},
		{"an empty crit", rs256(t, `{"alg":"RS256","kid":"k1","crit":[]}`, good), nil, "its header has crit"},
		{"a typ of something else", rs256(t, `{"alg":"RS256","kid":"k1","typ":"logout+jwt"}`, good), nil,
			"its typ is not JWT"},
		{"a trailing newline", valid + "\n", nil, "it ends with a newline"},
		{"a trailing CR LF", valid + "\r\n", nil, "it ends with a carriage return"},
		{"leading space", " " + valid, nil, "white space at its start or end"},
		{"a newline inside", valid[:40] + "\n" + valid[40:], nil, "not written as base64url is"},
		{"a signature with another tail", tail(valid), nil, "its signature is not written as base64url is"},
		{"padding", valid + "==", nil, "its signature is not written as base64url is"},
		{"a megabyte of dots", strings.Repeat(".", 1<<20), nil, "more than a token can be"},
		{"a large claim", rs256(t, plainHeader, exp(`"x":"`+strings.Repeat("a", 1<<16)+`"`)), nil,
			"more than a token can be"},
		{"a deep claim", rs256(t, plainHeader, exp(`"x":`+strings.Repeat("[", 2500)+strings.Repeat("]", 2500))), nil, ""},
		{"kid is a path", rs256(t, `{"alg":"RS256","kid":"../../etc/passwd"}`, good), nil, "its kid is not a plain name"},
		{"kid is an array", rs256(t, `{"alg":"RS256","kid":["k1"]}`, good), nil, "its kid is not a plain name"},
		{"kid of 10 KB", rs256(t, `{"alg":"RS256","kid":"`+strings.Repeat("k", 5000)+`"}`, good), nil,
			"its kid is not a plain name"},
		{"kid is SQL", rs256(t, `{"alg":"RS256","kid":"x' OR '1'='1"}`, good), nil, "its kid is not a plain name"},
		{"a key that was retired", rs256(t, `{"alg":"RS256","kid":"k0"}`, good), nil,
			"it was signed with key k0, which is none of the known ones (the hub)"},
		{"two parts", valid[:strings.LastIndexByte(valid, '.')], nil, "not a JWT"},
		{"four parts", valid + ".x", nil, "not a JWT"},
		{"a header that is a list", rs256(t, `[]`, good), nil, "its header is not a JSON object"},
		{"a body that is null", rs256(t, plainHeader, `null`), nil, "its body is not a JSON object"},
		{"two objects", rs256(t, plainHeader, good+good), nil, "its body is not a JSON object"},
		{"nothing", "", nil, "it is empty"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := Key{Where: "the hub", ID: "k1", Public: &rsaKey.PublicKey}
			if tc.key != nil {
				tc.key(&k)
			}
			v := Verify([]byte(tc.token), []Key{k}, now)
			if v.Valid != (tc.why == "") || !strings.Contains(v.Why, tc.why) {
				t.Errorf("%+v, want why %q", v, tc.why)
			}
			if v.Valid && v.Key.Where != "the hub" || v.Valid && len(v.Rests) == 0 {
				t.Errorf("a verdict that says not by which key, or rests on nothing: %+v", v)
			}
		})
	}
}

func TestVerifyWithEachKindOfKey(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edPublic, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(rsaKey)
	if err != nil {
		t.Fatal(err)
	}
	pub := func(n *big.Int) string { return b64(n.Bytes()) }
	point, err := ec.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	rsaJWK := fmt.Sprintf(`{"kty":"RSA","kid":"k1","alg":"RS256","n":%q,"e":"AQAB"}`, pub(rsaKey.N))
	for _, tc := range []struct {
		name, text string
		method     jwt.SigningMethod
		signer     any
		private    bool
	}{
		{"RSA PEM", publicPEM(t, &rsaKey.PublicKey), jwt.SigningMethodRS256, rsaKey, false},
		{"RSA private PEM", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
			jwt.SigningMethodRS512, rsaKey, true},
		{"RSA private PEM of old", string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY",
			Bytes: x509.MarshalPKCS1PrivateKey(rsaKey)})), jwt.SigningMethodRS256, rsaKey, true},
		{"RSA JWK", rsaJWK, jwt.SigningMethodRS256, rsaKey, false},
		{"a JWK set", `{"keys":[` + fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","kid":"k2","x":%q}`, b64(edPublic)) + "," +
			rsaJWK + `]}`, jwt.SigningMethodRS256, rsaKey, false},
		{"EC PEM", publicPEM(t, &ec.PublicKey), jwt.SigningMethodES256, ec, false},
		{"EC JWK", fmt.Sprintf(`{"kty":"EC","crv":"P-256","x":%q,"y":%q}`, b64(point[1:33]), b64(point[33:])),
			jwt.SigningMethodES256, ec, false},
		{"Ed25519 JWK", fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","x":%q}`, b64(edPublic)),
			jwt.SigningMethodEdDSA, ed, false},
		{"a private JWK", strings.TrimSuffix(rsaJWK, "}") + `,"d":"canary"}`, jwt.SigningMethodRS256, rsaKey, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			keys, err := ParseKeys([]byte(tc.text), "here")
			if err != nil {
				t.Fatal(err)
			}
			tok := jwt.NewWithClaims(tc.method, jwt.MapClaims{"exp": now.Add(time.Hour).Unix()})
			tok.Header["kid"] = "k1"
			text, err := tok.SignedString(tc.signer)
			if err != nil {
				t.Fatal(err)
			}
			if v := Verify([]byte(text), keys, now); !v.Valid || v.Key.Private != tc.private {
				t.Errorf("%+v, want it valid by a key whose private half was seen: %v", v, tc.private)
			}
		})
	}
}

func TestKeysThatAreNone(t *testing.T) {
	for name, text := range map[string]string{"nothing": "", "prose": "canary-secret",
		"a symmetric key": `{"kty":"oct","k":"canary-secret"}`, "half a key": `{"kty":"RSA","n":"canary-secret"}`,
		"a point off the curve": `{"kty":"EC","crv":"P-256","x":"AQ","y":"AQ"}`,
		"a huge exponent":       `{"kty":"RSA","n":"AQAB","e":"AQABAQABAQAB"}`,
		"a kind of its own":     `{"kty":"canary-secret"}`, "an empty set": `{"keys":[]}`, "a list": `[]`,
		"PEM of something else":   "-----BEGIN CANARY-SECRET-----\nAAAA\n-----END CANARY-SECRET-----\n",
		"PEM that does not parse": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"} {
		keys, err := ParseKeys([]byte(text), "file key")
		if err == nil || !strings.HasPrefix(err.Error(), "file key") || strings.Contains(strings.ToLower(err.Error()),
			"canary-secret") {
			t.Errorf("%s: keys %v, error %v", name, keys, err)
		}
	}
}

func TestDescribe(t *testing.T) {
	hour := lives(-time.Minute, 59*time.Minute)
	for _, tc := range []struct {
		name, token string
		odd         []string
	}{
		{"a plain token", rs256(t, plainHeader, hour), nil},
		{"a newline", rs256(t, plainHeader, hour) + "\n", []string{"it ends with a newline (`jq -r | base64` adds one)"}},
		{"no exp", rs256(t, plainHeader, `{"iat":1}`), []string{"it has no exp, so it never expires"}},
		{"years", rs256(t, plainHeader, lives(0, 90000*time.Hour)), []string{"it lives for years"}},
		{"alg none", b64([]byte(`{"alg":"none"}`)) + "." + b64([]byte(hour)) + ".",
			[]string{"it has no signature", "its alg is none, so anybody can have made it"}},
		{"several", rs256(t, `{"alg":"RS256","jwk":{},"crit":["x"],"kid":"a b"}`, `{"iat":"x","exp":1,"exp":2}`),
			[]string{"its body has the key exp twice, and readers take one or the other",
				"its header has crit: extensions that must be understood, and are not",
				"its header has jwk, a key of its own choice, which is ignored",
				"its kid is not a plain name of at most 64 letters, digits, _, - and .",
				"its iat claim is not a number of seconds"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, err := Describe([]byte(tc.token), now)
			if err != nil || strings.Join(d.Anomalies, "\n") != strings.Join(tc.odd, "\n") {
				t.Errorf("%v\n%s\nwant\n%s", err, strings.Join(d.Anomalies, "\n"), strings.Join(tc.odd, "\n"))
			}
		})
	}
	d, err := Describe([]byte(rs256(t, plainHeader, hour)), now)
	if err != nil || d.Alg != "RS256" || d.KeyID != "k1" || d.Type != "JWT" || !d.Issued.Equal(now.Add(-time.Minute)) ||
		!d.Expires.Equal(now.Add(59*time.Minute)) || len(d.Digest) != 8 || d.Size < 300 {
		t.Errorf("%+v, %v", d, err)
	}
}

// No input makes Describe or Verify panic, pass what is not signed, or repeat the body or the signature; and what is
// valid is plain.
func FuzzToken(f *testing.F) {
	header, body := b64([]byte(`{"alg":"RS256","kid":"k1"}`)), b64([]byte(`{"exp":1900000000,"secret":"canarycanary"}`))
	f.Add([]byte(header + "." + body + ".c2lnbmF0dXJl"))
	f.Add([]byte(b64([]byte(`{"alg":"none","kid":["x"],"crit":null}`)) + "." + body + "."))
	f.Add([]byte(b64([]byte(`{"alg":"HS256","ALG":"none","kid":"../x"}`)) + "." +
		b64([]byte(`{"exp":1e999,"exp":{"a":[{"a":1,"a":2}]}}`)) + ".AA\n"))
	f.Add([]byte(b64([]byte(`{}{}`)) + "." + b64([]byte(`[[[[`)) + ".A="))
	keys := []Key{{Where: "here", Public: &rsaKey.PublicKey}}
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := Describe(raw, now)
		v := Verify(raw, keys, now)
		if v.Valid {
			t.Fatalf("valid without our key: %q", raw)
		}
		said, jerr := json.Marshal([]any{d, fmt.Sprint(err), v.Why})
		if jerr != nil {
			t.Fatal(jerr)
		}
		three := strings.Split(string(raw), ".")
		head, _, _ := decode(three[0]) // its kid may be anything, and is printed
		for _, part := range three[1:] {
			if len(part) > 16 && strings.Contains(string(said), part) && !strings.Contains(string(head), part) {
				t.Errorf("a part of the token is repeated: %s", said)
			}
		}
		if strings.Contains(string(said), "canarycanary") {
			t.Errorf("a claim is repeated: %s", said)
		}
	})
}
