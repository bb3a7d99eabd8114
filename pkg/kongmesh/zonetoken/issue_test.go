package zonetoken

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
)

func issued(t *testing.T, g Grant) (string, finding.Findings) {
	t.Helper()
	text, f, err := Issue(g, key1, now)
	if err != nil {
		t.Fatal(err)
	}
	return string(text.Reveal()), f
}

// What is issued is the same to the byte as what the product makes at the same time with the same key and ID.
func TestATokenIsIssuedAsTheProductIssuesIt(t *testing.T) {
	text, f := issued(t, Grant{Zone: "west", ValidFor: 720 * time.Hour, ID: idA, KeyID: "1"})
	parts := strings.Split(text, ".")
	header, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil || string(header) != `{"alg":"RS256","kid":"1","typ":"JWT"}` {
		t.Errorf("header %s, %v", header, err)
	}
	// exp - nbf is 720 h and 5 s, as was seen of 2.13.5.
	want := fmt.Sprintf(`{"Zone":"west","Scope":["cp"],"exp":%d,"nbf":%d,"iat":%d,"jti":"%s"}`, now.Unix()+2592000,
		now.Unix()-5, now.Unix()-5, idA)
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || string(claims) != want {
		t.Errorf("claims %s, %v\nwant   %s", claims, err, want)
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	sig, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || rsa.VerifyPKCS1v15(&key1.PublicKey, crypto.SHA256, sum[:], sig) != nil {
		t.Errorf("the signature is not RS256 of the key: %v", err)
	}
	if len(f) > 0 {
		t.Errorf("a plain token has findings: %+v", f)
	}
	j := Verifier{Version: version(t, "2.14.3"), Keys: keySet("zone-token-signing-key-1"),
		Zone: "west"}.Assess([]byte(text), now)
	if j.Product.Outcome != Accepted || !j.Ours.Valid || len(j.Findings) > 0 {
		t.Errorf("what was issued is not good: %+v", j)
	}
}

func TestWhatIsNotIssued(t *testing.T) {
	good := Grant{Zone: "west", ValidFor: time.Hour, ID: idA, KeyID: "1"}
	for _, tc := range []struct {
		name string
		with func(*Grant)
		why  string // a part; "" when it is issued
		says string // the finding
	}{
		{"a plain one", func(*Grant) {}, "", ""},
		{"for a year", func(g *Grant) { g.ValidFor = 365 * 24 * time.Hour }, "", ""},
		{"for longer", func(g *Grant) { g.ValidFor = 366 * 24 * time.Hour }, "", "token-long"},
		{"by a key of the configuration", func(g *Grant) { g.KeyID = "key-1" }, "", "token-kid-name"},
		{"for no time", func(g *Grant) { g.ValidFor = 0 }, "would have expired", ""},
		{"for less", func(g *Grant) { g.ValidFor = -time.Hour }, "would have expired", ""},
		{"for less than a second", func(g *Grant) { g.ValidFor = time.Millisecond }, "at least one", ""},
		{"for no zone", func(g *Grant) { g.Zone = "" }, "needs the name of its zone", ""},
		{"for what is no zone", func(g *Grant) { g.Zone = "we st" }, "no name of a zone", ""},
		{"for what a terminal obeys", func(g *Grant) { g.Zone = "\x1b[2Jwest" }, "no name of a zone", ""},
		{"without a kid", func(g *Grant) { g.KeyID = "" }, "the kid must be a plain name", ""},
		{"with a path for a kid", func(g *Grant) { g.KeyID = "../1" }, "the kid must be a plain name", ""},
		{"with a padded kid", func(g *Grant) { g.KeyID = "0001" }, "kid 0001 is padded", ""},
		{"without a jti", func(g *Grant) { g.ID = "" }, "the ID of the token", ""},
		{"with a jti that cannot be revoked", func(g *Grant) { g.ID = "a,b" }, "cannot be revoked", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := good
			tc.with(&g)
			text, f, err := Issue(g, key1, now)
			if (err == nil) != (tc.why == "") || err != nil && (!strings.Contains(err.Error(), tc.why) || text.Reveal() != nil) {
				t.Errorf("%v, want %q", err, tc.why)
			}
			if (len(f) > 0) != (tc.says != "") || tc.says != "" && !has(f, tc.says) {
				t.Errorf("findings %+v, want %q", f, tc.says)
			}
		})
	}
	if _, _, err := Issue(good, key1024, now); err == nil || !strings.Contains(err.Error(), "1024 bits") {
		t.Errorf("signed with a short key: %v", err)
	}
	if id := TokenID([16]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff}); id != "ffffffff-ffff-4fff-bf00-000000000000" || !looksLikeUUID(id) {
		t.Errorf("an ID is %s", id)
	}
}

