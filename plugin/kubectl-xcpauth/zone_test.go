package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/golang-jwt/jwt/v5"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// with runs the plugin with something on stdin, and without a kubeconfig: no cluster is needed.
func with(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	var out, errOut printed
	code := run(append([]string{"--kubeconfig", filepath.Join(t.TempDir(), "none")}, args...),
		genericiooptions.IOStreams{In: strings.NewReader(stdin), Out: &out, ErrOut: &errOut}, nil)
	return result{out.String(), errOut.String(), code}
}

// signingKey has the plugin make a key and returns its file, and the key.
func signingKey(t *testing.T, more ...string) (string, *rsa.PrivateKey) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key.pem")
	if r := with(t, "", append([]string{"key", "create", "--out", path}, more...)...); r.code != 0 {
		t.Fatal(r.err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return path, key
}

const zoneJTI = "0e120ec9-6b42-495d-9758-07b59fe86fb9"

// zoneToken signs claims of a zone token, with more behind or instead.
func zoneToken(t *testing.T, key *rsa.PrivateKey, claims jwt.MapClaims) string {
	t.Helper()
	now := time.Now()
	all := jwt.MapClaims{"Zone": "west", "Scope": []string{"cp"}, "exp": now.Add(time.Hour).Unix(),
		"iat": now.Add(-time.Minute).Unix(), "nbf": now.Add(-time.Minute).Unix(), "jti": zoneJTI}
	for name, v := range claims {
		if all[name] = v; v == nil {
			delete(all, name)
		}
	}
	tok := jwt.NewWithClaims(jwt.SigningMethodRS256, all)
	tok.Header["kid"] = "2"
	text, err := tok.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// What the product answers is printed beside what we say; the exit code is ours.
func TestZoneTokens(t *testing.T) {
	keyPath, key := signingKey(t)
	pkix, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public := file(t, 0o644, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pkix})))
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	good := zoneToken(t, key, nil)
	mine := file(t, 0o600, good)
	forever := file(t, 0o600, zoneToken(t, key, jwt.MapClaims{"exp": nil}))
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." +
		base64.RawURLEncoding.EncodeToString([]byte(`{"Zone":"west","TokenSerialNumber":1}`))
	mac := hmac.New(sha256.New, []byte("secret"))
	mac.Write([]byte(text))
	legacy := file(t, 0o600, text+"."+base64.RawURLEncoding.EncodeToString(mac.Sum(nil)))
	m := newMint(t)
	edge := file(t, 0o600, m.token(t, time.Hour))
	verify := func(path string, more ...string) []string {
		return append([]string{"token", "verify", path, "--key-file", keyPath}, more...)
	}
	for _, tc := range []struct {
		name string
		args []string
		code int
		out  []string // parts, with single spaces
		err  string
	}{
		{"inspected", []string{"token", "inspect", mine}, 0, []string{"unverified: ", "kind: zone token", "zone: west",
			"scope: cp", "jti: " + zoneJTI}, ""},
		{"a legacy one, inspected", []string{"token", "inspect", legacy}, 0,
			[]string{"kind: control plane token", "error: it is a Control Plane Token (TokenSerialNumber 1)",
				"kumactl generate zone-token --zone=west --scope=cp --valid-for=720h",
				"kumactl generate control-plane-token --zone=west --valid-for=720h", "[token-no-exp]"}, ""},
		{"valid", verify(mine), 0, []string{"valid: its signature is of file " + keyPath,
			"product: Kong Mesh of an unknown version accepts it", "rests on: no zone was named",
			"rests on: that the control plane has the key", "no list of revoked tokens was given"}, ""},
		{"valid by a public key", []string{"token", "verify", mine, "--key-file", public, "--kid", "2", "--zone", "west",
			"--version", "2.14.3"}, 0, []string{"product: Kong Mesh 2.14.3 accepts it",
			"rests on: the authenticator of Kong Mesh up to 2.14 is closed"}, ""},
		{"valid by a key that the product would not read", []string{"token", "verify", mine, "--key-file",
			file(t, 0o600, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})))}, 0,
			[]string{"valid: ", "would not do as a signing key of the product: it is PKCS#8", "[key-file]"}, ""},
		{"under another kid", verify(mine, "--kid", "1"), 5,
			[]string{"rejected: it was signed with key 2, which is none of the known ones",
				`its words: invalid zone token: there is no signing key with KID 2.`}, ""},
		{"another zone's", verify(mine, "--zone", "east"), 5, []string{`rejected: it is for zone "west" and not "east"`,
			"product: Kong Mesh of an unknown version rejects it (PermissionDenied)",
			`its words: token is signed for "west" zone, but connected CP advertised as "east"`, "[token-zone]"}, ""},
		{"one that the product takes for ever", verify(forever), 5, []string{"rejected: it has no exp",
			"product: Kong Mesh of an unknown version accepts it", "[token-no-exp]"}, ""},
		{"revoked", verify(mine, "--revocations", file(t, 0o644, zoneJTI+"\n")), 5,
			[]string{"rejected: it is revoked", "its words: invalid zone token: token is revoked"}, ""},
		{"meant to be revoked", verify(mine, "--revocations", file(t, 0o644, "x, "+zoneJTI)), 5,
			[]string{"rejected: it was evidently meant to be revoked", "unknown version accepts it", "[token-revoked-in-vain]",
				"[revocations-spaces]"}, ""},
		{"a version with bugs", verify(mine, "--version", "2.13.5"), 0, []string{"[version-kid-panic]",
			"[version-scope-check]"}, ""},
		{"a product that authenticates no zone", verify(mine, "--product", "kuma", "--version", "2.13.5"), 0,
			[]string{"[version-no-zone-authentication]", "rests on: Kuma 2.13.5 asks no zone for a token"}, ""},
		{"a legacy one, on a version that takes it", verify(legacy, "--version", "1.4.1"), 5,
			[]string{"product: Kong Mesh 1.4.1 was not asked", "kumactl generate control-plane-token --zone=west"}, ""},

		{"without a key", []string{"token", "verify", mine}, 1, nil,
			"error: this is a zone token of Kong Mesh or Kuma; pass the control plane's signing key, or its public half, with --key-file"},
		{"with an audience", verify(mine, "--audience", "x"), 1, nil, "error: --audience is not for zone tokens"},
		{"an edge's token, by a zone's flags", []string{"token", "verify", edge, "--key-file", file(t, 0o644, m.public),
			"--zone", "west"}, 1, nil, "holds a key that is not RSA, and zone tokens are RS256"},
		{"no token at all", []string{"token", "verify", file(t, 0o600, "hello"), "--key-file", public, "--zone", "west"}, 5,
			[]string{"rejected: it is not a JWT"}, ""},
		{"a private key that others can read", []string{"token", "verify", mine, "--key-file",
			file(t, 0o644, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})))}, 1, nil,
			"which holds a private key, and with it make tokens; run: chmod 600"},
		{"a key that is base64 of it", []string{"token", "verify", mine, "--key-file",
			file(t, 0o600, base64.StdEncoding.EncodeToString([]byte("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n")))}, 1, nil, "it is base64 of the key and not the key"},
		{"an unknown product", verify(mine, "--product", "istio"), 1, nil, `error: the product "istio" is not known`},
		{"an unknown version", verify(mine, "--version", "latest"), 1, nil,
			`error: the version "latest" is not one of a control plane`},
		{"a list that is not there", verify(mine, "--revocations", "nowhere"), 1, nil,
			"error: reading the list of --revocations: open nowhere"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := with(t, "", tc.args...)
			squeezed := strings.Join(strings.Fields(r.out), " ")
			if r.code != tc.code || !strings.Contains(r.err, tc.err) || tc.err == "" && r.err != "" {
				t.Errorf("exit code %d, want %d; stderr %q, want %q\n%s", r.code, tc.code, r.err, tc.err, r.out)
			}
			for _, part := range tc.out {
				if !strings.Contains(squeezed, part) {
					t.Errorf("%q is not said:\n%s", part, r.out)
				}
			}
			for _, secret := range append(strings.Split(good, ".")[1:], "PRIVATE KEY-----") {
				if strings.Contains(r.out+r.err, secret) {
					t.Errorf("%.12s... is printed:\n%s%s", secret, r.out, r.err)
				}
			}
		})
	}
}

