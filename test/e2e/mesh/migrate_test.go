package mesh

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/test/kumasim"
	"github.com/xcpauth/kubectl-xcpauth/test/kumasim/fleet"
)

const (
	authType = "KMESH_MULTIZONE_GLOBAL_KDS_AUTH_TYPE"
	inline   = "KMESH_MULTIZONE_ZONE_KDS_AUTH_CP_TOKEN_INLINE"
)

// From no authentication to a token for each of three zones, and back; then a token is revoked, and a second one.
func TestZonesMigrateToTokensAndTheirTokensAreRevoked(t *testing.T) {
	m := start(t, nil)
	m.withTokens(false)
	rows := m.Rows(m.Xcpauth(0, "status", "-o", "json").Stdout)
	for _, z := range zones {
		if rows[z]["declared"] != "no token" {
			t.Errorf("%s: %v", z, rows[z])
		}
	}
	m.Xcpauth(2, "plan", "--detailed-exitcode")
	m.run(0, "migrate", "--to=edges")
	m.withTokens(true)
	if got := m.env("global", authType); got != "" {
		t.Errorf("the global is set to %q before it was asked for", got)
	}
	m.run(0, "migrate")
	if got := m.env("global", authType); got != "cpToken" {
		t.Errorf("the global is set to %q", got)
	}
	m.withTokens(true)
	m.Xcpauth(0, "plan", "--detailed-exitcode") // nothing is left

	m.run(0, "rollback")
	m.withTokens(false)
	for _, z := range zones {
		if got := m.env(z, inline); got != "" {
			t.Errorf("%s still refers to %s", z, got)
		}
	}
	if got := m.env("global", authType); got != "" {
		t.Errorf("the global is still set to %q", got)
	}
	m.promiseKept()

	m.run(0, "migrate")
	tokens := m.tokens()
	west, east := tokens["west"]["jti"].(string), tokens["east"]["jti"].(string)
	m.run(0, "token", "revoke", "--zone", "west") // it gets another one first
	if now := m.tokens()["west"]["jti"]; now == west {
		t.Error("west still has the token that was to be revoked")
	}
	m.newSessions()
	m.withTokens(true)
	m.promiseKept()

	m.refusable["east"] = true
	m.run(0, "token", "revoke", east, "--cut-off") // its next authentication fails, and the others live
	if list := m.kubectl("--context", "global", "-n", namespace, "get", "secret", "zone-token-revocations", "-o",
		"go-template={{index .data \"value\" | base64decode}}").Stdout; list != west+","+east {
		t.Errorf("the list is %q, want the first and the second", list)
	}
	m.newSessions()
	m.refusedFor("east", kumasim.TokenRevoked)
	m.await("the others to be connected", func() error {
		for _, z := range []string{"west", "north"} {
			if s, live := m.Live()[z]; !live || !s.AuthTokenProvided {
				return errors.New(z + " is not")
			}
		}
		return nil
	})
	m.run(0, "migrate") // east gets a token that is not revoked
	m.withTokens(true)
}

// From no authentication, and no key to sign tokens with, to a token for each zone: killed after each kind of write,
// and resumed each time.
func TestZonesMigrateWhereverARunIsKilled(t *testing.T) {
	m := start(t, nil)
	m.keepKeyOut()
	m.WereKilled(m.killedAtEachKindOfWrite("migrate"),
		"POST namespaces/xcpauth-system in global", "POST leases/xcpauth in global", "PUT leases/xcpauth in global",
		"POST secrets/zone-token-signing-key-1 in global",
		"PATCH configmaps/xcpauth-journal in global", "PATCH configmaps/xcpauth-journal in global, in flight: canary",
		"POST secrets/xcpauth-zone-token in east", "PATCH deployments/kong-mesh-control-plane in east",
		"PATCH configmaps/xcpauth-journal in global, in flight: the rest",
		"PATCH configmaps/xcpauth-journal in global, in flight: authentication on",
		"PATCH deployments/kong-mesh-control-plane in global")
	m.withTokens(true)
	if got := m.env("global", authType); got != "cpToken" {
		t.Errorf("the global is set to %q", got)
	}
	if keys := m.secretNames("global", "zone-token-signing-key-"); !slices.Equal(keys,
		[]string{"zone-token-signing-key-1"}) {
		t.Errorf("the keys are %v", keys)
	}
	if out := m.Xcpauth(0, "token", "list").Stdout; strings.Contains(out, "refused") ||
		strings.Count(out, "accepted") != len(zones) {
		t.Errorf("%s", out)
	}
	m.Xcpauth(0, "plan", "--detailed-exitcode") // nothing is left
}

