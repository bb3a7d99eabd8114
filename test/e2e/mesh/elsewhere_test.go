package mesh

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/test/kumasim/fleet"
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