// Whatever is in one format is in the others.
func TestAZoneTokenInEveryFormat(t *testing.T) {
	keyPath, key := signingKey(t)
	args := []string{"token", "verify", file(t, 0o600, zoneToken(t, key, nil)), "--key-file", keyPath, "--zone", "east",
		"--version", "2.13.5"}
	table := with(t, "", args...)
	squeezed := strings.Join(strings.Fields(table.out), " ")
	for _, format := range []string{"json", "yaml"} {
		r := with(t, "", append(args, "-o", format)...)
		var report map[string]any
		if err := yaml.Unmarshal([]byte(r.out), &report); err != nil || r.code != table.code {
			t.Fatalf("exit code %d: %v\n%s", r.code, err, r.out)
		}
		n := 0
		var look func(path string, v any)
		look = func(path string, v any) {
			switch v := v.(type) {
			case map[string]any:
				for name, inner := range v {
					look(path+"."+name, inner)
				}
			case []any:
				for _, inner := range v {
					look(path, inner)
				}
			default:
				n++
				if !regexp.MustCompile(`^\.(apiVersion|kind|at|left|lifetime)$`).MatchString(path) &&
					path != ".zoneToken.product.outcome" && !strings.Contains(squeezed,
					strings.TrimSuffix(strings.Join(strings.Fields(fmt.Sprint(v)), " "), ".")) { // which ends a command
					t.Errorf("%s: %s %v is not in the table:\n%s", format, path, v, table.out)
				}
			}
		}
		look("", report)
		if n < 25 {
			t.Errorf("%s: only %d facts", format, n)
		}
	}
}

