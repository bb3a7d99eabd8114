package mesh

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/test/kumasim"
	"github.com/xcpauth/kubectl-xcpauth/test/kumasim/fleet"
)

// Zones get their tokens from the global's own API, which says no to who may not, and then nothing is changed; with
// the signing key only where that is asked for.
func TestTokensComeFromTheGlobalsAPI(t *testing.T) {
	if leftOut(t, "the stand-in has users with tokens of their own, and an audit of what was issued") {
		return
	}
	users := map[string]kumasim.User{
		"bobs-own-user-token":     {Name: "bob", Groups: []string{"team"}},
		"carols-own-user-token-x": {Name: "carol", Groups: kumasim.Admin.Groups},
	}
	m := start(t, func(o *fleet.Options) { o.Users, o.Version = users, "2.14.5" })
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		m.Secrets.Add(name, "token", []byte(text))
		return path
	}
	bob, carol := file("bob", "bobs-own-user-token"), file("carol", "carols-own-user-token-x\n")

	r := m.run(4, "migrate", "--to=edges", "--api-token", bob)
	if !strings.Contains(r.Stderr, "403: Access Denied: user \"bob/team\" cannot access generate zone token for zone 'east'); who asked may not issue tokens") {
		t.Errorf("bob may not:\n%s%s", r.Stdout, r.Stderr)
	}
	r = m.run(4, "migrate", "--to=edges", "--api-token", file("mallory", "nobodys-user-token"))
	if !strings.Contains(r.Stderr, "401: Invalid authentication data: Unauthenticated); the token with which it was asked is not known to it") {
		t.Errorf("nobody is known by that:\n%s%s", r.Stdout, r.Stderr)
	}
	if all := m.Issued(); len(all) > 0 || len(m.secretNames("east", "xcpauth-")) > 0 {
		t.Errorf("issued were %+v, to who may not", all)
	}
	m.withTokens(false)

	m.run(0, "migrate", "--api-token", carol)
	m.withTokens(true)
	var of []string
	for _, i := range m.Issued() {
		if of = append(of, i.Zone); i.By != "carol" || i.ValidFor != "720h0m0s" || !slices.Equal(i.Scope, []string{"cp"}) {
			t.Errorf("issued was %+v", i)
		}
	}
	if slices.Sort(of); !slices.Equal(of, zones) {
		t.Errorf("tokens were issued for %v", of)
	}

	// One for whoever has no context: into a file, as a manifest, straight into the cluster; over TLS where the API is
	// not served in clear.
	out := filepath.Join(dir, "south.jwt")
	r = m.Xcpauth(0, "token", "issue", "--zone", "south", "--valid-for", "1h", "--out", out)
	if !strings.Contains(r.Stderr, "the global does not know a zone south yet") {
		t.Errorf("%s%s", r.Stdout, r.Stderr)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	m.Secrets.Add("south", "token", text)
	if err := m.Verdict("south", string(text)); err != nil {
		t.Errorf("the global refuses it: %v", err)
	}
	if st, err := os.Stat(out); err != nil || runtime.GOOS != "windows" && st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	m.kubectl("--context", "global", "-n", namespace, "set", "env", deployment, "KUMA_API_SERVER_HTTP_ENABLED=false")
	m.kubectl("--context", "global", "-n", namespace, "rollout", "status", deployment, "--timeout="+limit.String())
	m.withTokens(true)
	m.Xcpauth(0, "token", "issue", "--zone", "west", "--valid-for", "720h", "--in-cluster", "--secret", "cp-token")
	if made := m.secretNames("west", "cp-token"); len(made) != 1 {
		t.Errorf("secrets are %v", made)
	}
	again := m.Xcpauth(1, "token", "issue", "--zone", "west", "--valid-for", "720h", "--in-cluster",
		"--secret", "cp-token")
	if !strings.Contains(again.Stderr, "is in west already, and is left as it is") {
		t.Errorf("%s", again.Stderr)
	}
	manifest := filepath.Join(dir, "west.yaml")
	m.Xcpauth(0, "token", "issue", "--zone", "west", "--valid-for", "1h", "--secret", "another", "--out", manifest)
	m.kubectl("--context", "west", "create", "-f", manifest)
	if made := m.secretNames("west", "another"); len(made) != 1 {
		t.Errorf("secrets are %v", made)
	}
	asked := len(m.Issued())
	if asked != 7 || m.Issued()[asked-1].By != kumasim.Admin.Name {
		t.Errorf("issued were %+v", m.Issued())
	}

	// Where the global issues none, a plan says so and what to do, and who signs with the key asks nobody.
	m.kubectl("--context", "global", "-n", namespace, "set", "env", deployment, "KUMA_API_SERVER_HTTP_ENABLED-",
		"KMESH_MULTIZONE_GLOBAL_KDS_AUTH_CP_TOKEN_ENABLE_ISSUER=false")
	m.kubectl("--context", "global", "-n", namespace, "rollout", "status", deployment, "--timeout="+limit.String())
	if r := m.Xcpauth(5, "token", "issue", "--zone", "west", "--valid-for", "1h", "--out",
		out+"2"); !strings.Contains(r.Stderr, "the global issues no tokens (KMESH_MULTIZONE_GLOBAL_KDS_AUTH_CP_TOKEN_ENABLE_ISSUER is false); pass --tokens-from=key") {
		t.Errorf("%s", r.Stderr)
	}
	r = m.Xcpauth(4, "key", "rotate", "--dry-run")
	if !strings.Contains(strings.Join(strings.Fields(r.Stdout), " "),
		"ENABLE_ISSUER is false); have the key itself sign its token: --tokens-from=key") {
		t.Errorf("%s", r.Stdout)
	}
	m.Xcpauth(0, "token", "issue", "--zone", "west", "--valid-for", "1h", "--tokens-from=key", "--out", out+"2")
	if text, err = os.ReadFile(out + "2"); err != nil || m.Verdict("west", string(text)) != nil {
		t.Errorf("%v, %v", err, m.Verdict("west", string(text)))
	}
	m.Secrets.Add("west", "token", text)
	m.run(0, "key", "rotate", "--tokens-from=key")
	m.withTokens(true)
	if len(m.Issued()) != asked {
		t.Errorf("the API issued %+v, and was not to be asked", m.Issued()[asked:])
	}
}
