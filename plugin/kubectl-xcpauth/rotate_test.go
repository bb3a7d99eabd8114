package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// meshObjects is a global with two keys, which authenticates its zones; west has a token of key 1, east one of key 2,
// north none.
func meshObjects(t *testing.T) (map[string][]apifake.Object, []string) {
	t.Helper()
	const inline = "KMESH_MULTIZONE_ZONE_KDS_AUTH_CP_TOKEN_INLINE"
	var global []apifake.Object
	var secrets []string
	tokens := map[string]string{}
	for kid, zone := range map[string]string{"1": "west", "2": "east"} {
		path, key := signingKey(t)
		pem, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		id := map[string]string{"1": "11111111-1111-4111-8111-111111111111", "2": "22222222-2222-4222-8222-222222222222"}[kid]
		token, _, err := zonetoken.Issue(zonetoken.Grant{Zone: zone, ValidFor: 90 * 24 * time.Hour, ID: id, KeyID: kid},
			key, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		tokens[zone] = string(token.Reveal())
		secrets = append(secrets, tokens[zone], string(pem))
		global = append(global, apifake.GlobalSecret(zonetoken.KeyName(kid), string(pem)))
	}
	global = append(global, apifake.GlobalSecret(zonetoken.RevocationsName, "33333333-3333-4333-8333-333333333333"))
	global = append(global, apifake.Global("2.13.10", map[string]bool{"west": true, "east": true, "north": false})...)
	clusters := map[string][]apifake.Object{"global": global, "north": apifake.Zone("2.13.10", "north")}
	for _, zone := range []string{"west", "east"} {
		clusters[zone] = append(apifake.Zone("2.13.10", zone, apifake.SecretVariable(inline, "cp-token", "token")),
			apifake.TokenSecret("cp-token", tokens[zone]))
	}
	return clusters, secrets
}

// meshFleet serves them.
func meshFleet(t *testing.T) (kubeconfig string, secrets []string) {
	t.Helper()
	clusters, secrets := meshObjects(t)
	servers := map[string]*apifake.Server{}
	for name, objects := range clusters {
		servers[name] = apifake.Start(objects...)
	}
	return serve(t, servers, nil), secrets
}

func TestKeysAndTokensOfAMeshAreListed(t *testing.T) {
	kubeconfig, secrets := meshFleet(t)
	var printed []string
	show := func(args ...string) result {
		r := xcpauth(t, kubeconfig, args...)
		printed = append(printed, r.out, r.err)
		return r
	}
	var keys struct {
		Keys []struct {
			KeyID  string   `json:"kid"`
			Signs  bool     `json:"signs"`
			UsedBy []string `json:"usedBy"`
		} `json:"keys"`
	}
	r := show("key", "list", "-o", "json")
	if err := json.Unmarshal([]byte(r.out), &keys); err != nil || r.code != 0 || len(keys.Keys) != 2 {
		t.Fatalf("%d, %v: %s%s", r.code, err, r.out, r.err)
	}
	for i, want := range []string{"west", "east"} {
		if k := keys.Keys[i]; k.Signs != (i == 1) || strings.Join(k.UsedBy, ",") != want {
			t.Errorf("key %s: %+v, want it used by %s", k.KeyID, k, want)
		}
	}
	var tokens struct {
		Tokens []struct {
			Member string `json:"member"`
			KeyID  string `json:"kid"`
			State  string `json:"state"`
		} `json:"tokens"`
		Revoked []string `json:"revoked"`
	}
	r = show("token", "list", "-o", "json")
	if err := json.Unmarshal([]byte(r.out), &tokens); err != nil || r.code != 0 || len(tokens.Tokens) != 3 ||
		len(tokens.Revoked) != 1 {
		t.Fatalf("%d, %v: %s%s", r.code, err, r.out, r.err)
	}
	for i, want := range []string{"east 2 accepted", "north  none", "west 1 accepted"} {
		if x := tokens.Tokens[i]; x.Member+" "+x.KeyID+" "+x.State != want {
			t.Errorf("%+v, want %s", x, want)
		}
	}
	if r := show("key", "list"); r.code != 0 || !strings.Contains(r.out, "USED BY") {
		t.Errorf("%d: %s%s", r.code, r.out, r.err)
	}
	if r := show("token", "list"); r.code != 0 || !strings.Contains(r.out, "11111111...") {
		t.Errorf("%d: %s%s", r.code, r.out, r.err)
	}
	if r := show("token", "list", "-o", "wide"); r.code != 0 || !strings.Contains(r.out,
		"11111111-1111-4111-8111-111111111111") {
		t.Errorf("%d: %s%s", r.code, r.out, r.err)
	}
	for _, text := range printed {
		for _, s := range secrets {
			if strings.Contains(text, s) || strings.Contains(text, strings.Split(s, ".")[0]) {
				t.Errorf("a secret is in %s", text)
			}
		}
	}
}

func TestWhatARotationAndARevocationWouldDoIsShown(t *testing.T) {
	kubeconfig, secrets := meshFleet(t)
	for _, tc := range []struct {
		name string
		args []string
		code int
		says []string
		not  []string
	}{
		{"a rotation goes on with the newer key", []string{"key", "rotate", "--dry-run"}, 0,
			[]string{"west: present a token of key 2", "north: present a token of key 2", "hub: retire signing key 1",
				"hub: have every zone connect again"}, []string{"east: present", "add signing key"}},
		{"and can stop before the end", []string{"key", "rotate", "--keep-old", "--dry-run"}, 0,
			[]string{"west: present a token of key 2"}, []string{"retire"}},
		{"older keys are retired once nobody needs them", []string{"key", "retire", "--dry-run"}, 0,
			[]string{"west: present a token of key 2", "hub: retire signing key 1"}, nil},
		{"a zone gets another token before its own is revoked", []string{"token", "revoke", "--zone", "west", "--dry-run"}, 0,
			[]string{"west: present a token of key 2", "hub: revoke 11111111-1111-4111-8111-111111111111"},
			[]string{"north: present", "connect again"}},
		{"or is cut off when that is said", []string{"token", "revoke", "--zone", "west", "--cut-off", "--dry-run"}, 0,
			[]string{"hub: revoke 11111111-1111-4111-8111-111111111111"}, []string{"west: present"}},
		{"a token that nobody presents", []string{"token", "revoke", "0e120ec9-6b42-495d-9758-07b59fe86fb9", "--reconnect",
			"--dry-run"}, 0, []string{"hub: revoke 0e120ec9-6b42-495d-9758-07b59fe86fb9", "hub: have every zone connect again"},
			[]string{"present a token"}},
		{"one that is revoked already", []string{"token", "revoke", "33333333-3333-4333-8333-333333333333", "--dry-run"}, 0,
			nil, []string{"hub: revoke"}},
		{"a zone without a token", []string{"token", "revoke", "--zone", "north", "--dry-run"}, 5,
			[]string{"zone north has no token with an ID"}, nil},
		{"a zone that is not there", []string{"token", "revoke", "--zone", "south", "--dry-run"}, 1,
			[]string{`no zone is called "south"`}, nil},
		{"nothing of what is revoked is known to have expired", []string{"token", "revoke", "--prune-expired", "--dry-run"},
			0, []string{"1 ID stays on the list"}, []string{"hub: take"}},
		{"to prune and to revoke", []string{"token", "revoke", "--zone", "west", "--prune-expired"}, 1,
			[]string{"--prune-expired revokes nothing"}, nil},
		{"a file with nothing to prune", []string{"token", "revoke", "--zone", "west", "--revoked-token", "x"}, 1,
			[]string{"--revoked-token goes with --prune-expired"}, nil},
		{"nothing", []string{"token", "revoke"}, 1, []string{"name what to revoke"}, nil},
		{"an ID that would not be read back", []string{"token", "revoke", "a,b"}, 1, []string{"an ID with a comma"}, nil},
		{"a token in place of its ID", []string{"token", "revoke", secrets[0]}, 1, []string{"that is a token itself"}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := xcpauth(t, kubeconfig, tc.args...)
			if r.code != tc.code {
				t.Errorf("exit code %d, want %d", r.code, tc.code)
			}
			said := strings.Join(strings.Fields(r.out+r.err), " ")
			for _, want := range tc.says {
				if !strings.Contains(said, want) {
					t.Errorf("it does not say %q: %s", want, r.out+r.err)
				}
			}
			for _, not := range tc.not {
				if strings.Contains(said, not) {
					t.Errorf("it says %q: %s", not, r.out+r.err)
				}
			}
			for _, s := range secrets {
				if strings.Contains(said, s) {
					t.Error("a secret is printed")
				}
			}
		})
	}
}

