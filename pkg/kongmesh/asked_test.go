package kongmesh_test

import (
	"encoding/base64"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/state"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// answers are what the API of a global answers that has the same keys, revocations, zones and sessions as objects.
type answers map[string]string

func (a answers) of(global []apifake.Object) []apifake.Object {
	for _, path := range slices.Sorted(maps.Keys(a)) {
		global = append(global, answer(path, a[path]))
	}
	return global
}

// asked is a global with a store of its own, with zone west connected with a token and east without, key 1, and a
// revoked ID; and what its API answers.
func asked(t *testing.T, version string) (func(answers) fleet, answers) {
	t.Helper()
	secret := func(name, value string) string {
		return fmt.Sprintf(`{"type":"GlobalSecret","name":%q,"creationTime":"2026-01-01T00:00:00.5Z","data":%q}`,
			name, base64.StdEncoding.EncodeToString([]byte(value)))
	}
	zone := func(name, more string) string {
		return fmt.Sprintf(`{"type":"ZoneOverview","name":%[1]q,"zone":{"enabled":true},"zoneInsight":{"subscriptions":[`+
			`{"id":"session-of-%[1]s","connectTime":"2026-01-02T12:00:00Z"%[2]s}]}}`,
			name, more)
	}
	pem := string(zonetoken.EncodeKey(meshKeys()[len("1")%2]))
	a := answers{
		"/config": `{"mode":"global","environment":"universal","store":{"type":"postgres"},"apiServer":{"readOnly":false},` +
			`"access":{"type":"static","static":{"adminResources":{"users":["mesh-system:admin"],"groups":["ops"]},` +
			`"generateZoneToken":{"users":["mesh-system:admin","eve"],"groups":[]}}}}`,
		"/who-am-i": `{"name":"mesh-system:admin","groups":["mesh-system:admin"]}`,
		"/global-secrets": fmt.Sprintf(`{"total":4,"items":[%s,%s,%s,%s]}`, secret("admin-user-token",
			"eyJhbGciOiJSUzI1NiJ9.e30.AA"),
			secret("inter-cp-ca", "-----BEGIN RSA PRIVATE KEY-----"), secret("zone-token-signing-key-1", pem),
			secret("zone-token-revocations", "revoked-id")),
		"/zones+insights": fmt.Sprintf(`{"total":2,"items":[%s,%s]}`, zone("west", `,"authTokenProvided":true`),
			zone("east", "")),
	}
	return func(a answers) fleet {
		return fleet{
			"global": a.of(apifake.Global(version, nil, apifake.Variable(environmentName, "universal"),
				apifake.Variable(storeName, "postgres"))),
			"west": append(apifake.Zone(version, "west",
				apifake.SecretVariable(inlineOf(version), "cp-token", "token")),
				apifake.TokenSecret("cp-token", token(t, "west", nil))),
			"east": apifake.Zone(version, "east"),
		}
	}, a
}

func inlineOf(version string) string {
	if version == "3.0.0" {
		return "KUMA_MULTIZONE_ZONE_KDS_AUTH_TOKEN_INLINE"
	}
	return "KMESH_MULTIZONE_ZONE_KDS_AUTH_CP_TOKEN_INLINE"
}

// What the API of a global tells makes the same state as the objects of a global that keeps it in Kubernetes: but for
// where its secrets are written.
func TestAGlobalsAPITellsWhatItsObjectsWould(t *testing.T) {
	with, a := asked(t, "2.13.10")
	f := with(a).facts(t, kongmesh.Provider(), nil)
	objects := with(nil)
	objects["global"] = append(apifake.Global("2.13.10", map[string]bool{"west": true, "east": false}),
		key("1"), apifake.GlobalSecret(zonetoken.RevocationsName, "revoked-id"))
	k := objects.facts(t, kongmesh.Provider(), nil)
	if len(f.Hub.Anomalies) > 0 || f.Hub.KeysErr != "" {
		t.Fatalf("what is odd: %v, %s", f.Hub.Anomalies, f.Hub.KeysErr)
	}
	for what, pair := range map[string][2]any{
		"accepts": {f.Hub.Accepts, k.Hub.Accepts}, "inventory": {f.Hub.Inventory, k.Hub.Inventory},
		"sessions": {f.Hub.Sessions, k.Hub.Sessions}, "revoked": {f.Hub.Revocations.IDs, k.Hub.Revocations.IDs},
		"west": {f.Member("west").Evidence, k.Member("west").Evidence}, "east": {f.Member("east").Evidence,
			k.Member("east").Evidence},
		"keys": {f.Hub.Keys[0].ID, k.Hub.Keys[0].ID}, "signs": {f.Hub.Keys[0].Signs, k.Hub.Keys[0].Signs},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s: by the API %+v, by objects %+v", what, pair[0], pair[1])
		}
	}
	for _, ref := range []plan.Ref{f.Hub.Keys[0].Object, f.Hub.Revocations.Object} {
		if ref.Kind != state.GlobalSecretKind || ref.Namespace != "" || ref.UID == "" || ref.ResourceVersion == "" {
			t.Errorf("%+v is no secret of the API", ref)
		}
	}
	if api := f.Hub.StateAPI; api == nil || !api.NoLogin || api.Port != 5681 || api.Login.Name != "" {
		t.Errorf("it is written by %+v", api)
	}
	if k.Hub.StateAPI != nil {
		t.Error("a global that keeps its state in Kubernetes is written by its API")
	}
}