// Every command about zone tokens that help or a page shows, one after the other; what each prints is kept.
func TestTheCommandsOfZoneTokensRunAsShown(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := os.WriteFile("revoked.txt",
		[]byte("af18923a-34ab-4a3a-8e0b-7a5d0b0f3d01, 5b9f2c77-0c4e-4d0e-9b1c-2f6f4d2a9c10\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, c := range []struct {
		args string
		code int
	}{
		{"key create --out key-2.pem --serial 2 --manifest key-2.yaml", 0},
		{"token issue --zone west --valid-for 720h --key-file key-2.pem --kid 2 --out west.jwt", 0},
		{"token inspect west.jwt", 0},
		{"token revocations revoked.txt", 5},
		{"token revocations revoked.txt --add 0e120ec9-6b42-495d-9758-07b59fe86fb9 --out revoked.txt", 0},
		{"token revocations revoked.txt", 0},
		{"token verify west.jwt --key-file key-2.pem --kid 2 --zone west --revocations revoked.txt --version 2.13.5", 0},
		{"token verify west.jwt --key-file key-2.pem --kid 2 --zone east --product kuma --version 3.0.0", 5},
		{"token issue --help", 0},
	} {
		r := with(t, "", fields(c.args)...)
		if r.code != c.code || r.err != "" {
			t.Errorf("%s: exit code %d, want %d\n%s%s", c.args, r.code, c.code, r.out, r.err)
		}
		if strings.HasSuffix(c.args, "--help") { // much of it is of all commands
			continue
		}
		fmt.Fprintf(&all, "$ kubectl xcpauth %s\n%s\n", c.args, r.out)
	}
	t.Chdir(here)
	golden(t, "zone-tokens", steady(all.String()))
}

// steady takes out of reports what is different each time.
func steady(out string) string {
	for _, r := range [][2]string{{`20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ`, "TIME"}, {`sha256:[0-9a-f]{8}`, "sha256:DIGEST"},
		{`(?m)^jti:( +)[0-9a-f-]{36}`, "jti:${1}JTI"}, {`(?m)^left:( +)[0-9a-z]+`, "left:${1}LEFT"}} {
		out = regexp.MustCompile(r[0]).ReplaceAllString(out, r[1])
	}
	return out
}

// A token that is issued is valid, lies in a file of one's own, and is nowhere else.
func TestATokenIsIssuedIntoAFile(t *testing.T) {
	keyPath, _ := signingKey(t)
	out := filepath.Join(t.TempDir(), "west.jwt")
	issue := []string{"token", "issue", "--zone", "west", "--valid-for", "720h", "--key-file", keyPath, "--kid", "2"}
	r := with(t, "", append(issue, "--out", out)...)
	raw, err := os.ReadFile(out)
	if err != nil || r.code != 0 || bytes.ContainsAny(raw, " \n") || strings.Count(string(raw), ".") != 2 {
		t.Fatalf("exit code %d, %v: %q\n%s", r.code, err, r.err, r.out)
	}
	if st, err := os.Stat(out); err != nil || runtime.GOOS != "windows" && st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	for _, said := range []string{"zone: west", "kid: 2", "lifetime: 30d",
		"it was signed here, not by the product: it is not in the product's audit log"} {
		if !strings.Contains(strings.Join(strings.Fields(r.out), " "), said) {
			t.Errorf("%q is not said:\n%s", said, r.out)
		}
	}
	if strings.Contains(r.out+r.err, strings.Split(string(raw), ".")[2]) {
		t.Error("the token is printed")
	}
	if v := with(t, "", "token", "verify", out, "--key-file", keyPath, "--kid", "2", "--zone", "west", "--version",
		"2.14.3"); v.code != 0 || strings.Contains(v.out, "warning:") {
		t.Errorf("what was issued is not valid:\n%s%s", v.out, v.err)
	}
	var report struct{ JTI, File, Expires string }
	if r := with(t, "", append(issue, "--out", out+"2", "-o", "json")...); json.Unmarshal([]byte(r.out), &report) != nil ||
		report.File != out+"2" || len(report.JTI) != 36 {
		t.Errorf("%s", r.out)
	}
	again := with(t, "", append(issue, "--out", out)...)
	if kept, err := os.ReadFile(out); err != nil || again.code != 1 || !bytes.Equal(kept, raw) ||
		!strings.Contains(again.err, "is there already, and is not overwritten; name another file with --out") {
		t.Errorf("exit code %d, %q, %v", again.code, again.err, err)
	}
	piped := with(t, "", append(issue, "--out", "-")...)
	if piped.code != 0 || strings.Count(piped.out, ".") != 2 || strings.ContainsAny(piped.out, " \n") ||
		!strings.Contains(piped.err, "it was signed here") {
		t.Errorf("exit code %d, %q, %s", piped.code, piped.out, piped.err)
	}
}

// Nothing is shown on a terminal, which keeps what it shows.
func TestNoTokenIsShownOnATerminal(t *testing.T) {
	keyPath, _ := signingKey(t)
	master, terminal, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	var errOut printed
	code := run([]string{"token", "issue", "--zone", "west", "--valid-for", "1h", "--key-file", keyPath, "--kid", "1",
		"--out", "-"}, genericiooptions.IOStreams{In: strings.NewReader(""), Out: terminal, ErrOut: &errOut}, nil)
	if code != exitRefused || !strings.HasPrefix(errOut.String(), "error: stdout is a terminal") {
		t.Errorf("exit code %d, %s", code, errOut.String())
	}
	if _, err := terminal.WriteString("end\n"); err != nil {
		t.Fatal(err)
	}
	shown := make([]byte, 64)
	if n, err := master.Read(shown); err != nil || !strings.HasPrefix(string(shown[:n]), "end") {
		t.Errorf("%q is shown, %v", shown[:n], err)
	}
	terminal.Close()
}

func TestWhatIsNotIssuedOrCreated(t *testing.T) {
	keyPath, key := signingKey(t)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(keyPath)
	if err != nil {
		t.Fatal(err)
	}
	open, modern := file(t, 0o640, string(text)), file(t, 0o600, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY",
		Bytes: pkcs8})))
	for _, tc := range []struct {
		name, args, says string
	}{
		{"no zone", "token issue --valid-for 1h --kid 1 --out OUT --key-file " + keyPath, "error: a token needs a ZONE"},
		{"no kid", "token issue --zone west --valid-for 1h --out OUT --key-file " + keyPath, "error: a token needs --kid"},
		{"nowhere to put it", "token issue --zone west --valid-for 1h --kid 1 --key-file " + keyPath,
			"error: a token needs --out or --in-cluster"},
		{"two places to put it", "token issue --zone west --valid-for 1h --out OUT --in-cluster",
			"error: --out and --in-cluster both say where the token goes"},
		{"a key from a file, in a cluster", "token issue --zone west --valid-for 1h --kid 1 --in-cluster --key-file " +
			keyPath, "error: --key-file touches no cluster"},
		{"a kid without its key", "token issue --zone west --valid-for 1h --kid 1 --out OUT",
			"error: --kid goes with --key-file"},
		{"two ways to make it", "token issue --zone west --valid-for 1h --kid 1 --out OUT --api-token " + keyPath +
			" --key-file " + keyPath, "error: --key-file and --api-token both say how"},
		{"a source that is none", "token issue --zone west --valid-for 1h --out OUT --tokens-from file",
			`error: --tokens-from is "file"; pass api or key`},
		{"no time", "token issue --zone west --kid 1 --out OUT --key-file " + keyPath,
			"error: --valid-for is 0s; it must be more than 0"},
		{"less than no time", "token issue --zone west --kid 1 --valid-for -1h --out OUT --key-file " + keyPath,
			"error: --valid-for is -1h0m0s; it must be more than 0"},
		{"a padded kid", "token issue --zone west --kid 0002 --valid-for 1h --out OUT --key-file " + keyPath,
			"error: issuing a token for zone west: kid 0002 is padded"},
		{"a key that others can read", "token issue --zone west --kid 1 --valid-for 1h --out OUT --key-file " + open,
			"error: others can read " + open},
		{"a key in PKCS#8", "token issue --zone west --kid 1 --valid-for 1h --out OUT --key-file " + modern,
			"error: the key in file " + modern + ": it is PKCS#8"},
		{"an unknown format", "token issue --zone west --kid 1 --valid-for 1h --out OUT -o xml --key-file " + keyPath,
			`error: output format "xml" is not known`},
		{"a key for nobody", "key create", "error: a key needs a file"},
		{"a secret without a serial", "key create --manifest OUT", "error: the Secret of a key needs --serial"},
		{"a secret of serial 0", "key create --manifest OUT --serial 0", "error: the Secret of a key needs --serial"},
		{"a secret in no namespace", "key create --manifest OUT --serial 1 --namespace=", "error: --namespace is empty"},
		{"a key over another", "key create --out " + keyPath, "is there already, and is not overwritten"},
		{"a secret over another file", "key create --out OUT --serial 1 --manifest " + keyPath,
			"is there already, and is not overwritten; name another file with --manifest"},
		{"a list written and nothing added", "token revocations " + keyPath + " --out OUT", "error: --out goes with --add"},
		{"a list that is not there", "token revocations nowhere", "error: reading the list of revoked tokens: open nowhere"},
		{"an ID that is none", "token revocations - --add= --out OUT", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			r := with(t, "a,b", fields(strings.ReplaceAll(tc.args, "OUT", out))...)
			if tc.says != "" && (r.code != 1 || !strings.Contains(r.err, tc.says)) || r.code == 0 {
				t.Errorf("exit code %d, %q, want %q", r.code, r.err, tc.says)
			}
			if _, err := os.Stat(out); err == nil {
				t.Error("something was written")
			}
			if strings.Contains(r.out+r.err, "PRIVATE KEY-----") {
				t.Errorf("the key is printed: %s%s", r.out, r.err)
			}
		})
	}
}