// Tokens in the format of each version, as product and as careful readers take them.
func TestTheFormatOfEachVersion(t *testing.T) {
	unix := func(d time.Duration) int64 { return now.Add(d).Unix() }
	old := macced([]byte("secret"), `{"alg":"HS256","typ":"JWT"}`, `{"Zone":"west","TokenSerialNumber":1}`)
	lower := macced([]byte("secret"), `{"alg":"HS256","typ":"JWT"}`, `{"zone":"west","TokenSerialNumber":1}`)
	until210 := signed(key1, header1, fmt.Sprintf(`{"Zone":"west","Scope":["cp"],"exp":%d,"nbf":%d,"iat":%d,"jti":"%s"}`,
		unix(720*time.Hour), unix(-5*time.Minute), unix(0), idA))
	from211, _ := issued(t, Grant{Zone: "west", ValidFor: 720 * time.Hour, ID: idA, KeyID: "1"})
	for _, tc := range []struct {
		name, token, version string
		kind                 Kind
		product              Outcome
		ours                 bool
		findings             []string
		remedy               string // of the first finding, a part
	}{
		{"1.2 to 1.4, on 1.4", old, "1.4.1", Legacy, NotAsked, false, []string{"token-legacy", "token-no-exp"},
			"kumactl generate control-plane-token --zone=west."},
		{"1.2 to 1.4, on 1.6", old, "1.6.0", Legacy, NotAsked, false, []string{"token-legacy", "token-no-exp"},
			"kumactl generate control-plane-token --zone=west --valid-for=720h."},
		{"1.2 to 1.4, on 2.5", old, "2.5.0", Legacy, Rejected, false, []string{"token-legacy", "token-no-exp"},
			"kumactl generate zone-token --zone=west --scope=cp --valid-for=720h."},
		{"1.2 to 1.4, on 2.13", old, "2.13.5", Legacy, Rejected, false, []string{"token-legacy", "token-no-exp"},
			"kumactl generate zone-token --zone=west --scope=cp --valid-for=720h."},
		{"the same in lower case", lower, "2.13.5", Legacy, Rejected, false,
			[]string{"token-legacy", "token-no-exp", "token-claims-case"}, "kumactl generate zone-token"},
		{"2.0 to 2.10", until210, "2.10.8", Zoned, Accepted, true, nil, ""},
		{"2.0 to 2.10, on 2.14", until210, "2.14.3", Zoned, Accepted, true, nil, ""},
		{"2.0 to 2.10, on 3.0", until210, "3.0.0", Zoned, Accepted, true, nil, ""},
		{"2.11 and later, on 2.0", from211, "2.0.1", Zoned, Accepted, true, nil, ""},
		{"2.11 and later", from211, "2.11.0", Zoned, Accepted, true, nil, ""},
		{"2.11 and later, on 1.9", from211, "1.9.0", Zoned, NotAsked, false, nil, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			z, err := ReadZone([]byte(tc.token))
			if err != nil || z.Kind != tc.kind || z.Name != "west" || (z.Kind == Legacy) != (z.Serial == 1) || z.Kind == Zoned &&
				(z.ID != idA || z.KeyID != "1" || !slices.Equal(z.Scope, []string{"cp"}) ||
					!z.Expires.Equal(now.Add(720*time.Hour))) {
				t.Errorf("read as %+v, %v", z, err)
			}
			j := Verifier{Version: version(t, tc.version), Keys: keySet("zone-token-signing-key-1"),
				Zone: "west"}.Assess([]byte(tc.token), now)
			if j.Product.Outcome != tc.product || j.Ours.Valid != tc.ours {
				t.Errorf("the product: %s %q, ours: %+v", j.Product.Outcome, j.Product.Text, j.Ours)
			}
			var ids []string
			for _, f := range j.Findings {
				ids = append(ids, f.Name)
			}
			if !slices.Equal(ids, tc.findings) || len(ids) > 0 && !strings.Contains(j.Findings[0].Remedy, tc.remedy) {
				t.Errorf("findings %+v, want %v, %q", j.Findings, tc.findings, tc.remedy)
			}
		})
	}
}