// A token in a file tells when it expired, and is printed nowhere.
func TestWhatHasExpiredIsTakenOffTheListOfRevokedTokens(t *testing.T) {
	path, key := signingKey(t)
	pem, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const gone, other = "11111111-1111-4111-8111-111111111111", "33333333-3333-4333-8333-333333333333"
	token, _, err := zonetoken.Issue(zonetoken.Grant{Zone: "west", ValidFor: time.Hour, ID: gone, KeyID: "1"}, key,
		time.Now().Add(-24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	mine, others := file(t, 0o600, string(token.Reveal())+"\n"), file(t, 0o644, string(token.Reveal()))
	global := apifake.Start(append([]apifake.Object{apifake.GlobalSecret(zonetoken.KeyName("1"), string(pem)),
		apifake.GlobalSecret(zonetoken.RevocationsName, gone+","+other)}, apifake.Global("2.13.10",
		map[string]bool{"west": false})...)...)
	kubeconfig := serve(t, map[string]*apifake.Server{"global": global, "west": apifake.Start(apifake.Zone("2.13.10",
		"west")...)}, nil)
	for _, tc := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"from a file", []string{"--revoked-token", mine, "--dry-run"}, 0, "hub: take 1 ID off the list of revoked tokens: " +
			gone},
		{"nothing that is known of", []string{"--dry-run"}, 0, "2 IDs stay on the list"},
		{"a file that others can read", []string{"--revoked-token", others, "--dry-run"}, 1, "--revoked-token"},
		{"nobody says yes", []string{"--revoked-token", mine}, 5, "there is no terminal to ask on"},
	} {
		r := xcpauth(t, kubeconfig, append([]string{"token", "revoke", "--prune-expired"}, tc.args...)...)
		if said := strings.Join(strings.Fields(r.out+r.err), " "); r.code != tc.code || !strings.Contains(said, tc.says) ||
			strings.Contains(said, "take 1 ID") && strings.Contains(said, "tokens: "+other) {
			t.Errorf("%s: exit code %d, want %d and %q\n%s%s", tc.name, r.code, tc.code, tc.says, r.out, r.err)
		}
		if strings.Contains(r.out+r.err, string(token.Reveal())) {
			t.Errorf("%s: the token is printed", tc.name)
		}
	}
}