// A key is made in the one form that the product reads, and its Secret is what the product looks for.
func TestAKeyIsCreated(t *testing.T) {
	manifest := filepath.Join(t.TempDir(), "key.yaml")
	path, key := signingKey(t, "--serial", "2", "--manifest", manifest)
	text, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	var secret struct {
		Kind, Type string
		Metadata   struct{ Namespace, Name string }
		Data       map[string][]byte
	}
	if err := yaml.Unmarshal(text, &secret); err != nil {
		t.Fatal(err)
	}
	value, err := os.ReadFile(path)
	if err != nil || key.N.BitLen() != 2048 || secret.Kind != "Secret" || secret.Type != "system.kuma.io/global-secret" ||
		secret.Metadata.Name != "zone-token-signing-key-2" ||
		secret.Metadata.Namespace != "kong-mesh-system" || len(secret.Data) != 1 ||
		!bytes.Equal(secret.Data["value"], value) || !bytes.HasPrefix(value, []byte("-----BEGIN RSA PRIVATE KEY-----\n")) {
		t.Errorf("%v: %s", err, regexp.MustCompile(`value: .*`).ReplaceAllString(string(text), "value: ..."))
	}
	for _, f := range []string{path, manifest} {
		if st, err := os.Stat(f); err != nil || runtime.GOOS != "windows" && st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f, st.Mode(), err)
		}
	}
	dir := t.TempDir()
	r := with(t, "", "key", "create", "--out", filepath.Join(dir, "k"), "--manifest", filepath.Join(dir, "m"), "--serial",
		"3", "--namespace", "kuma-system")
	if r.code != 0 || strings.Contains(r.out+r.err, "PRIVATE") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
}

