package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// mint is a signing key, and a maker of tokens.
type mint struct {
	key     *ecdsa.PrivateKey
	private string // PEM
	public  string
}

func newMint(t *testing.T) mint {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	text := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return mint{key, text("PRIVATE KEY", private), text("PUBLIC KEY", public)}
}

func (m mint) token(t *testing.T, left time.Duration) string {
	t.Helper()
	exp := time.Now().Add(left)
	tok := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"iat": exp.Add(-time.Hour).Unix(), "exp": exp.Unix(),
		"sub": "canary-subject"})
	tok.Header["kid"] = "k1"
	text, err := tok.SignedString(m.key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func file(t *testing.T, mode os.FileMode, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestToken(t *testing.T) {
	m := newMint(t)
	good, old := m.token(t, 50*time.Minute+30*time.Second), m.token(t, -time.Hour)
	plane := apifake.Hub("eu", "us")
	for _, o := range plane {
		if o["kind"] == "ManagementPlane" {
			o["spec"].(apifake.Object)["tokenIssuer"] = apifake.Object{"jwt": apifake.Object{"issuers": []any{apifake.Object{"name": "i", "algorithm": "ES256", "signingKey": "private.key"}}}}
		}
	}
	kubeconfig := serve(t, map[string]*apifake.Server{
		"hub": apifake.Start(append(plane, apifake.Secret("tsb", "iam-signing-key",
			map[string]string{"private.key": m.private}))...),
		"eu": apifake.Start(append(apifake.Edge("eu"), apifake.Secret("istio-system", "xcp-edge-central-auth-token",
			map[string]string{"jwt": good}))...),
		"us": apifake.Start(apifake.Edge("us")...)}, nil)
	keyless := serve(t, map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub()...)}, nil)
	none := filepath.Join(t.TempDir(), "none") // a kubeconfig that is not there: no cluster is needed
	mine, others, public, private := file(t, 0o600, good), file(t, 0o640, good), file(t, 0o644, m.public),
		file(t, 0o644, m.private)
	for _, tc := range []struct {
		name, kubeconfig string
		args             []string
		stdin            string
		code             int
		out, err         string // parts
	}{
		{"a file, unverified", none, []string{"inspect", mine}, "", 0,
			"unverified: this is what the token says of itself; nobody has checked its\n", ""},
		{"what it says", none, []string{"inspect", mine}, "", 0, "alg:        ES256\nkid:        k1\ntyp:        JWT\n", ""},
		{"its lifetime", none, []string{"inspect", mine}, "", 0, "lifetime:   60m\nleft:       50m\n", ""},
		{"stdin", none, []string{"inspect", "-"}, good + "\n", 0, "odd:        it ends with a newline", ""},
		{"an edge", kubeconfig, []string{"inspect", "--edge", "eu"}, "", 0,
			"source:     secret istio-system/xcp-edge-central-auth-token in eu\n", ""},
		{"valid by the hub's keys", kubeconfig, []string{"verify", "--edge", "eu"}, "", 0,
			"valid: its signature is of secret tsb/iam-signing-key key private.key\n", ""},
		{"what that rests on", kubeconfig, []string{"verify", mine}, "", 0,
			"rests on:   no audience is configured, so aud was not checked\n", ""},
		{"valid by a file", none, []string{"verify", mine, "--key-file", public}, "", 0,
			"valid: its signature is of file " + public, ""},
		{"an audience that it lacks", none, []string{"verify", mine, "--key-file", public, "--audience", "edges"}, "", 5,
			"rejected: it is not for edges\n", ""},
		{"another key", none, []string{"verify", mine, "--key-file", file(t, 0o644, newMint(t).public)}, "", 5,
			"rejected: its signature is not of a known key", ""},
		{"expired", none, []string{"verify", "-", "--key-file", public}, old, 5, "rejected: it expired at ", ""},
		{"no token at all", none, []string{"verify", "-", "--key-file", public}, "hello", 5, "rejected: it is not a JWT", ""},

		{"no token to inspect", none, []string{"inspect", "-"}, "hello", 5, "rejected: it is not a JWT", ""},
		{"a file that others can read", none, []string{"inspect", others}, "", 1, "", "error: others can read " + others +
			", and with it be the edge; run: chmod 600 " + others + "\n"},
		{"a private key that others can read", none, []string{"verify", mine, "--key-file", private}, "", 1, "",
			"run: chmod 600 " + private},
		{"a token on the command line", none, []string{"inspect", good}, "", 1, "",
			"error: that is a token itself, and others can read the command line"},
		{"two sources", none, []string{"inspect", mine, "--edge", "eu"}, "", 1, "",
			"error: name one token: an EDGE, a FILE, or - for stdin"},
		{"no source", none, []string{"verify"}, "", 1, "", "error: name one token: an EDGE, a FILE, or - for stdin"},
		{"a file that is not there", none, []string{"inspect", none}, "", 1, "", "no such file or directory"},
		{"an edge that is not there", kubeconfig, []string{"inspect", "--edge", "mars"}, "", 1, "",
			`error: no edge is called "mars"; the edges are: eu, us`},
		{"an edge without a token", kubeconfig, []string{"verify", "--edge", "us"}, "", 1, "",
			"error: secret istio-system/xcp-edge-central-auth-token in us is not there"},
		{"a hub without keys", keyless, []string{"verify", mine}, "", 1, "",
			"error: no key to verify with: secret tsb/iam-signing-key is not there; secret tsb/tsb-iam-jwks is not there; pass the public key with --key-file"},
		{"an audience without a key", none, []string{"verify", mine, "--audience", "x"}, "", 1, "",
			"error: --audience goes with --key-file"},
		{"an unknown format", none, []string{"inspect", mine, "-o", "xml"}, "", 1, "",
			`error: output format "xml" is not known`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out, errOut bytes.Buffer
			args := append([]string{"--kubeconfig", tc.kubeconfig, "token"}, tc.args...)
			code := run(args, genericiooptions.IOStreams{In: strings.NewReader(tc.stdin), Out: &out, ErrOut: &errOut},
				nil)
			if code != tc.code || !strings.Contains(out.String(), tc.out) || !strings.Contains(errOut.String(), tc.err) {
				t.Errorf("exit code %d, want %d; stdout\n%s\nwant %q; stderr\n%s\nwant %q", code, tc.code, out.String(), tc.out,
					errOut.String(), tc.err)
			}
			for _, secret := range append(strings.Split(good, ".")[1:], "canary-subject", "PRIVATE KEY") {
				if strings.Contains(out.String()+errOut.String(), secret) {
					t.Errorf("%.12s... is printed:\n%s%s", secret, out.String(), errOut.String())
				}
			}
		})
	}
}

