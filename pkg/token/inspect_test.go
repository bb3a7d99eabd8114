package token

import (
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func signed(t *testing.T, claims jwt.MapClaims) string {
	t.Helper()
	tok := jwt.NewWithClaims(jwt.SigningMethodHS256, claims)
	tok.Header["kid"] = "k1"
	s, err := tok.SignedString([]byte("canary-signing-key"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestInspect(t *testing.T) {
	exp := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	good := signed(t, jwt.MapClaims{"exp": exp.Unix()})
	for _, tc := range []struct{ name, raw, wrong string }{
		{"a token", good, ""},
		{"no exp", signed(t, jwt.MapClaims{}), ""},
		{"trailing newline", good + "\n", "white space"},
		{"trailing CR LF", good + "\r\n", "white space"},
		{"empty", "", "empty"},
		{"two parts", good[:strings.LastIndex(good, ".")], "not a JWT"},
		{"prose", "hello", "not a JWT"},
		{"exp is a word", signed(t, jwt.MapClaims{"exp": "tomorrow"}), "exp claim"},
		{"a megabyte of dots", strings.Repeat(".", 1<<20), "bytes long"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			info, err := Inspect([]byte(tc.raw))
			if tc.wrong == "" {
				if err != nil || info.KeyID != "k1" || info.Alg != "HS256" || len(info.Digest) != 8 {
					t.Fatalf("%+v, %v", info, err)
				}
				if strings.Contains(tc.name, "a token") && !info.Expires.Equal(exp) {
					t.Errorf("expires %v, want %v", info.Expires, exp)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.wrong) {
				t.Fatalf("error %v, want one about %q", err, tc.wrong)
			}
		})
	}
}

// No input makes Inspect panic or repeat a part of what it was given.
func FuzzInspect(f *testing.F) {
	f.Add([]byte("eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjF9.c2VjcmV0c2VjcmV0"))
	f.Add([]byte("a.b.c"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, err := Inspect(raw)
		if err == nil {
			return
		}
		for _, part := range strings.Split(string(raw), ".") {
			if len(part) > 12 && strings.Contains(err.Error(), part) {
				t.Errorf("the error repeats %q", part)
			}
		}
	})
}