// Revoking twice revokes both, whatever the list looked like; a list that does not do what was meant is said, by the
// exit code too.
func TestTheListOfRevokedTokens(t *testing.T) {
	const second = "af18923a-34ab-4a3a-8e0b-7a5d0b0f3d01"
	list := file(t, 0o644, "x, "+zoneJTI+"\r\n")
	r := with(t, "", "token", "revocations", list)
	if r.code != exitRefused {
		t.Errorf("exit code %d", r.code)
	}
	for _, id := range []string{second, second, "third"} {
		if r := with(t, "", "token", "revocations", list, "--add", id, "--out", list); r.code != 0 {
			t.Fatalf("exit code %d, %s", r.code, r.err)
		}
	}
	if text, err := os.ReadFile(list); err != nil || string(text) != "x,"+zoneJTI+","+second+",third" {
		t.Errorf("%q, %v", text, err)
	}
	if r := with(t, "", "token", "revocations", list); r.code != 0 {
		t.Errorf("exit code %d\n%s", r.code, r.out)
	}
	var report struct {
		List, Written        string
		Added, Meant         []string
		Revoked, Ineffective []string
	}
	r = with(t, "a\nb", "token", "revocations", "-", "--add", "c", "-o", "json")
	if json.Unmarshal([]byte(r.out), &report) != nil || r.code != 0 || report.List != "a,b,c" || report.Written != "" ||
		!slices.Equal(report.Added, []string{"c"}) || !slices.Equal(report.Meant, []string{"a", "b"}) ||
		!slices.Equal(report.Ineffective, []string{"a", "b"}) {
		t.Errorf("%s%s", r.out, r.err)
	}
	path, key := signingKey(t)
	token := zoneToken(t, key, nil)
	for _, args := range [][]string{{path}, {file(t, 0o600, token)}, {"-"}, {token}, {list, "--add", token}} {
		r := with(t, token+"\n", append([]string{"token", "revocations"}, args...)...)
		if r.code != 1 || !strings.HasPrefix(r.err, "error: ") || strings.Contains(r.out+r.err, "BEGIN") ||
			strings.Contains(r.out+r.err, strings.Split(token, ".")[2]) {
			t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
		}
	}
	if r := with(t, "a", "token", "revocations", "-", "--add", "b c"); r.code != 1 ||
		!strings.Contains(r.err, `revoking "b c"`) {
		t.Errorf("exit code %d, %s", r.code, r.err)
	}
}

