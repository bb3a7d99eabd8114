package zonetoken

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// What the API answers is taken when it is the token that was asked for, and nothing of a token is in an error.
func TestWhatTheAPIAnswers(t *testing.T) {
	good := Grant{Zone: "west", ValidFor: 720 * time.Hour, ID: idA, KeyID: "1"}
	of := func(change func(*Grant)) string {
		g := good
		change(&g)
		text, _ := issued(t, g)
		return text
	}
	const header = `{"alg":"RS256","kid":"1","typ":"JWT"}`
	made := func(header, body string) string { return signed(key1, header, body) }
	claims := func(scope string, nbf, later time.Duration) string {
		at := now.Add(later)
		return fmt.Sprintf(`{"Zone":"west","Scope":[%s],"exp":%d,"nbf":%d,"iat":%d,"jti":"%s"}`, cmp.Or(scope, `"cp"`),
			at.Add(good.ValidFor).Unix(), now.Add(nbf).Unix(), at.Unix(), idA)
	}
	for _, tc := range []struct {
		name   string
		status int
		body   string
		says   string // "" when it is taken
	}{
		{"what was asked for", 200, of(func(*Grant) {}), ""},
		{"another zone's", 200, of(func(g *Grant) { g.Zone = "east" }),
			`the global's API issued a token that was not asked for: it is of zone "east"`},
		{"for longer", 200, of(func(g *Grant) { g.ValidFor = 87600 * time.Hour }), "it is valid for 87600h0m5s"},
		{"for less", 200, of(func(g *Grant) { g.ValidFor = time.Hour }), "it is valid for 1h0m5s"},
		{"a page", 200, "<html>sign in</html>", "the global's API answered with something else than a token"},
		{"nothing", 200, "", "the global's API answered with something else than a token"},
		{"a user's token", 200, "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJOYW1lIjoiYSJ9.eA", "it is no zone token"},
		{"a token that nothing verifies", 200, "eyJhbGciOiJub25lIn0.eyJab25lIjoid2VzdCIsIlNjb3BlIjpbImNwIl19.eA",
			"it is no zone token"},
		{"no right to it", 403, `{"title":"Access Denied","detail":"user \"bob/team\" cannot access"}`,
			`did not issue a token (403: Access Denied: user "bob/team" cannot access); who asked may not issue tokens for zone west; pass`},
		{"not known", 401, `{"title":"Invalid authentication data","detail":"Unauthenticated"}`,
			"(401: Invalid authentication data: Unauthenticated); the token with which it was asked is not known to it"},
		{"no key", 404, `{"title":"Signing Key not found","detail":"there is no signing key with KID 1"}`,
			"(404: Signing Key not found: there is no signing key with KID 1)"},
		{"no such path", 404, "404: Page Not Found", "(404); does this version issue zone tokens?"},
		{"not as it wants it", 400, `{"title":"Invalid request","detail":"Resource is not valid","invalid_parameters":[{"field":"scope","reason":"cannot be empty"}]}`, "(400: Invalid request: Resource is not valid: scope cannot be empty)"},
		{"elsewhere", 302, "", "did not issue a token (302)"},
		{"with a name for a key that would move the cursor", 200, made(`{"alg":"RS256","kid":"1\u001b[2J","typ":"JWT"}`,
			claims("", 0, 0)), "it names no key"},
		{"for a zone proxy too", 200, made(header, claims(`"cp","ingress"`, 0, 0)), "its scope is [cp ingress]"},
		{"good now, and issued in a year", 200, made(header, claims("", 0, 8760*time.Hour)),
			"it is valid from another time than it was issued"},
		{"good from no time that it says", 200, made(header, strings.Replace(claims("", 0, 0), `"nbf"`, `"x"`, 1)),
			"it is valid from another time than it was issued"},
		{"as up to 2.10, five minutes back", 200, made(header, claims("", -5*time.Minute, 0)), ""},
		{"with a newline at the end", 200, of(func(*Grant) {}) + "\n", ""},
		{"what it was asked with", 403, `{"title":"Access Denied","detail":"` + strings.Repeat("no ", 150) +
			of(func(*Grant) {}) + `"}`, "did not issue a token (403: Access Denied: no "},
		{"what it was asked with, in a field", 400, `{"title":"` + of(func(*Grant) {}) +
			`","invalid_parameters":[{"field":"` + of(func(*Grant) {}) + `"}]}`, "did not issue a token (400: "},
		{"what would move the cursor", 500, `{"title":"a\u001b[2Jb"}`, "(500: a"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			token, z, err := Answered(tc.status, []byte(tc.body), "west", good.ValidFor)
			if tc.says == "" {
				if err != nil || string(token.Reveal()) != strings.TrimSpace(tc.body) || z.ID != idA || z.KeyID != "1" {
					t.Errorf("%+v, %v", z, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.says) || strings.ContainsRune(err.Error(), '\x1b') ||
				len(token.Reveal()) > 0 {
				t.Errorf("%v, want %s", err, tc.says)
			}
			if parts := strings.Split(tc.body, "."); err != nil && len(parts) == 3 && strings.Contains(err.Error(), parts[2]) &&
				len(parts[2]) > 9 {
				t.Errorf("a token is in %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "eyJ") {
				t.Errorf("a part of a token is in %v", err)
			}
		})
	}
}

// What is asked is what the product reads.
func TestWhatTheAPIIsAsked(t *testing.T) {
	var asked map[string]any
	if err := json.Unmarshal(Ask("west", 720*time.Hour), &asked); err != nil || asked["zone"] != "west" ||
		asked["validFor"] != "720h0m0s" || len(asked["scope"].([]any)) != 1 || asked["scope"].([]any)[0] != "cp" ||
		len(asked) != 3 {
		t.Errorf("%v, %v", asked, err)
	}
}