// A rotation with all zones connected, killed at each kind of write, and resumed.
func TestKeysRotateWhereverARunIsKilled(t *testing.T) {
	m := start(t, nil)
	m.run(0, "migrate")
	m.WereKilled(m.killedAtEachKindOfWrite("key", "rotate"),
		"POST secrets/zone-token-signing-key-2 in global",
		"PATCH configmaps/xcpauth-journal in global, in flight: canary",
		"POST secrets/xcpauth-zone-token in east", "PATCH deployments/kong-mesh-control-plane in east",
		"PATCH configmaps/xcpauth-journal in global, in flight: the rest",
		"DELETE secrets/zone-token-signing-key-1 in global", "PATCH deployments/kong-mesh-control-plane in global")
	m.withTokens(true)
	if keys := m.secretNames("global", "zone-token-signing-key-"); !slices.Equal(keys,
		[]string{"zone-token-signing-key-2"}) {
		t.Errorf("the keys are %v", keys)
	}
	out := m.Xcpauth(0, "token", "list").Stdout
	if strings.Contains(out, "refused") || strings.Count(out, "accepted") != 3 {
		t.Errorf("%s", out)
	}
	m.run(0, "key", "rotate", "--keep-old") // a next one
	if keys := m.secretNames("global", "zone-token-signing-key-"); len(keys) != 2 {
		t.Errorf("the keys are %v", keys)
	}
	m.run(0, "key", "rotate", "--back") // and not, after all
	if keys := m.secretNames("global", "zone-token-signing-key-"); !slices.Equal(keys,
		[]string{"zone-token-signing-key-2"}) {
		t.Errorf("the keys are %v", keys)
	}
	m.withTokens(true)
	m.promiseKept()
	m.run(0, "key", "rotate", "--keep-old")
	m.run(0, "key", "retire")
	if keys := m.secretNames("global", "zone-token-signing-key-"); !slices.Equal(keys,
		[]string{"zone-token-signing-key-3"}) {
		t.Errorf("the keys are %v", keys)
	}
	m.withTokens(true)
}

// A zone that cannot connect with its new token is put back, keeps authentication off, and the others go on.
func TestAZoneThatCannotConnectIsPutBack(t *testing.T) {
	m := start(t, nil)
	m.Set("north", fleet.Switches{CutAfterNext: true})
	within := "8s"
	if real.Program != nil {
		within = "90s" // a control plane starts, and leads after the lease of the one before
	}
	r := m.Xcpauth(4, "migrate", "-y", "--poll", "100ms", "--prove-within", within, "--max-failures", "1", "-o", "json")
	rows := m.Rows(r.Stdout)
	if rows["north"]["state"] != "failed" || !strings.Contains(rows["north"]["why"].(string), "put back") ||
		rows["west"]["state"] != "changed" {
		t.Errorf("%s", r.Stdout)
	}
	if got := m.env("north", inline); got != "" {
		t.Errorf("north still refers to %s", got)
	}
	if got := m.env("global", authType); got != "" {
		t.Errorf("the global is set to %q", got)
	}
	m.Set("north", fleet.Switches{})
	m.run(0, "migrate")
	m.withTokens(true)
}