// The products complete, and nothing else is offered where it does not belong.
func TestZoneFlagsComplete(t *testing.T) {
	if r := with(t, "", "__complete", "token", "verify", "--product", ""); !strings.HasPrefix(r.out,
		"kong-mesh\nkuma\n:4") {
		t.Errorf("%q", r.out)
	}
}

// --out - is stdout, and the report goes to stderr; where it is not stdout it is refused. No verb writes a file
// called -.
func TestADashForAFileIsStdoutOrRefused(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, format := range []string{"table", "json"} {
		r := with(t, "a, b", "token", "revocations", "-", "--add", "c", "--out", "-", "-o", format)
		if r.code != 0 || r.out != "a,b,c" || !strings.Contains(r.err, "stdout") {
			t.Errorf("%s: exit code %d, %q\n%s", format, r.code, r.out, r.err)
		}
	}
	for _, args := range [][]string{{"--out", "-"}, {"--manifest", "-", "--serial", "3", "--namespace", "kuma-system"}} {
		r := with(t, "", append([]string{"key", "create"}, args...)...)
		if r.code != 1 || r.out != "" || !strings.Contains(r.err, args[0]+" - would be a file called -") {
			t.Errorf("%v: exit code %d\n%s%s", args, r.code, r.out, r.err)
		}
	}
	if err := writeSaved("-", plan.Saved{}); err == nil || !strings.Contains(err.Error(),
		"--out - would be a file called -") {
		t.Error(err)
	}
	if left, err := os.ReadDir("."); err != nil || len(left) > 0 {
		t.Errorf("%v is written, %v", left, err)
	}
}

