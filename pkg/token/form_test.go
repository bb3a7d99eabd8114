package token

import (
	"strings"
	"testing"
	"time"
	"unicode/utf16"
)

// A text that holds a token in another form is no JWT, and what it is is said, without a part of it.
func TestATokenInAnotherFormIsNamed(t *testing.T) {
	const jws = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.Y2FuYXJ5"
	wide := func(order ...int) string {
		var b strings.Builder
		for _, u := range utf16.Encode([]rune("\ufeff" + jws)) {
			for _, shift := range order {
				b.WriteByte(byte(u >> shift))
			}
		}
		return b.String()
	}
	for name, tc := range map[string]struct{ text, says string }{
		"UTF-16 little":     {wide(0, 8), "it is UTF-16 text"},
		"UTF-16 big":        {wide(8, 0), "it is UTF-16 text"},
		"UTF-16 bare":       {wide(0, 8)[2:], "it is UTF-16 text"},
		"BOM":               {"\ufeff" + jws, "byte order mark"},
		"no text":           {"\xc3\x28", "it is not text"},
		"Bearer":            {"Bearer " + jws, "HTTP header"},
		"bearer":            {"bearer " + jws + "\n", "HTTP header"},
		"a whole header":    {"Authorization: Bearer " + jws, "HTTP header"},
		"quotes":            {`"` + jws + `"` + "\n", "quotation marks"},
		"single quotes":     {"'" + jws + "'", "quotation marks"},
		"JSON":              {`{"token":"` + jws + `"}`, "a JSON object"},
		"a JSON list":       {`["` + jws + `"]`, "begins as JSON does"},
		"JWS JSON":          {`{"payload":"e30","signatures":[{"signature":"Y2FuYXJ5"}]}`, "JSON serialization"},
		"JWS JSON, of one":  {`{"payload":"e30","protected":"e30","signature":"Y2FuYXJ5"}`, "JSON serialization"},
		"JWE JSON":          {`{"ciphertext":"Y2FuYXJ5","protected":"e30"}`, "encrypted"},
		"JWE":               {"eyJhbGciOiJSU0EtT0FFUCJ9.Y2FuYXJ5.Y2FuYXJ5.Y2FuYXJ5.Y2FuYXJ5", "encrypted"},
		"a JSON Web Key":    {`{"kty":"RSA","n":"Y2FuYXJ5","e":"AQAB"}`, "a JSON Web Key"},
		"a JSON Web Keyset": {`{"keys":[]}`, "a set of JSON Web Keys"},
		"PEM":               {"-----BEGIN PUBLIC KEY-----\nY2FuYXJ5\n-----END PUBLIC KEY-----\n", "it is PEM"},
	} {
		_, err := Describe([]byte(tc.text), time.Unix(0, 0))
		if err == nil || !strings.HasPrefix(err.Error(), "it is not a JWT: ") || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, want %q", name, err, tc.says)
		}
		v := Verify([]byte(tc.text), nil, time.Unix(0, 0))
		if v.Valid || err == nil || v.Why != err.Error() || strings.Contains(v.Why, "Y2Fu") ||
			strings.Contains(v.Why, "eyJ") {
			t.Errorf("%s: %+v", name, v)
		}
	}
	if _, err := Describe([]byte(jws), time.Unix(0, 0)); err != nil {
		t.Errorf("the token itself: %v", err)
	}
}
