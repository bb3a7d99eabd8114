package kumavectors

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Now is when every vector is judged.
var Now = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// Zone is what the zone calls itself that presents a token.
const Zone = "west"

// Vector is a token, or that one is to be issued, and the settings of the global that judges it.
type Vector struct {
	Name     string   `json:"name"`
	Token    string   `json:"token"`
	Issue    bool     `json:"issue,omitempty"` // the global issues a token for the zone, and judges that
	Settings Settings `json:"settings"`
}

// Settings are a global's. Keys are named, as Materials has them.
type Settings struct {
	Secrets     map[string]string `json:"secrets"`               // names of materials, by the secrets' names
	Revocations string            `json:"revocations,omitempty"` // the value of zone-token-revocations; "" for no secret
	Static      map[string]string `json:"static,omitempty"`      // names of materials, by kid
	SecretsOff  bool              `json:"secretsOff,omitempty"`  // validator.useSecrets is false
}

// Answer is what the global said.
type Answer struct {
	Issued string `json:"issued,omitempty"` // the kid of the token that was issued
	Code   string `json:"code"`             // of gRPC; "not issued" where there was no token to judge
	Text   string `json:"text,omitempty"`
}

const (
	first  = "zone-token-signing-key-1"
	id     = "11111111-1111-4111-8111-111111111111"
	header = `{"alg":"RS256","kid":"1","typ":"JWT"}`
)

// maker makes vectors from the test keys.
type maker struct {
	one, two *rsa.PrivateKey
	all      []Vector
}

func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// sign signs a header and claims as they are written.
func sign(key *rsa.PrivateKey, header, claims string) string {
	text := b64(header) + "." + b64(claims)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return text + "." + b64(string(signature))
}

func sign512(key *rsa.PrivateKey, header, claims string) string {
	text := b64(header) + "." + b64(claims)
	sum := sha512.Sum512([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA512, sum[:])
	if err != nil {
		panic(err)
	}
	return text + "." + b64(string(signature))
}

func mac(secret, header, claims string) string {
	text := b64(header) + "." + b64(claims)
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(text))
	return text + "." + b64(string(h.Sum(nil)))
}

// claims are those of a token that is accepted, but for those that are given: a claim's JSON by its name, "" to leave
// it out.
func claims(change ...string) string {
	at := func(d time.Duration) string { return fmt.Sprint(Now.Add(d).Unix()) }
	names := []string{"Zone", "Scope", "exp", "nbf", "iat", "jti"}
	values := map[string]string{
		"Zone": `"west"`, "Scope": `["cp"]`, "jti": `"` + id + `"`,
		"exp": at(time.Hour), "nbf": at(-time.Minute), "iat": at(-time.Minute),
	}
	for i := 0; i < len(change); i += 2 {
		if !slices.Contains(names, change[i]) {
			names = append(names, change[i])
		}
		values[change[i]] = change[i+1]
	}
	var all []string
	for _, name := range names {
		if values[name] != "" {
			all = append(all, `"`+name+`":`+values[name])
		}
	}
	return "{" + strings.Join(all, ",") + "}"
}

// hmacSecret is the value of a key of before Kuma 1.4.
const hmacSecret = "0123456789abcdef0123456789abcdef"

// Materials are what secrets and static keys hold, by name.
func Materials(one, two *rsa.PrivateKey) (map[string][]byte, error) {
	private := func(key *rsa.PrivateKey) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	}
	public := func(key *rsa.PrivateKey) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&key.PublicKey)})
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(one)
	pkix, err2 := x509.MarshalPKIXPublicKey(&one.PublicKey)
	if err := errors.Join(err, err2); err != nil {
		return nil, fmt.Errorf("write the test keys in other forms: %w", err)
	}
	text := string(private(one))
	return map[string][]byte{
		"one": private(one), "two": private(two), "hmac": []byte(hmacSecret),
		"one, base64 twice": []byte(base64.StdEncoding.EncodeToString(private(one))), "prose": []byte("to be filled in"),
		"one, no newline": []byte(strings.TrimSuffix(text, "\n")), "one, public": public(one), "two, public": public(two),
		"one, text before": []byte("# a key\n" + text), "one, CRLF": []byte(strings.ReplaceAll(text, "\n", "\r\n")),
		"one and two": []byte(text + string(private(two))), "one, DER": x509.MarshalPKCS1PrivateKey(one),
		"one, PKCS#8": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
		"one, PKIX":   pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pkix}),
	}, nil
}

