package kongmesh_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// A zone that no context shows is told what to do by the configuration that it shows the global: whether it is in a
// cluster, and where its token goes. What the configuration says is never taken for what the zone presents.
func TestAZoneWithoutAContextIsToldByItsConfiguration(t *testing.T) {
	config := func(environment, auth string) string {
		return fmt.Sprintf(`{"environment":%q,"multizone":{"zone":{"name":"far","kds":{%s}}},"large":%q}`, environment, auth,
			strings.Repeat("x", 4096))
	}
	old := `{"environment":"universal","kmesh":{"multizone":{"zone":{"kds":{"auth":{"cpTokenInline":"*****"}}}}}}`
	for _, tc := range []struct {
		name, config string
		token        bool // one that was issued after the session began is provided
		says, not    string
	}{
		{"nothing is told", "", false, "If it has none (Universal), give it a token", "runs in"},
		{"what is none", "[]", false, "If it has none (Universal), give it a token", "runs in"},
		{"in a cluster", config("kubernetes", ""), false, "it runs in a cluster, and no selected context holds it",
			"Universal"},
		{"a release without tokens", config("universal", ""), false, "it runs in no cluster; give it a token", "configured"},
		{"no token", config("universal", `"auth":{"tokenInline":"","tokenPath":""}`), false,
			"it runs in no cluster, and no token is configured for it; give it a token", "select its context"},
		{"a file", config("universal", `"auth":{"tokenInline":"","tokenPath":"/etc/token\u001b[2J"}`), false,
			"and reads its token from /etc/token", "\x1b"},
		{"a text", config("universal", `"auth":{"tokenInline":"*****","tokenPath":""}`), false,
			"and has its token in a setting", "select its context"},
		{"a text, by its old name", old, false, "and has its token in a setting", "select its context"},
		{"a file, and a token for it", config("universal", `"auth":{"tokenPath":"/etc/token"}`), true,
			"write the one that was provided to /etc/token, from which it reads its token, and restart it", "start it with"},
		{"a text, and a token for it", old, true, "start it with the one that was provided", "write the one"},
	} {
		told := ""
		if tc.config != "" {
			text, err := json.Marshal(tc.config)
			if err != nil {
				t.Fatal(err)
			}
			told = `,"config":` + string(text)
		}
		sessions := fmt.Sprintf(`{"subscriptions":[{"id":"new","connectTime":"2026-01-02T11:00:00Z",`+
			`"authTokenProvided":true%s},{"id":"old","connectTime":"2026-01-01T12:00:00Z",`+
			`"disconnectTime":"2026-01-01T13:00:00Z","config":"{\"environment\":\"other\"}"}]}`, told)
		var spec map[string]any
		if err := json.Unmarshal([]byte(sessions), &spec); err != nil {
			t.Fatal(err)
		}
		with, whole := asked(t, "2.14.6")
		whole["/zones+insights"] = fmt.Sprintf(`{"total":1,"items":[{"name":"far","zoneInsight":%s}]}`, sessions)
		byAPI := with(whole)
		byObjects := with(nil)
		byObjects["global"] = append(apifake.Global("2.14.6", nil), key("1"),
			apifake.Object{"apiVersion": "kuma.io/v1alpha1", "kind": "Zone", "metadata": apifake.Object{"name": "far"}},
			apifake.Object{"apiVersion": "kuma.io/v1alpha1", "kind": "ZoneInsight", "metadata": apifake.Object{"name": "far"},
				"spec": spec})
		for source, fl := range map[string]fleet{"API": byAPI, "objects": byObjects} {
			delete(fl, "west")
			delete(fl, "east")
			d := kongmesh.Provider()
			var where plan.Selection
			if tc.token {
				where.Tokens = map[string]plan.Secret{"far": plan.NewSecret([]byte(token(t, "far", nil)))}
			}
			f := d.ReadState(fl.snapshots(t, d, nil), where, noon)
			m := f.Member("far")
			if m == nil || !strings.Contains(m.Err, tc.says) || strings.Contains(m.Err, tc.not) {
				t.Errorf("%s, by %s: %+v", tc.name, source, m)
				continue
			}
			if len(m.Evidence.Presents) > 0 || m.Effective != guard.Cred("") {
				t.Errorf("%s, by %s: it presents %v", tc.name, source, m.Evidence)
			}
		}
	}
}