// Where the version is not known, the command for each side of 2.0 is told; a name that a shell would obey is in
// neither.
func TestALegacyTokenOfAnUnknownVersion(t *testing.T) {
	for zone, want := range map[string]string{
		"west":     "Issue a zone token instead: kumactl generate zone-token --zone=west --scope=cp --valid-for=720h; of a control plane before 2.0: kumactl generate control-plane-token --zone=west --valid-for=720h.",
		"$(evil)`": "Issue a zone token instead: kumactl generate zone-token --zone=ZONE --scope=cp --valid-for=720h; of a control plane before 2.0: kumactl generate control-plane-token --zone=ZONE --valid-for=720h.",
	} {
		z, err := ReadZone([]byte(macced([]byte("secret"), `{"alg":"HS256","typ":"JWT"}`,
			fmt.Sprintf(`{"Zone":%q,"TokenSerialNumber":1}`, zone))))
		if f := z.Findings(Verifier{}, now); err != nil || !has(f, "token-legacy") || f[0].Remedy != want {
			t.Errorf("%v, %+v", err, f)
		}
	}
}

// The words and rules of older versions, from the validator of each tag.
func TestHowVersionsDiffer(t *testing.T) {
	at := func(claims string) string {
		return `{"Zone":"west","Scope":["cp"],"jti":"` + idA + `"` + claims + `}`
	}
	exp := fmt.Sprintf(`,"exp":%d`, now.Add(time.Hour).Unix())
	later := at(fmt.Sprintf(`%s,"iat":%d`, exp, now.Add(2*time.Second).Unix()))
	for _, tc := range []struct {
		version, header, body string
		product               Outcome
		words                 string
	}{
		{"2.10.8", header1, later, Rejected, "invalid zone token: could not parse token: token used before issued"},
		{"2.11.0", header1, later, Accepted, ""},
		{"2.10.8", header1, at(fmt.Sprintf(`,"exp":%d`, now.Add(-90*time.Second).Unix())), Rejected,
			"invalid zone token: could not parse token: token is expired by 1m30s"},
		{"2.10.8", header1, at(fmt.Sprintf(`%s,"nbf":%d`, exp, now.Add(time.Second).Unix())), Rejected,
			"invalid zone token: could not parse token: token is not valid yet"},
		{"2.10.8", `{"alg":"RS256"}`, at(exp), Rejected,
			"invalid zone token: could not parse token: JWT token must have kid header"},
		{"2.10.8", `{"alg":"RS256","kid":1}`, at(exp), Crashes, "panic: interface conversion: interface {} is not string"},
		{"2.0.8", `{"alg":"RS256","kid":1}`, at(exp), Rejected,
			"invalid zone token: could not parse token: kid header is invalid. Expected string."},
		{"2.0.8", `{"alg":"RS256"}`, at(exp), Rejected, "invalid zone token: could not parse token: missing Key ID"},
		{"2.1.5", `{"alg":"RS256","kid":"01"}`, at(exp), Accepted, ""},
		{"2.1.5", `{"alg":"RS256","kid":"one"}`, at(exp), Rejected,
			"invalid zone token: could not parse token: kid header is invalid. Expected string to be parseable as int."},
		{"2.2.2", `{"alg":"RS256","kid":"01"}`, at(exp), Rejected,
			`invalid zone token: there is no signing key with KID 01. GlobalSecret of name "zone-token-signing-key-01" is not found. If signing key was rotated, regenerate the token`},
		{"2.0.8", `{"alg":"RS512","kid":"1"}`, at(exp), Rejected,
			"invalid zone token: could not parse token: unknown token alg. Allowed algs are HS256 and RS256"},
		{"2.9.0", header1, at(exp + `,"Scope":"cp"`), Rejected,
			"invalid zone token: could not parse token: json: cannot unmarshal string into Go struct field ZoneClaims.Scope of type []string"},
	} {
		v := Verifier{Version: version(t, tc.version), Keys: keySet("zone-token-signing-key-1"), Zone: "west"}
		a := v.Ask([]byte(signed(key1, tc.header, tc.body)), now)
		if a.Outcome != tc.product || a.Text != tc.words {
			t.Errorf("%s, %s %s: %s %q, want %s %q", tc.version, tc.header, tc.body, a.Outcome, a.Text, tc.product, tc.words)
		}
	}
	wrong := Verifier{Version: version(t, "2.10.8"), Keys: keySet("zone-token-signing-key-1")}.Ask([]byte(signed(key2,
		header1, at(exp))), now)
	if wrong.Text != "invalid zone token: could not parse token: crypto/rsa: verification error" {
		t.Errorf("%q", wrong.Text)
	}
}