// Vectors are all of them, made with two test keys; the same keys make the same vectors.
func Vectors(one, two *rsa.PrivateKey) []Vector {
	m := &maker{one: one, two: two}
	m.claims()
	m.headers()
	m.lists()
	m.forms()
	m.settings()
	m.issues()
	return m.all
}

// add adds a vector; settings are secrets by their names, two texts each, or none for the first key alone.
func (m *maker) add(name, token string, secrets ...string) *Settings {
	if len(secrets) == 0 {
		secrets = []string{first, "one"}
	}
	s := Settings{Secrets: map[string]string{}}
	for i := 0; i < len(secrets); i += 2 {
		s.Secrets[secrets[i]] = secrets[i+1]
	}
	m.all = append(m.all, Vector{Name: name, Token: token, Settings: s})
	return &m.all[len(m.all)-1].Settings
}

// with adds a token of the first key with other claims.
func (m *maker) with(name string, change ...string) {
	m.add(name, sign(m.one, header, claims(change...)))
}

func (m *maker) claims() {
	at := func(d time.Duration) string { return fmt.Sprint(Now.Add(d).Unix()) }
	const past, soon = -time.Hour, time.Hour
	m.with("good")
	m.with("lower-case claims", "Zone", "", "Scope", "", "zone", `"west"`, "scope", `["cp"]`)
	m.with("Zone west and zone east", "zone", `"east"`)
	m.with("zone east then Zone west", "Zone", "", "zone", `"east","Zone":"west"`)
	m.with("no exp", "exp", "")
	m.with("expired an hour ago", "exp", at(past))
	m.with("exp 0", "exp", "0")
	m.with("exp null", "exp", "null")
	m.with("exp a text", "exp", `"tomorrow"`)
	m.with("exp 1e300", "exp", "1e300")
	m.with("exp a fraction", "exp", at(soon)+".5")
	m.with("exp twice, the last past", "exp", at(soon)+`,"exp":`+at(past))
	m.with("nbf in an hour", "nbf", at(soon))
	m.with("nbf in an hour and expired", "nbf", at(soon), "exp", at(past))
	m.with("iat in an hour", "iat", at(soon))
	m.with("other zone", "Zone", `"east"`)
	m.with("zone in another case", "Zone", `"West"`)
	m.with("empty zone", "Zone", `""`)
	m.with("no zone", "Zone", "")
	m.with("zone with a quote", "Zone", `"a\"b\n"`)
	m.with("zone a number", "Zone", "7")
	m.with("no scope", "Scope", "")
	m.with("scope ingress,egress", "Scope", `["ingress","egress"]`)
	m.with("scope ingress,cp", "Scope", `["ingress","cp"]`)
	m.with("scope CP", "Scope", `["CP"]`)
	m.with("scope a text", "Scope", `"cp"`)
	m.with("scope null", "Scope", "null")
	m.with("other zone and no scope", "Zone", `"east"`, "Scope", "")
}

