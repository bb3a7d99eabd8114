package zonetoken

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// signed signs a header and a body as they are written, which no library would write.
func signed(key *rsa.PrivateKey, header, body string) string {
	text := b64(header) + "." + b64(body)
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return text + "." + b64(string(sig))
}

func macced(secret []byte, header, body string) string {
	text := b64(header) + "." + b64(body)
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(text))
	return text + "." + b64(string(h.Sum(nil)))
}

const header1 = `{"alg":"RS256","kid":"1","typ":"JWT"}`

// body is a zone token's, with more behind; the times are relative to now.
func body(more string) string {
	return fmt.Sprintf(`{"Zone":"west","Scope":["cp"],"exp":%d,"nbf":%d,"iat":%d,"jti":%q%s}`, now.Add(time.Hour).Unix(),
		now.Add(-5*time.Second).Unix(), now.Add(-5*time.Second).Unix(), idA, more)
}

func version(t *testing.T, text string) Version {
	t.Helper()
	v, err := ParseVersion(KongMesh, text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Each row of what was seen of Kuma's validator (2.13.5), and each attack on verifiers of JWTs that is known: what
// the product answers, in its own words, what we say, and what is pointed out.
func TestWhatTheProductSaysAndWhatWeSay(t *testing.T) {
	good := body("")
	at := func(claims string, args ...any) string { // a body without times of its own
		return `{"Zone":"west","Scope":["cp"],"jti":"` + idA + `"` + fmt.Sprintf(claims, args...) + `}`
	}
	exp := fmt.Sprintf(`,"exp":%d`, now.Add(time.Hour).Unix())
	rs := func(header, body string) string { return signed(key1, header, body) }
	valid := rs(header1, good)
	public := string(block("RSA PUBLIC KEY", nil))
	tail := func(text string) string { // the last character of a 256-byte signature has bits that decode to nothing
		const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		return text[:len(text)-1] + string(alphabet[strings.IndexByte(alphabet, text[len(text)-1])|1])
	}
	revoked := func(list string) func(*Verifier) {
		return func(v *Verifier) { v.Revocations = ParseRevocations([]byte(list)) }
	}
	keys := func(names ...string) func(*Verifier) { return func(v *Verifier) { v.Keys = keySet(names...) } }
	const gone = `there is no signing key with KID 7. GlobalSecret of name "zone-token-signing-key-7" is not found. If signing key was rotated, regenerate the token`
	const hmacSecret = "0123456789abcdef"
	legacyKey := func(v *Verifier) {
		v.Keys = ReadKeys("", []Secret{found(KeyPrefix, []byte(hmacSecret)), found(KeyName("1"), EncodeKey(key1))})
	}
	for _, tc := range []struct {
		name, token string
		verifier    func(*Verifier)
		product     Outcome
		words       string // a part
		ours        string // why it is rejected, a part; "" when it is valid
		findings    string // IDs
	}{
		// What was seen of Kuma 2.13.5.
		{"a token of another library", valid, nil, Accepted, "", "", ""},
		{"a zone that is a number", rs(header1, strings.Replace(good, `"west"`, "7", 1)), nil, Rejected,
			"Go struct field ZoneClaims.Zone of type string", "it names no zone", "token-no-zone"},
		{"claims that are a list", rs(header1, `[]`), nil, Rejected, "Go value of type zone.ZoneClaims",
			"it is not a JWT: its body is not a JSON object", ""},
		{"lower-case claims", rs(header1, strings.NewReplacer("Zone", "zone", "Scope", "scope").Replace(good)), nil, Accepted,
			"", "is not written so", "token-claims-case"},
		{"no exp", rs(header1, at("")), nil, Accepted, "", "it has no exp", "token-no-exp"},
		{"iat an hour ahead", rs(header1, at(`%s,"iat":%d`, exp, now.Add(time.Hour-time.Second).Unix())), nil, Accepted, "",
			"issued later than now", "token-issued-later"},
		{"expired a second ago", rs(header1, at(`,"exp":%d`, now.Add(-time.Second).Unix())), nil, Rejected,
			"could not parse token: token has invalid claims: token is expired", "the product does not take it",
			"token-expired"},
		{"expires this second", rs(header1, at(`,"exp":%d`, now.Unix())), nil, Rejected, "token is expired",
			"the product does not take it", "token-expired"},
		{"expires in a second", rs(header1, at(`,"exp":%d`, now.Add(time.Second).Unix())), nil, Accepted, "", "", ""},
		{"nbf 3 s ahead", rs(header1, at(`%s,"nbf":%d`, exp, now.Add(3*time.Second).Unix())), nil, Rejected,
			"could not parse token: token has invalid claims: token is not valid yet", "the product does not take it",
			"token-not-yet"},
		{"nbf 3 s ahead, 2.14", rs(header1, at(`%s,"nbf":%d`, exp, now.Add(3*time.Second).Unix())),
			func(v *Verifier) { v.Version = version(t, "2.14.2") }, Rejected,
			"token is not yet valid: 'valid_from' date is in the future. Check if the system clock on the instance that issued the token is set correctly: token has invalid claims: token is not valid yet", "the product does not take it", "token-not-yet"},
		{"an unknown kid", rs(`{"alg":"RS256","kid":"7"}`, good), nil, Rejected, gone,
			"signed with key 7, which is none of the known ones", ""},
		{"another key with the right kid", signed(key2, header1, good), nil, Rejected,
			"could not parse token: token signature is invalid: crypto/rsa: verification error",
			"signature is not of a known key", ""},
		{"no kid", rs(`{"alg":"RS256","typ":"JWT"}`, good), nil, Rejected, "JWT token must have kid header", "it has no kid",
			"token-no-kid"},
		{"a numeric kid", rs(`{"alg":"RS256","kid":1}`, good), nil, Crashes, "panic",
			"its kid is not a plain name", "token-kid"},
		{"a numeric kid where that is fixed", rs(`{"alg":"RS256","kid":1}`, good),
			func(v *Verifier) { v.Version = version(t, "2.13.10") }, Rejected, "JWT token kid header must be a string",
			"its kid is not a plain name", "token-kid"},
		{"RS512", rs(`{"alg":"RS512","kid":"1"}`, good), nil, Rejected,
			"unsupported token alg RS512. Allowed algorithms are RS256 and &{HS256 SHA-256}",
			"signature is not of a known key", "token-alg"},
		{"PS256", rs(`{"alg":"PS256","kid":"1"}`, good), nil, Rejected,
			"unsupported token alg PS256. Allowed algorithms are RS256 and &{HS256 SHA-256}",
			"signature is not of a known key", "token-alg"},
		{"HS256 with the secret without a serial", macced([]byte(hmacSecret), `{"alg":"HS256","kid":"whatever"}`, good),
			legacyKey, Accepted, "", "its alg is symmetric", "token-hmac"},
		{"the same on 3.0", macced([]byte(hmacSecret), `{"alg":"HS256","kid":"1"}`, good),
			func(v *Verifier) { legacyKey(v); v.Version = version(t, "3.0.0") }, Rejected,
			"unsupported token alg HS256. Allowed algorithm is RS256", "its alg is symmetric", "token-hmac"},
		{"HS256 without that secret", macced([]byte(hmacSecret), `{"alg":"HS256","kid":"1"}`, good), nil, Rejected,
			`there is no signing key with KID 0. GlobalSecret of name "zone-token-signing-key" is not found`,
			"its alg is symmetric", "token-hmac"},
		{"Scope as a text", rs(header1, strings.Replace(good, `["cp"]`, `"cp"`, 1)), nil, Rejected,
			"token is malformed: could not JSON decode claim: json: cannot unmarshal string into Go struct field ZoneClaims.Scope of type []string", "its scope has no cp", "token-scope"},
		{"revoked", valid, revoked(idA), Rejected, "invalid zone token: token is revoked", "it is revoked", "token-revoked"},
		{"revoked, a newline", valid, revoked(idA + "\n"), Rejected, "token is revoked", "it is revoked", "token-revoked"},
		{"not revoked: two newlines", valid, revoked(idA + "\n\n"), Accepted, "", "evidently meant to be revoked",
			"token-revoked-in-vain"},
		{"not revoked: CR LF", valid, revoked(idA + "\r\n"), Accepted, "", "evidently meant to be revoked",
			"token-revoked-in-vain"},
		{"not revoked: a space", valid, revoked("a, " + idA), Accepted, "", "evidently meant to be revoked",
			"token-revoked-in-vain"},
		{"not revoked: lines", valid, revoked("a\n" + idA), Accepted, "", "evidently meant to be revoked",
			"token-revoked-in-vain"},
		{"not revoked: upper case", valid, revoked(strings.ToUpper(idA)), Accepted, "", "evidently meant to be revoked",
			"token-revoked-in-vain"},
		{"not revoked: a space before", valid, revoked(" " + idA), Accepted, "", "evidently meant to be revoked",
			"token-revoked-in-vain"},
		{"revoked for want of a jti", rs(header1, strings.Replace(good, "jti", "x", 1)), revoked("a,"), Rejected,
			"token is revoked", "it has no jti", "token-revoked"},
		{"no jti", rs(header1, strings.Replace(good, "jti", "x", 1)), revoked("a"), Accepted, "", "it has no jti",
			"token-no-jti"},
		{"two keys", signed(key2, `{"alg":"RS256","kid":"2"}`, good), keys("zone-token-signing-key-1",
			"zone-token-signing-key-2"), Accepted, "", "", ""},
		{"the key before the newest", valid, keys("zone-token-signing-key-1", "zone-token-signing-key-2"),
			Accepted, "", "", ""},
		{"a padded key, by the kid it signs with", rs(`{"alg":"RS256","kid":"2"}`, good), keys("zone-token-signing-key-0002"),
			Rejected, `GlobalSecret of name "zone-token-signing-key-2" is not found`, "none of the known ones", ""},
		{"a padded key, by its padded kid", rs(`{"alg":"RS256","kid":"0002"}`, good), keys("zone-token-signing-key-0002"),
			Accepted, "", "", "token-kid-padded"},
		{"a key of type Opaque", valid, func(v *Verifier) { v.Keys.Keys[0].Seen = false }, Rejected,
			`GlobalSecret of name "zone-token-signing-key-1" is not found`, "none of the known ones", ""},
		{"a key in DER", valid, func(v *Verifier) { v.Keys = ReadKeys("", []Secret{found(KeyName("1"), forms["der"])}) },
			Accepted, "", "", ""},
		{"a key encoded twice", valid, func(v *Verifier) {
			v.Keys = ReadKeys("",
				[]Secret{found(KeyName("1"), forms["twice"])})
		}, Rejected, "asn1: structure error", "none of the known ones", ""},
		{"a key in PKCS#8", valid, func(v *Verifier) { v.Keys = ReadKeys("", []Secret{found(KeyName("1"), forms["pkcs8"])}) },
			Rejected, "asn1: structure error: tags don't match", "none of the known ones", ""},
		{"a public key of the configuration", rs(`{"alg":"RS256","kid":"offline-key"}`, good),
			func(v *Verifier) { v.Static = []PublicKey{{"offline-key", "its configuration", &key1.PublicKey}} },
			Accepted, "", "", ""},
		{"another zone's", valid, func(v *Verifier) { v.Zone = "east" }, Rejected,
			`token is signed for "west" zone, but connected CP advertised as "east"`,
			`it is for zone "west" and not "east"`, "token-zone"},
		{"of no zone", rs(header1, strings.Replace(good, "west", "", 1)), nil, Rejected,
			`token is signed for "" zone, but connected CP advertised as "west"`, "it names no zone", "token-no-zone"},
		{"of a zone proxy", rs(header1, strings.Replace(good, `["cp"]`, `["ingress","egress"]`, 1)), nil, Rejected,
			"token cannot be used to authenticate zone CP (cp is out of token's scope: [ingress egress])",
			"its scope has no cp", "token-scope"},
		{"for more than a control plane", rs(header1, strings.Replace(good, `["cp"]`, `["cp","egress"]`, 1)), nil, Accepted,
			"", "", "token-scope-more"},
		{"for ten years", rs(header1, at(`,"exp":%d`, now.AddDate(10, 0, 0).Unix())), nil, Accepted, "", "", "token-long"},
		{"a jti with a comma", rs(header1, strings.Replace(good, idA, "a,b", 1)), revoked("a,b"), Accepted, "",
			"", "token-jti"},
		{"with Bearer before it", "Bearer " + valid, nil, Accepted, "", "it is an HTTP header", ""},

		// Attacks.
		{"alg none", b64(`{"alg":"none","kid":"1"}`) + "." + b64(good) + ".", nil, Rejected, "unsupported token alg none",
			"it has no signature", "token-unsigned token-form"},
		{"alg nOnE", b64(`{"alg":"nOnE","kid":"1"}`) + "." + b64(good) + ".", nil, Rejected,
			"signing method (alg) is unavailable", "it has no signature", "token-unsigned token-form"},
		{"HS256 with the public key as secret", macced([]byte(public), `{"alg":"HS256","kid":"1"}`, good), nil, Rejected,
			"there is no signing key with KID 0", "its alg is symmetric", "token-hmac"},
		{"exp 0", rs(header1, at(`,"exp":0`)), nil, Rejected, "token is expired",
			"not a time that can be meant", "token-exp"},
		{"exp -1", rs(header1, at(`,"exp":-1`)), nil, Rejected, "token is expired",
			"not a time that can be meant", "token-exp"},
		{"exp 1e300", rs(header1, at(`,"exp":1e300`)), nil, Rejected, "token is expired",
			"not a time that can be meant", "token-exp"},
		{"exp a text", rs(header1, at(`,"exp":"tomorrow"`)), nil, Rejected, "token is malformed: could not JSON decode claim",
			"not a number of seconds", "token-exp"},
		{"exp null", rs(header1, at(`,"exp":null`)), nil, Accepted, "", "not a number of seconds", "token-no-exp"},
		{"an audience", rs(header1, body(`,"aud":"others"`)), nil, Accepted, "", "it names an audience", "token-audience"},
		{"nbf an hour ahead", rs(header1, at(`%s,"nbf":%d`, exp, now.Add(time.Hour).Unix())), nil, Rejected,
			"token is not valid yet", "valid only from", "token-not-yet"},
		{"exp twice, past and future", rs(header1, at(`,"exp":1%s`, exp)), nil, Accepted, "",
			"the key exp twice", "token-form"},
		{"exp past and EXP future", rs(header1, at(`,"exp":1,"EXP":%d`, now.Add(time.Hour).Unix())), nil, Accepted, "",
			"exp in another case", "token-expired token-form"},
		{"Zone and zone", rs(header1, body(`,"zone":"east"`)), func(v *Verifier) { v.Zone = "east" }, Accepted, "",
			"Zone is there twice", "token-zone token-form"},
		{"an unknown crit", rs(`{"alg":"RS256","kid":"1","crit":["b64"],"b64":false}`, good), nil, Accepted, "",
			"its header has crit", "token-form"},
		{"a typ of something else", rs(`{"alg":"RS256","kid":"1","typ":"logout+jwt"}`, good), nil, Accepted, "",
			"its typ is not JWT", "token-form"},
		{"a newline at the end", valid + "\n", nil, Accepted, "", "it ends with a newline", "token-space"},
		{"CR LF at the end", valid + "\r\n", nil, Accepted, "", "it ends with a carriage return", "token-space"},
		{"a space at the end", valid + " ", nil, Rejected, "could not base64 decode signature", "white space", "token-space"},
		{"a signature with another tail", tail(valid), nil, Accepted, "", "its signature is not written as base64url is",
			"token-form"},
		{"padding", valid + "==", nil, Rejected, "could not base64 decode signature",
			"not written as base64url is", "token-form"},
		{"a megabyte of dots", strings.Repeat(".", 1<<20), nil, NotAsked, "1048576 bytes long",
			"more than a token can be", ""},
		{"a large claim, which the product takes", rs(header1, body(`,"x":"`+strings.Repeat("a", 1<<14)+`"`)), nil, Accepted,
			"", "more than a token can be", ""},
		{"one that fits into no variable", rs(header1, body(`,"x":"`+strings.Repeat("a", 1<<17)+`"`)), nil, NotAsked,
			"bytes long", "more than a token can be", ""},
		{"kid is a path", rs(`{"alg":"RS256","kid":"../../etc/passwd"}`, good), nil, Rejected,
			`GlobalSecret of name "zone-token-signing-key-../../etc/passwd" is not found`,
			"its kid is not a plain name", "token-kid"},
		{"kid is a list", rs(`{"alg":"RS256","kid":["1"]}`, good), func(v *Verifier) { v.Version = version(t, "2.14.2") },
			Rejected, "kid header must be a string", "its kid is not a plain name", "token-kid"},
		{"kid is SQL", rs(`{"alg":"RS256","kid":"1' OR '1'='1"}`, good), nil, Rejected, "there is no signing key",
			"its kid is not a plain name", "token-kid"},
		{"kid of 4 KB", rs(`{"alg":"RS256","kid":"`+strings.Repeat("k", 4000)+`"}`, good), nil, Rejected,
			"there is no signing key", "its kid is not a plain name", "token-kid"},
		{"a header that brings a key", rs(`{"alg":"RS256","kid":"1","jku":"https://evil.test/jwks","jwk":{}}`, good), nil,
			Accepted, "", "", "token-form token-form"},
		{"claims that are null", rs(header1, "null"), nil, Rejected, `token is signed for "" zone`,
			"its body is not a JSON object", ""},
		{"two parts", valid[:strings.LastIndexByte(valid, '.')], nil, Rejected,
			"token contains an invalid number of segments", "not a JWT", ""},
		{"nothing", "", nil, Rejected, "token contains an invalid number of segments", "it is empty", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := Verifier{Version: version(t, "2.13.5"), Keys: keySet("zone-token-signing-key-1"), Zone: "west"}
			if tc.verifier != nil {
				tc.verifier(&v)
			}
			j := v.Assess([]byte(tc.token), now)
			if j.Product.Outcome != tc.product || !strings.Contains(j.Product.Text, tc.words) ||
				(j.Product.Outcome == Accepted) != (j.Product.Text == "") {
				t.Errorf("the product: %s %q, want %s %q", j.Product.Outcome, j.Product.Text, tc.product, tc.words)
			}
			if j.Ours.Valid != (tc.ours == "") || !strings.Contains(j.Ours.Why, tc.ours) {
				t.Errorf("ours: %v %q, want %q", j.Ours.Valid, j.Ours.Why, tc.ours)
			}
			var ids []string
			for _, f := range j.Findings {
				ids = append(ids, f.Name)
			}
			if got := strings.Join(ids, " "); got != tc.findings {
				t.Errorf("findings %q, want %q", got, tc.findings)
			}
			code := map[Outcome]string{Rejected: unauthenticated}[tc.product]
			if strings.HasPrefix(j.Product.Text, "token is signed for") || strings.HasPrefix(j.Product.Text,
				"token cannot be used") {
				code = permissionDenied
			}
			if j.Product.Code != code || j.Product.Outcome == Accepted && j.Product.Key == "" {
				t.Errorf("code %q, want %q; key %q", j.Product.Code, code, j.Product.Key)
			}
		})
	}
}

// No token makes it panic; we accept none that the product refuses, nor any that our keys did not sign; neither
// signature nor foreign claims are repeated.
func FuzzJudge(f *testing.F) {
	for _, s := range []struct{ header, body string }{{header1, body("")},
		{`{"alg":"HS256","kid":"1"}`, `{"Zone":"west","TokenSerialNumber":1}`}, {`{"alg":"RS256","kid":7}`, "null"},
		{header1, body(`,"secret":"canarycanary","zone":"x"`)},
		{`{"alg":"none"}`, `{"Zone":null,"Scope":"cp","exp":1e999,"jti":["a"]}`}} {
		f.Add(s.header, s.body, "x, "+idA+"\r\n", "west")
	}
	keys := keySet("zone-token-signing-key-1", "zone-token-signing-key-0002", "zone-token-signing-key")
	f.Fuzz(func(t *testing.T, header, body, list, zone string) {
		for _, raw := range []string{signed(key1, header, body), b64(header) + "." + b64(body) +
			".c2lnbmF0dXJlc2lnbmF0dXJl", header} {
			for _, version := range []Version{{}, {KongMesh, 2, 0, 1, ""}, {KongMesh, 2, 10, 0, ""}, {Kuma, 3, 0, 0, ""}} {
				j := Verifier{Version: version, Keys: keys, Revocations: ParseRevocations([]byte(list)),
					Zone: zone}.Assess([]byte(raw), now)
				if j.Ours.Valid && j.Product.Outcome != Accepted {
					t.Fatalf("we accept what the product refuses: %+v", j)
				}
				if raw == header {
					continue
				}
				if sig := raw[strings.LastIndexByte(raw, '.')+1:]; strings.Contains(fmt.Sprintf("%+v",
					j.Findings)+j.Product.Text+j.Ours.Why, sig) {
					t.Fatalf("the signature is repeated: %+v", j)
				}
				if strings.HasSuffix(raw, ".c2lnbmF0dXJlc2lnbmF0dXJl") && j.Product.Outcome == Accepted {
					t.Fatalf("accepted and not signed: %+v", j)
				}
				said, err := json.Marshal([]any{j.Findings, j.Product, j.Ours.Why})
				if err != nil || strings.Contains(string(said), "canarycanary") &&
					!strings.Contains(header+list+zone, "canarycanary") {
					t.Fatalf("a claim of no concern is repeated: %s, %v", said, err)
				}
			}
		}
	})
}

// A claim that no float64 holds is passed over by the product. The token is one all the same: it is presented.
func TestATokenWithAHugeNumberIsStillOne(t *testing.T) {
	raw := []byte(signed(key1, header1, `{"Zone":"west","Scope":["cp"],"jti":"`+idA+`","x":[1e999]}`))
	v := Verifier{Version: version(t, "2.13.10"), Keys: keySet("zone-token-signing-key-1"), Zone: "west"}
	if a := v.Ask(raw, now); a.Outcome != Accepted {
		t.Fatalf("the product answers %+v", a)
	}
	if z, err := ReadZone(raw); err != nil || z.ID != idA || z.Name != "west" {
		t.Errorf("it is read as %+v (%v)", z, err)
	}
}
