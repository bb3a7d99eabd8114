package mesh

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/test/e2e/runs"
	"github.com/xcpauth/kubectl-xcpauth/test/kumasim/fleet"
)

// A global that is in no cluster is asked at its address. What is its owner's to set is said, waited for and verified;
// the lock and the journal are in a cluster that is named for them.
func TestAGlobalOutsideOfClusters(t *testing.T) {
	if leftOut(t, "the stand-in's global is a process that the test restarts") {
		return
	}
	for _, version := range []string{"2.13.5", "3.0.0"} {
		t.Run(version, func(t *testing.T) {
			m := start(t, func(o *fleet.Options) { o.Outside, o.Version = true, version })
			m.keepKeyOut()
			at := []string{"--global-api", m.GlobalURL(), "--state-context", "global"}
			run := func(code int, verb ...string) string {
				t.Helper()
				r := m.run(code, slices.Concat(verb, at)...)
				return strings.Join(strings.Fields(r.Stdout+r.Stderr), " ")
			}
			// waits runs a verb, and does what its owner is asked for once that is said.
			waits := func(says string, set map[string]string, verb ...string) {
				t.Helper()
				cmd := m.Command(t.Context(), slices.Concat([]string{"xcpauth"}, verb, at, quick)...)
				failed := make(chan error, 1)
				w := runs.NewWatcher(t, says, func() { go func() { failed <- m.SetGlobalEnv(set) }() })
				var out strings.Builder
				cmd.Stdout, cmd.Stderr = &out, w
				if err := cmd.Run(); err != nil {
					t.Fatalf("%v: %v\n%s%s", verb, err, out.String(), w)
				}
				if err := <-failed; err != nil {
					t.Fatal(err)
				}
			}
			name, on := "KMESH_MULTIZONE_GLOBAL_KDS_AUTH_TYPE", "cpToken"
			if version == "3.0.0" {
				name, on = "KUMA_MULTIZONE_GLOBAL_KDS_AUTH_TYPE", "zoneToken"
			}
			if r := m.Xcpauth(1, "status", "--global-api", m.GlobalURL()); !strings.Contains(r.Stderr, "--state-context") {
				t.Errorf("without a place for the journal: %s", r.Stderr)
			}
			look := func(verb ...string) string {
				t.Helper()
				return strings.Join(strings.Fields(m.Xcpauth(0, slices.Concat(verb, at)...).Stdout), " ")
			}
			kumactl := filepath.Join(t.TempDir(), "config")
			if err := os.WriteFile(kumactl, fmt.Appendf(nil, `{currentContext: dev, contexts: [{name: prod, controlPlane: cp}],
controlPlanes: [{name: cp, coordinates: {apiServer: {url: %q}}}]}`, m.GlobalURL()), 0o600); err != nil {
				t.Fatal(err)
			}
			if said := m.Xcpauth(0, "status", "--kumactl-config", kumactl, "--kumactl-context", "prod", "--state-context",
				"global").Stdout; strings.Count(said, "no token") < len(zones) {
				t.Errorf("by kumactl's configuration status says\n%s", said)
			}
			if said := look("plan"); !strings.Contains(said, fmt.Sprintf("set %s=%s in the environment of every process of %s",
				name, on, m.GlobalURL())) {
				t.Errorf("the plan says\n%s", said)
			}
			run(0, "migrate", "--to=edges")
			m.withTokens(true)
			waits("set "+name+"="+on, map[string]string{name: on}, "migrate")
			m.withTokens(true)
			if err := m.Verdict("east", ""); err == nil {
				t.Error("the global authenticates nobody")
			}
			look("plan", "--detailed-exitcode")
			east := fmt.Sprint(m.tokensBy(at)["east"]["jti"])
			run(0, "token", "revoke", east)
			m.withTokens(true)
			waits("restart every process of", nil, "key", "rotate")
			m.withTokens(true)
			waits("unset "+name, map[string]string{name: ""}, "rollback")
			m.withTokens(false)
			m.promiseKept()
		})
	}
}