func (m *maker) headers() {
	good := claims()
	kid := func(name, kid string, secrets ...string) {
		m.add(name, sign(m.one, `{"alg":"RS256",`+kid+`"typ":"JWT"}`, good), secrets...)
	}
	kid("unknown kid 7", `"kid":"7",`)
	kid("kid with a slash", `"kid":"../x",`)
	kid("no kid", "")
	kid("kid a number", `"kid":1,`)
	kid("kid null", `"kid":null,`)
	kid("kid a list", `"kid":["1"],`)
	kid("kid empty", `"kid":"",`)
	kid("kid 0, no secret", `"kid":"0",`)
	kid("kid 0, secret without serial", `"kid":"0",`, "zone-token-signing-key", "one")
	kid("kid 0, secret -0", `"kid":"0",`, "zone-token-signing-key-0", "one")
	kid("kid 0002, padded secret", `"kid":"0002",`, "zone-token-signing-key-0002", "one")
	kid("kid 2, padded secret", `"kid":"2",`, "zone-token-signing-key-0002", "one")
	kid("kid 01", `"kid":"01",`)
	kid("kid old, secret -old", `"kid":"old",`, "zone-token-signing-key-old", "one")
	m.add("wrong key", sign(m.two, header, good))
	m.add("second key", sign(m.two, `{"alg":"RS256","kid":"2","typ":"JWT"}`, good),
		first, "one", "zone-token-signing-key-2", "two")
	const hs = `{"alg":"HS256","kid":"1","typ":"JWT"}`
	m.add("HS256, secret there", mac(hmacSecret, hs, good), first, "one", "zone-token-signing-key", "hmac")
	m.add("HS256, no secret", mac(hmacSecret, hs, good))
	public := pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&m.one.PublicKey)})
	m.add("HS256 by the public key", mac(string(public), hs, good))
	m.add("RS512", sign512(m.one, `{"alg":"RS512","kid":"1","typ":"JWT"}`, good))
	for _, other := range [][2]string{
		{"PS256 header", `{"alg":"PS256","kid":"1","typ":"JWT"}`}, {"ES256", `{"alg":"ES256","kid":"1","typ":"JWT"}`},
	} {
		m.add(other[0], sign(m.one, other[1], good))
	}
	m.add("alg none", b64(`{"alg":"none","kid":"1","typ":"JWT"}`)+"."+b64(good)+".")
	for _, other := range [][2]string{
		{"alg rs256", `{"alg":"rs256","kid":"1","typ":"JWT"}`}, {"no alg", `{"kid":"1","typ":"JWT"}`},
		{"crit", `{"alg":"RS256","kid":"1","typ":"JWT","crit":["exp"]}`},
		{"b64 false", `{"alg":"RS256","kid":"1","typ":"JWT","b64":false,"crit":["b64"]}`},
		{"no typ", `{"alg":"RS256","kid":"1"}`},
	} {
		m.add(other[0], sign(m.one, other[1], good))
	}
}

func (m *maker) lists() {
	good, nameless := sign(m.one, header, claims()), sign(m.one, header, claims("jti", ""))
	list := func(name, token, list string) { m.add(name, token).Revocations = list }
	const other = "22222222-2222-4222-8222-222222222222"
	list("revoked", good, id)
	list("revoked of two", good, other+","+id)
	list("revoked, newline", good, id+"\n")
	list("list: two newlines", good, id+"\n\n")
	list("list: CRLF", good, id+"\r\n")
	list("list: a, id", good, "a, "+id)
	list("list: a newline id", good, "a\n"+id)
	list("list: upper case", sign(m.one, header, claims("jti", `"abcdef01-1111-4111-8111-111111111111"`)),
		"ABCDEF01-1111-4111-8111-111111111111")
	list("list: another", good, other)
	list("list: comma at the end, no jti", nameless, other+",")
	list("list: only a newline, no jti", nameless, "\n")
	m.add("no jti", nameless)
	m.with("jti a number", "jti", "7")
	list("jti with a comma, revoked by halves", sign(m.one, header, claims("jti", `"a,b"`)), "a,b")
	list("revoked and other zone", sign(m.one, header, claims("Zone", `"east"`)), id)
	m.with("aud and iss", "aud", `"somebody"`, "iss", `"somebody else"`)
	m.with("aud a number", "aud", "7")
}

