package redact

import (
	"strings"
	"testing"
)

func TestWhatAProgramSaysIsShownWithoutSecrets(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"exit code: 255", "exit code: 255"},
		{"no credentials: try again", "no credentials: try again"},
		{"ERROR: token expired, run `corp login`", "ERROR: token expired, run `corp login`"},
		{"could not reach https://sso.eu-west-1.example.test/realms/mesh/protocol/openid-connect",
			"could not reach https://sso.eu-west-1.example.test/realms/mesh/protocol/openid-connect"},
		{"/usr/local/lib/python3/site-packages/awscli/clidriver.py",
			"/usr/local/lib/python3/site-packages/awscli/clidriver.py"},
		{"got eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln", "got [redacted]"},
		{"Authorization: Bearer abc", "Authorization: Bearer [redacted]"},
		{`{"access_token":"abc","expires_in":5}`, `{"access_token":[redacted],"expires_in":5}`},
		{"AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI", "AWS_SECRET_ACCESS_KEY=[redacted]"},
		{"password: correcthorse", "password: [redacted]"},
		{"admin-password: hunter2", "admin-password: [redacted]"},
		{"password=hunter2 is wrong", "password=[redacted] is wrong"},
		{"key AKIAIOSFODNN7EXAMPLE7 is wrong", "key [redacted] is wrong"},
		{"got " + strings.Repeat("QUJD", 10) + "==", "got [redacted]"},
		{"https://user:pw@host/path", "https://[redacted]@host/path"},
		{`{"kty":"RSA","d": "abc"}`, `{"kty":"RSA","d": "[redacted]"}`},
		{"-----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY-----\nafter", "[redacted]\nafter"},
		{"-----BEGIN PRIVATE KEY-----\ncut off", "[redacted]"},
		{"-----BEGIN CERTIFICATE-----\nMHc\n-----END CERTIFICATE-----", "[redacted]"},
	} {
		if got := Text(tc.in); got != tc.want {
			t.Errorf("%q: %q, want %q", tc.in, got, tc.want)
		}
	}
}

// Names and prose of ours stay, and what is a secret by its form does not.
func TestSecretsAreMaskedAndNamesAreNot(t *testing.T) {
	for _, same := range []string{
		"secret istio-system/xcp-edge-central-auth-token: not there",
		"secretName: xcp-edge-central-auth-token-2026",
		"edge production-eu-central-1-cluster-0001 presents basic authentication",
		"uid 0e120ec9-6b42-495d-9758-07b59fe86fb9",
		"-----BEGIN CERTIFICATE-----\nMHc\n-----END CERTIFICATE-----",
		"token 90d; expires 2026-04-02 12:00:00 UTC",
	} {
		if got := Secrets(same); got != same {
			t.Errorf("%q became %q", same, got)
		}
	}
	for _, tc := range []struct{ in, want string }{
		{"got eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln", "got [redacted]"},
		{"Authorization: Bearer 0123456789abcdef0", "Authorization: Bearer [redacted]"},
		{"proxy http://user:pw@proxy.example.test is down", "proxy http://[redacted]@proxy.example.test is down"},
		{`{"kty":"RSA","n":"AQAB","d": "abc"}`, `{"kty":"RSA","n":"AQAB","d": "[redacted]"}`},
		{"a\n-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\nb", "a\n[redacted]\nb"},
	} {
		if got := Secrets(tc.in); got != tc.want {
			t.Errorf("%q: %q, want %q", tc.in, got, tc.want)
		}
	}
}
