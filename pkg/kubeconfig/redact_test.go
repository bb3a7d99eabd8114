package kubeconfig

import "testing"

func TestRedact(t *testing.T) {
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
		{"key AKIAIOSFODNN7EXAMPLE7 is wrong", "key [redacted] is wrong"},
		{"https://user:pw@host/path", "https://[redacted]@host/path"},
		{"-----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY-----\nafter", "[redacted]\nafter"},
		{"-----BEGIN PRIVATE KEY-----\ncut off", "[redacted]"},
	} {
		if got := redact(tc.in); got != tc.want {
			t.Errorf("%q: %q, want %q", tc.in, got, tc.want)
		}
	}
	if got := said([]byte("\x1b]0;title\x07\x1b[31mred\x1b[0m\r\n\tand\x08 more\n")); got != ": red and more" {
		t.Errorf("what a terminal would obey is left: %q", got)
	}
}