func (m *maker) forms() {
	good := sign(m.one, header, claims())
	parts := strings.Split(good, ".")
	for _, form := range [][2]string{
		{"Bearer", "Bearer " + good}, {"bearer", "bearer " + good}, {"BEARER", "BEARER " + good},
		{"Bearer bearer", "Bearer bearer " + good}, {"space before", " " + good}, {"newline after", good + "\n"},
		{"= after", good + "="}, {"empty", ""}, {"Bearer alone", "Bearer "}, {"garbage", "garbage"},
		{"two parts", parts[0] + "." + parts[1]}, {"four parts", good + "." + parts[2]},
		{"header no JSON", b64("no JSON") + "." + parts[1] + "." + parts[2]},
		{"claims no JSON", sign(m.one, header, "no JSON")}, {"claims two JSONs", sign(m.one, header, claims()+claims())},
		{"claims a list", sign(m.one, header, "["+claims()+"]")}, {"claims null", sign(m.one, header, "null")},
		{"signature not base64", parts[0] + "." + parts[1] + "." + "!" + parts[2][1:]},
		{"signature of std alphabet", parts[0] + "." + parts[1] + "." + "+/" + parts[2][2:]},
		{"one bit changed", parts[0] + "." + parts[1] + "." + otherBit(parts[2])},
		{"20 kB long", sign(m.one, header, claims("x", `"`+strings.Repeat("x", 20_000)+`"`))},
		{"legacy CP token", mac(hmacSecret, `{"alg":"HS256","typ":"JWT"}`, `{"Zone":"west","TokenSerialNumber":1}`)},
	} {
		m.add(form[0], form[1])
	}
	m.with("zone token with TokenSerialNumber", "TokenSerialNumber", "1")
}

// otherBit changes one bit of a signature.
func otherBit(signature string) string {
	raw, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil {
		panic(err)
	}
	raw[100] ^= 1
	return base64.RawURLEncoding.EncodeToString(raw)
}

func (m *maker) settings() {
	good, byTwo := sign(m.one, header, claims()), sign(m.two, header, claims())
	offline := sign(m.one, `{"alg":"RS256","kid":"offline","typ":"JWT"}`, claims())
	m.add("static PKCS#1", offline).Static = map[string]string{"offline": "one, public"}
	m.add("static PKIX", offline).Static = map[string]string{"offline": "one, PKIX"}
	m.add("static of the secret's kid", byTwo).Static = map[string]string{"1": "two, public"}
	m.add("static of the secret's kid, token by the secret", good).Static = map[string]string{"1": "two, public"}
	m.add("secrets off", good).SecretsOff = true
	for _, form := range [][2]string{
		{"base64 twice", "one, base64 twice"}, {"prose", "prose"}, {"PEM without newline at the end", "one, no newline"},
		{"public PEM", "one, public"}, {"PEM with text before", "one, text before"}, {"CRLF PEM", "one, CRLF"},
		{"two PEMs", "one and two"}, {"PKCS#8", "one, PKCS#8"}, {"DER", "one, DER"},
	} {
		m.add("key secret: "+form[0], good, first, form[1])
	}
}

func (m *maker) issues() {
	for _, of := range []struct {
		name    string
		secrets map[string]string
	}{
		{"1", map[string]string{"-1": "one"}}, {"1 and 2", map[string]string{"-1": "one", "-2": "two"}},
		{"9 and 10", map[string]string{"-9": "one", "-10": "two"}}, {"0002", map[string]string{"-0002": "one"}},
		{"1 and -old", map[string]string{"-1": "one", "-old": "two"}}, {"-old alone", map[string]string{"-old": "one"}},
		{"no serial", map[string]string{"": "one"}}, {"none", nil},
		{"1 and PKCS#8 2", map[string]string{"-1": "one", "-2": "one, PKCS#8"}},
		{"negative", map[string]string{"--1": "one"}}, {"2 and 02", map[string]string{"-2": "one", "-02": "two"}},
		{"1 and 1.5", map[string]string{"-1": "one", "-1.5": "two"}},
		{"prefix and more", map[string]string{"s-7": "one"}}, {"+3", map[string]string{"-+3": "one"}},
		{"huge", map[string]string{"-1": "one", "-99999999999999999999": "two"}},
	} {
		v := Vector{Name: "issue: " + of.name, Issue: true, Settings: Settings{Secrets: map[string]string{}}}
		for _, suffix := range slices.Sorted(maps.Keys(of.secrets)) {
			v.Settings.Secrets["zone-token-signing-key"+suffix] = of.secrets[suffix]
		}
		m.all = append(m.all, v)
	}
}
