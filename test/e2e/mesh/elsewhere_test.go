package mesh

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/xcpauth/kubectl-xcpauth/test/kumasim"
	"github.com/xcpauth/kubectl-xcpauth/test/kumasim/fleet"
	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
)

// A global that keeps its state in a store of its own, as every global of 3.0 does, is read and written by its own API:
// from nothing to tokens, one revoked, keys rotated, and back. Each is killed at each kind of write, and resumed;
// nothing of it is ever put into the cluster.
func TestAGlobalWithAStoreOfItsOwn(t *testing.T) {
	if leftOut(t, "the stand-in's store is not the program's") {
		return
	}
	for _, version := range []string{"2.13.5", "3.0.0"} {
		t.Run(version, func(t *testing.T) {
			m := start(t, func(o *fleet.Options) { o.StoredElsewhere, o.Version = true, version })
			m.keepKeyOut()
			keys := func(want ...string) {
				t.Helper()
				stored, err := m.Store().Secrets()
				if err != nil {
					t.Fatal(err)
				}
				var names []string
				for _, s := range stored {
					if strings.HasPrefix(s.Name, "zone-token-signing-key") {
						names = append(names, s.Name)
					}
				}
				if !slices.Equal(names, want) {
					t.Errorf("the keys are %v, want %v", names, want)
				}
			}
			if said := m.Xcpauth(0, "status").Stdout; strings.Count(said, "no token") < len(zones) {
				t.Errorf("no zone has a token, and status says\n%s", said)
			}

			m.WereKilled(m.killedAtEachKindOfWrite("migrate"), "PUT global-secrets/zone-token-signing-key-1 by the API",
				"POST secrets/xcpauth-zone-token in east", "PATCH deployments/kong-mesh-control-plane in east",
				"PATCH deployments/kong-mesh-control-plane in global")
			m.withTokens(true)
			keys("zone-token-signing-key-1")
			if out := m.Xcpauth(0, "token", "list").Stdout; strings.Count(out, "accepted") != len(zones) {
				t.Errorf("%s", out)
			}
			m.Xcpauth(0, "plan", "--detailed-exitcode") // nothing is left

			east := fmt.Sprint(m.tokens()["east"]["jti"])
			m.WereKilled(m.killedAtEachKindOfWrite("token", "revoke", east),
				"PUT global-secrets/zone-token-revocations by the API")
			m.withTokens(true)
			m.WereKilled(m.killedAtEachKindOfWrite("key", "rotate"), "PUT global-secrets/zone-token-signing-key-2 by the API",
				"DELETE global-secrets/zone-token-signing-key-1 by the API")
			m.withTokens(true)
			keys("zone-token-signing-key-2")
			m.run(0, "key", "rotate", "--keep-old", "--tokens-from=key")
			keys("zone-token-signing-key-2", "zone-token-signing-key-3")
			m.run(0, "key", "rotate", "--back")
			keys("zone-token-signing-key-2")
			m.run(0, "rollback")
			m.withTokens(false)
			m.promiseKept()
			if names := m.secretNames("global", "zone-token"); len(names) > 0 {
				t.Errorf("the global's cluster has %v", names)
			}
		})
	}
}

// A store is away for a while, and a process of the global ends, in the midst of a rotation. A run that cannot read
// what the global keeps takes nothing of it for granted. It goes on when it can, or the next one does, and no zone is
// refused.
func TestARotationOutlastsItsStoreAndItsLeader(t *testing.T) {
	if leftOut(t, "the stand-in's store is not the program's") {
		return
	}
	m := start(t, func(o *fleet.Options) { o.StoredElsewhere, o.Version, o.GlobalReplicas = true, "3.0.0", 2 })
	m.run(0, "migrate")
	m.withTokens(true)
	var once sync.Once
	gone := make(chan struct{})
	leaves := func(change string) {
		if change == "PUT global-secrets/zone-token-signing-key-2" {
			once.Do(func() { m.Store().Away(true); close(gone) })
		}
	}
	m.told.Store(&leaves)
	cmd := m.Command(t.Context(), slices.Concat([]string{"xcpauth", "key", "rotate"}, quick)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-gone:
	case <-time.After(limit):
		t.Fatalf("no key was made\n%s", out.String())
	}
	m.gatherSecrets()
	pod := strings.TrimPrefix(strings.Fields(m.kubectl("--context", "global", "-n", namespace, "get", "pods", "-o",
		"name").Stdout)[0], "pod/") // it may lead
	m.kubectl("--context", "global", "-n", namespace, "delete", "pod", pod, "--force", "--grace-period=0")
	m.await("the store to be asked in vain", func() error {
		if n := m.Store().Missed(); n < 8 {
			return fmt.Errorf("it was asked %d times", n)
		}
		return nil
	})
	m.promiseKept()
	m.Store().Away(false)
	if err := cmd.Wait(); err != nil {
		t.Logf("the run ended, and the next goes on: %v\n%s", err, out.String())
		m.run(0, "key", "rotate")
	}
	m.withTokens(true)
	m.promiseKept()
	stored, err := m.Store().Secrets()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range stored {
		if s.Name == "zone-token-signing-key-1" {
			t.Error("the old key is still there")
		}
	}
}