// Without a terminal nothing is changed that was not said yes to.
func TestTheVerbsOfAMeshAskFirst(t *testing.T) {
	kubeconfig, _ := meshFleet(t)
	for _, args := range [][]string{{"key", "rotate"}, {"key", "rotate", "--keep-old"}, {"key", "retire"},
		{"token", "revoke", "--zone", "west"}} {
		if r := xcpauth(t, kubeconfig, args...); r.code != 5 || !strings.Contains(r.err, "there is no terminal to ask on") {
			t.Errorf("%v: %d, %s", args, r.code, r.err)
		}
	}
}

// A zone without a context counts by the token that it was given, and by a session that brought one.
func TestAZoneWithoutAContextCountsByItsToken(t *testing.T) {
	path, key := signingKey(t)
	pem, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file := func(zone string, mode os.FileMode) string {
		// before the session of apifake.Global
		token, _, err := zonetoken.Issue(zonetoken.Grant{Zone: zone, ValidFor: 20 * 365 * 24 * time.Hour,
			ID: "11111111-1111-4111-8111-111111111111", KeyID: "1"}, key, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(t.TempDir(), zone)
		if err := os.WriteFile(name, append(token.Reveal(), '\n'), mode); err != nil {
			t.Fatal(err)
		}
		return name
	}
	kubeconfig := serve(t, map[string]*apifake.Server{"global": apifake.Start(append([]apifake.Object{apifake.GlobalSecret(zonetoken.KeyName("1"), string(pem))}, apifake.Global("2.13.10", map[string]bool{"vm": true})...)...)}, nil)
	for _, tc := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"nothing was provided", nil, 4, "pass that with --zone-token vm=FILE"},
		{"its token", []string{"--zone-token", "vm=" + file("vm", 0o600)}, 0, "hub: authenticate zones"},
		{"another zone's", []string{"--zone-token", "vm=" + file("east", 0o600)}, 4, "would be refused"},
		{"a file that others can read", []string{"--zone-token", "vm=" + file("vm", 0o644)}, 1, "--zone-token"},
		{"no file", []string{"--zone-token", "vm"}, 1, "zone-token"},
	} {
		if r := xcpauth(t, kubeconfig, append([]string{"plan"}, tc.args...)...); r.code != tc.code ||
			!strings.Contains(strings.Join(strings.Fields(r.out+r.err), " "), tc.says) {
			t.Errorf("%s: exit code %d, want %d and %q\n%s%s", tc.name, r.code, tc.code, tc.says, r.out, r.err)
		}
	}
}