func TestTokenInEveryFormat(t *testing.T) {
	m := newMint(t)
	path, key := file(t, 0o600, m.token(t, time.Minute)), file(t, 0o644, m.public)
	r := xcpauth(t, "", "token", "verify", path, "--key-file", key, "-o", "json")
	var report map[string]any
	if err := json.Unmarshal([]byte(r.out), &report); err != nil || r.code != 0 {
		t.Fatalf("exit code %d: %v\n%s%s", r.code, err, r.out, r.err)
	}
	table := xcpauth(t, "", "token", "verify", path, "--key-file", key).out
	for name, v := range report {
		text := fmt.Sprint(v)
		if list, ok := v.([]any); ok {
			text = ""
			if len(list) > 0 {
				text = fmt.Sprint(list[0])
			}
		}
		if regexp.MustCompile("^(apiVersion|kind|at|left)$").MatchString(name) { // of the report itself, or passing
			continue
		}
		if squeezed := strings.Join(strings.Fields(table), " "); !strings.Contains(squeezed, text) {
			t.Errorf("%s %q is in JSON and not in the table:\n%s", name, text, table)
		}
	}
}

// A text that is no JWT is rejected as that, with what it is, whatever flags would judge a token of which family.
func TestATextThatIsNoJWTIsRejectedBeforeItsFamilyIsAsked(t *testing.T) {
	m := newMint(t)
	public, text := file(t, 0o644, m.public), m.token(t, time.Hour)
	for name, tc := range map[string]struct{ text, says string }{
		"UTF-16": {"\xff\xfee\x00y\x00J\x00", "UTF-16"},
		"BOM":    {"\ufeff" + text, "byte order mark"},
		"Bearer": {"Bearer " + text, "HTTP header"},
		"quotes": {`"` + text + `"`, "quotation marks"},
		"JSON":   {`{"token":"` + text + `"}`, "JSON object"},
		"JWS":    {`{"payload":"","signature":""}`, "JSON serialization"},
		"JWE":    {"eyJ.a.b.c.d", "encrypted"},
	} {
		for _, flags := range [][]string{{"inspect"}, {"verify"}, {"verify", "--key-file", public}, {"verify", "--zone",
			"west"}, {"verify", "--kid", "2", "--key-file", public}} {
			r := with(t, tc.text, append([]string{"token", flags[0], "-"}, flags[1:]...)...)
			squeezed := strings.Join(strings.Fields(r.out), " ")
			if r.code != exitRefused || !strings.HasPrefix(squeezed, "rejected: it is not a JWT: ") ||
				!strings.Contains(squeezed, tc.says) || r.err != "" {
				t.Errorf("%s %v: exit code %d\n%s%s", name, flags, r.code, r.out, r.err)
			}
			if strings.Contains(r.out, strings.Split(text, ".")[1]) {
				t.Errorf("%s: the token is printed", name)
			}
		}
	}
}

// A key that is not used next to one that is could be the one that somebody meant: it is named, on stderr and in JSON.
func TestAKeyThatIsIgnoredIsNamed(t *testing.T) {
	m := newMint(t)
	_, key := signingKey(t)
	pkix, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	zones := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pkix}))
	broken := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("a")}))
	for name, tc := range map[string]struct{ token, keys string }{
		"of an edge": {m.token(t, time.Hour), m.public + broken},
		"of a zone":  {zoneToken(t, key, nil), zones + broken},
	} {
		key := file(t, 0o644, tc.keys)
		want := "file " + key + ": key 2 is ignored: a PEM block in it cannot be read"
		r := with(t, tc.token, "token", "verify", "-", "--key-file", key, "-o", "json")
		var report struct{ Warnings []string }
		if err := json.Unmarshal([]byte(r.out), &report); err != nil || r.code != 0 || len(report.Warnings) != 1 ||
			report.Warnings[0] != want ||
			r.err != "warning: "+want+"\n" {
			t.Errorf("%s: exit code %d, %v, %q\n%s%s", name, r.code, err, report.Warnings, r.out, r.err)
		}
	}
}

// The --product of token verify takes what the flag of all verbs takes.
func TestVerifyTakesTheProductOfEveryVerb(t *testing.T) {
	m := newMint(t)
	mine, public := file(t, 0o600, m.token(t, time.Hour)), file(t, 0o644, m.public)
	for _, product := range []string{"tsb", "auto"} {
		r := with(t, "", "token", "verify", mine, "--key-file", public, "--product", product)
		if r.code != 0 || !strings.HasPrefix(r.out, "valid: ") {
			t.Errorf("%s: exit code %d\n%s%s", product, r.code, r.out, r.err)
		}
	}
}