// What is printed above the findings agrees with them: no error stands below "valid".
func TestNoErrorStandsBelowAValidToken(t *testing.T) {
	keyPath, key := signingKey(t)
	mine := file(t, 0o600, zoneToken(t, key, nil))
	for name, tc := range map[string]struct {
		flags []string
		code  int
		says  string
	}{
		"a version with bugs":            {[]string{"--version", "2.13.5"}, 0, "warning: "},
		"a list with another ID in vain": {[]string{"--revocations", file(t, 0o644, "a, b")}, 0, "warning: "},
		"a list that cannot be read": {[]string{"--revocations", file(t, 0o644, "\xff\xfea\x00")}, 5,
			"rejected: whether it was revoked cannot be told"},
		"an old algorithm of the product":     {[]string{"--version", "3.0.0"}, 0, "valid: "},
		"a list in which it stands in vain":   {[]string{"--revocations", file(t, 0o644, "a, "+zoneJTI)}, 5, "rejected: "},
		"a list with an ID for no jti at all": {[]string{"--revocations", file(t, 0o644, "a,,b")}, 0, "valid: "},
	} {
		r := with(t, "", append([]string{"token", "verify", mine, "--key-file", keyPath}, tc.flags...)...)
		squeezed := strings.Join(strings.Fields(r.out), " ")
		if r.code != tc.code || !strings.Contains(squeezed, tc.says) {
			t.Errorf("%s: exit code %d, want %d, %q\n%s%s", name, r.code, tc.code, tc.says, r.out, r.err)
		}
		if strings.HasPrefix(r.out, "valid: ") && strings.Contains(r.out, "\nerror: ") {
			t.Errorf("%s: it is valid, with an error:\n%s", name, r.out)
		}
	}
}

// A key that signs no zone token is ignored beside one that does.
func TestAKeyThatIsNotRSAIsIgnoredBesideOneThatIs(t *testing.T) {
	_, key := signingKey(t)
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	ours := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))
	mine := file(t, 0o600, zoneToken(t, key, nil))
	for _, keys := range []string{ours + newMint(t).public, newMint(t).public + ours} {
		if r := with(t, "", "token", "verify", mine, "--key-file", file(t, 0o644, keys)); r.code != 0 {
			t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
		}
	}
}