// Where it is not known where a global keeps its state, every verb says so and writes nothing, not even a lock. Where
// it keeps it in a store of its own, and its API does not answer, nothing of it is known either, and nothing changes.
func TestVerbsOfAMeshChangeNothingWhereTheGlobalsStateIsNotKnown(t *testing.T) {
	path, _ := signingKey(t)
	pem, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "west.jwt")
	verbs := [][]string{
		{"migrate", "-y"}, {"migrate", "--dry-run=server"}, {"rollback", "-y"}, {"plan"}, {"check"},
		{"key", "list"}, {"key", "rotate", "-y"}, {"key", "rotate", "--back", "-y"}, {"key", "retire", "-y"},
		{"token", "list"}, {"token", "revoke", "33333333-3333-4333-8333-333333333333", "-y"},
		{"token", "revoke", "--prune-expired", "-y"},
		{"token", "issue", "--zone", "west", "--valid-for", "1h", "--tokens-from=key", "--out", out},
	}
	for _, tc := range []struct {
		name, environment, says string
		may                     []string // be asked besides reading
	}{
		{"what is said does not go together", "kubernetes", "KUMA_STORE_TYPE is postgres",
			[]string{"selfsubjectaccessreviews"}},
		{"its API does not answer", "universal", "API", []string{"selfsubjectaccessreviews", "selfsubjectreviews",
			"/portforward", "/leases", "/namespaces"}},
	} {
		global := apifake.Start(append(apifake.Global("2.13.10", nil, apifake.Variable("KUMA_ENVIRONMENT", tc.environment),
			apifake.Variable("KUMA_STORE_TYPE", "postgres")), apifake.GlobalSecret(zonetoken.KeyName("1"), string(pem)))...)
		kubeconfig := serve(t, map[string]*apifake.Server{"global": global}, nil)
		for _, args := range verbs {
			r := xcpauth(t, kubeconfig, args...)
			code := exitRefused
			if tc.environment == "universal" && args[len(args)-1] == "list" {
				code = 0
			}
			if text := strings.Join(strings.Fields(r.out+r.err), " "); r.code != code || !strings.Contains(text, tc.says) ||
				strings.Contains(text, "leave it out with --contexts") {
				t.Errorf("%s: %v: exit code %d:\n%s%s", tc.name, args, r.code, r.out, r.err)
			}
		}
		if _, err := os.Lstat(out); err == nil {
			t.Errorf("%s: a token was written", tc.name)
		}
		for _, request := range global.Requests() {
			if !strings.HasPrefix(request, "GET ") && !slices.ContainsFunc(tc.may, func(part string) bool {
				return strings.Contains(request, part)
			}) {
				t.Errorf("%s: written: %s", tc.name, request)
			}
		}
	}
}