// Whatever of the API's answers is missing, denied, cut or something else is unknown, and nothing is changed then.
func TestHalfAnAnswerOfAGlobalsAPIIsUnknown(t *testing.T) {
	with, whole := asked(t, "3.0.0")
	for _, tc := range []struct {
		name string
		path string
		body string // "" for no answer
		says string
	}{
		{"all of it", "", "", ""},
		{"no settings", "/config", "", "the global's settings are not known"},
		{"settings that are none", "/config", `[]`, "the global's settings are not known"},
		{"settings of something else", "/config", `{"kind":"Pod"}`, "the global's settings are not known"},
		{"a zone's API", "/config", `{"mode":"zone","store":{"type":"postgres"}}`, "of a control plane with mode zone"},
		{"a store that does not last", "/config", `{"mode":"global","store":{"type":"memory"}}`, "in memory"},
		{"a store of Kubernetes after all", "/config", `{"mode":"global","store":{"type":"kubernetes"}}`,
			"such a store is read by its cluster's API server"},
		{"an API that takes no changes", "/config",
			`{"mode":"global","store":{"type":"postgres"},"apiServer":{"readOnly":true}}`, "takes no changes"},
		{"no secrets", "/global-secrets", "", "the global's secrets could not be read"},
		{"secrets that are none", "/global-secrets", `{"items":"x"}`, "the global's secrets could not be read"},
		{"no zones", "/zones+insights", "", "the global's zones could not be listed"},
		{"zones that are none", "/zones+insights", `{"total":1}`, "the global's zones could not be listed"},
	} {
		a := maps.Clone(whole)
		if a[tc.path] = tc.body; tc.body == "" {
			delete(a, tc.path)
		}
		f := with(a).facts(t, kongmesh.Provider(), nil)
		d := kongmesh.Provider()
		p := plan.Build(d, f, d.Complete(f, plan.Goal{Pace: plan.Pace{Within: 1}}))
		said := fmt.Sprint(p.Obstacles, f.Hub.InventoryErr)
		if zones := tc.path == "/zones+insights"; !zones && (tc.says == "") != (p.Changes() > 0) ||
			!strings.Contains(said, tc.says) {
			t.Errorf("%s: %d changes, blocked %v", tc.name, p.Changes(), said)
		}
		on := guard.Hub{Accepts: map[guard.Cred]guard.Tri{state.None: guard.No}}
		if blockers := guard.Withdraw(f.Hub.Accepts, on, f.GuardMembers(), noon); len(blockers) == 0 {
			t.Errorf("%s: authentication could be turned on while east has no token", tc.name)
		}
		if tc.path == "/global-secrets" && (f.Hub.Keys != nil || f.Hub.KeysErr == "") {
			t.Errorf("%s: the keys are %v", tc.name, f.Hub.Keys)
		}
		if tc.path == "/zones+insights" && (f.Hub.Inventory != nil || f.Hub.Sessions != nil) {
			t.Errorf("%s: the zones are %v, the sessions %v", tc.name, f.Hub.Inventory, f.Hub.Sessions)
		}
	}
}