// A user of the global's API who may not read its secrets, or not issue tokens, is told which right is missing, and
// nothing is changed; one who may read them can have the key sign tokens. Who brings no token is nobody where the
// global's own host is not its administrator.
func TestWhoMayNotReadAGlobalsSecretsIsTold(t *testing.T) {
	if leftOut(t, "the stand-in has users with tokens of their own") {
		return
	}
	m := start(t, func(o *fleet.Options) {
		o.StoredElsewhere = true
		o.GlobalEnv = []corev1.EnvVar{{Name: "KUMA_API_SERVER_AUTHN_LOCALHOST_IS_ADMIN", Value: "false"},
			{Name: "KUMA_ACCESS_STATIC_ADMIN_RESOURCES_GROUPS", Value: "mesh-system:admin,keepers"}}
		o.Users = map[string]kumasim.User{"bobs-own-user-token": {Name: "bob", Groups: []string{"team"}},
			"carols-own-user-token-x": {Name: "carol", Groups: kumasim.Admin.Groups},
			"daves-own-user-token-xy": {Name: "dave", Groups: []string{"keepers"}}}
	})
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		m.Secrets.Add(path, "token", []byte(text))
		return path
	}
	before := m.environments()
	for _, tc := range []struct {
		name, says string
		flags      []string
	}{
		{"dave", "does not let dave/keepers issue zone tokens (access.static.generateZoneToken)",
			[]string{"--api-token", file("daves-own-user-token-xy")}},
		{"nobody", `403: Access Denied: user "mesh-system:anonymous/mesh-system:unauthenticated" cannot access`, nil},
		{"bob", `403: Access Denied: user "bob/team" cannot access the resource of type "GlobalSecret"`,
			[]string{"--api-token", file("bobs-own-user-token")}},
		{"mallory", "it does not know the token that it was asked with (401: Invalid authentication data: Unauthenticated)",
			[]string{"--api-token", file("nobodys-user-token")}},
	} {
		checked := m.Xcpauth(5, append([]string{"check"}, tc.flags...)...)
		migrated := m.run(5, append([]string{"migrate"}, tc.flags...)...)
		for verb, r := range map[string]sandbox.Run{"check": checked, "migrate": migrated} {
			if said := strings.Join(strings.Fields(r.Stdout+r.Stderr), " "); !strings.Contains(said, tc.says) {
				t.Errorf("%s by %s says\n%s", verb, tc.name, said)
			}
		}
		for rule, names := range map[string][]string{"XA198": {"nobody", "bob", "mallory"}, "XA199": {"dave"}} {
			if slices.Contains(names, tc.name) && !strings.Contains(checked.Stdout, rule) {
				t.Errorf("check by %s does not name %s:\n%s", tc.name, rule, checked.Stdout)
			}
		}
	}
	if now := m.environments(); !maps.Equal(now, before) {
		t.Errorf("something was changed: %v", now)
	}
	m.run(0, "migrate", "--api-token", file("carols-own-user-token-x"))
	m.withTokens(true)
	m.run(0, "key", "rotate", "--tokens-from=key", "--api-token", file("daves-own-user-token-xy"))
	m.withTokens(true)
	m.promiseKept()
}
