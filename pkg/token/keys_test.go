package token

import (
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// One element that cannot be used does not stop the verification with the others, whatever it is and wherever it
// stands.
func TestAKeyOfAnUnknownKindIsIgnoredBesideOneThatIsUsed(t *testing.T) {
	n := b64(rsaKey.N.Bytes())
	good := fmt.Sprintf(`{"kty":"RSA","kid":"k1","alg":"RS256","n":%q,"e":"AQAB"}`, n)
	tok := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{"exp": now.Add(time.Hour).Unix()})
	tok.Header["kid"] = "k1"
	text, err := tok.SignedString(rsaKey)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind, body string) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: []byte(body)}))
	}
	verified := func(name, keys, warning string) {
		t.Helper()
		parsed, err := ParseKeys([]byte(keys), "here")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		if got := strings.Join(parsed[0].Warnings, "\n"); len(parsed) != 1 || !strings.HasPrefix(got, warning) ||
			warning == "" && got != "" {
			t.Errorf("%s: %d keys, warned %q, want %q", name, len(parsed), got, warning)
		}
		if v := Verify([]byte(text), parsed, now); !v.Valid {
			t.Errorf("%s: %s", name, v.Why)
		}
	}
	for name, other := range map[string]string{
		"a post-quantum key":     `{"kty":"AKP","alg":"ML-DSA-44","kid":"pq","pub":"AAAA"}`,
		"X25519":                 `{"kty":"OKP","crv":"X25519","x":"AAAA"}`,
		"secp256k1":              `{"kty":"EC","crv":"secp256k1","x":"AQ","y":"AQ"}`,
		"a symmetric key":        `{"kty":"oct","k":"AAAA"}`,
		"half a key":             `{"kty":"RSA","n":"AQAB"}`,
		"a member of wrong kind": `{"kty":"RSA","n":7,"e":"AQAB"}`,
		"no object":              `"key"`,
		"null":                   `null`,
	} {
		verified(name+" before", `{"keys":[`+other+`,`+good+`]}`, "here: key 1 is ignored: ")
		verified(name+" after", `{"keys":[`+good+`,`+other+`]}`, "here: key 2 is ignored: ")
		if keys, err := ParseKeys([]byte(`{"keys":[`+other+`]}`), "here"); err == nil {
			t.Errorf("%s alone: %v", name, keys)
		}
	}
	public := publicPEM(t, &rsaKey.PublicKey)
	for name, other := range map[string]string{"parameters": block("EC PARAMETERS", "a"),
		"a request": block("CERTIFICATE REQUEST", "a"), "one that does not parse": block("PUBLIC KEY", "a")} {
		verified("PEM, "+name+" before", other+public, "here: key 1 is ignored: ")
		verified("PEM, "+name+" after", public+other, "here: key 2 is ignored: ")
	}
	for len(n)%4 != 0 {
		n += "="
	}
	verified("padded n", fmt.Sprintf(`{"kty":"RSA","kid":"k1","n":%q,"e":"AQAB"}`, n),
		"here: key 1 is padded with =, which RFC 7515 forbids")
	verified("leading zero and x5c", fmt.Sprintf(`{"kty":"RSA","kid":"k1","x5c":["AAAA"],"n":%q,"e":"AQAB"}`,
		b64(append([]byte{0}, rsaKey.N.Bytes()...))), "")
}