// A right to the global's API that the user who asks lacks is named before it is needed, with how to get it; a right
// that is only not known to be there is not called missing. Tokens that the user may not issue are not planned, unless
// the key itself signs them.
func TestARightToTheAPIThatIsMissingIsNamed(t *testing.T) {
	const issue, read = "access.static.generateZoneToken", "access.static.adminResources"
	with, whole := asked(t, "3.0.0")
	rbac := strings.Replace(whole["/config"], `"type":"static"`, `"type":"rbac"`, 1)
	untold := strings.Replace(whole["/config"], `"generateZoneToken":{"users":["mesh-system:admin","eve"],"groups":[]}`,
		`"generateZoneToken":{}`, 1)
	if rbac == whole["/config"] || untold == whole["/config"] {
		t.Fatal("the settings are not those that this test changes")
	}
	for _, tc := range []struct {
		name, who, config string
		want              []string // settings that a finding names
		issues            bool     // whether tokens are planned
	}{
		{"the administrator", whole["/who-am-i"], whole["/config"], nil, true},
		{"a user by a group", `{"name":"bob","groups":["team","ops"]}`, whole["/config"], []string{issue}, false},
		{"a user by its name", `{"name":"eve","groups":[]}`, whole["/config"], []string{read}, true},
		{"somebody else", `{"name":"bob\u001b[2J","groups":["team"]}`, whole["/config"], []string{read, issue}, false},
		{"roles of Kong Mesh", `{"name":"bob","groups":["team"]}`, rbac, nil, true},
		{"a list that is not told", `{"name":"bob","groups":["ops"]}`, untold, nil, true},
		{"a user that is not told", `{}`, whole["/config"], nil, true},
		{"an answer that is none", `[]`, whole["/config"], nil, true},
		{"no answer", "", whole["/config"], nil, true},
	} {
		a := maps.Clone(whole)
		a["/config"] = tc.config
		if a["/who-am-i"] = tc.who; tc.who == "" {
			delete(a, "/who-am-i")
		}
		d := kongmesh.CheckProvider()
		f := with(a).facts(t, d, nil)
		var found []string
		for _, x := range f.Hub.Inspection.Findings {
			if x.Name != "global-api-right" {
				continue
			}
			_, setting, _ := strings.Cut(x.Found, " (")
			found = append(found, strings.TrimSuffix(setting, ")"))
			if !strings.Contains(x.Remedy, "_USERS, or one of its groups to KUMA_ACCESS_STATIC_") ||
				strings.Contains(x.Found, "\x1b") {
				t.Errorf("%s: %q, %q", tc.name, x.Found, x.Remedy)
			}
		}
		if !slices.Equal(found, tc.want) {
			t.Errorf("%s: found %v, want %v", tc.name, found, tc.want)
		}
		for _, key := range []bool{false, true} {
			p := plan.Build(d, f, d.Complete(f, plan.Goal{Pace: plan.Pace{Within: 1},
				Sources: plan.Sources{FromKey: key}}))
			if blocked := strings.Contains(fmt.Sprint(p.Obstacles), "issue zone tokens"); blocked == (tc.issues || key) {
				t.Errorf("%s, signed by the key %v: %d changes, obstacles %v", tc.name, key, p.Changes(), p.Obstacles)
			}
		}
	}
}
