package mesh

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/xcpauth/kubectl-xcpauth/test/e2e/runs"
	"github.com/xcpauth/kubectl-xcpauth/test/kumasim"
	"github.com/xcpauth/kubectl-xcpauth/test/kumasim/fleet"
)

// A global that is in no cluster is asked at its address. What is its owner's to set is said, waited for and verified;
// the lock and the journal are in a cluster that is named for them. A run that is killed at any kind of write is
// resumed, also while it waits.
func TestAGlobalOutsideOfClusters(t *testing.T) {
	if leftOut(t, "the stand-in's global is a process that the test restarts") {
		return
	}
	for _, version := range []string{"2.13.5", "3.0.0"} {
		t.Run(version, func(t *testing.T) {
			const olga = "olgas-own-user-token"
			m := start(t, func(o *fleet.Options) {
				o.Outside, o.Version = true, version
				o.Users = map[string]kumasim.User{olga: {Name: "olga", Groups: kumasim.Admin.Groups}}
				o.GlobalEnv = []corev1.EnvVar{{Name: "KUMA_API_SERVER_AUTHN_LOCALHOST_IS_ADMIN", Value: "false"}}
			})
			m.keepKeyOut()
			file := func(name, text string) string {
				path := filepath.Join(t.TempDir(), name)
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			}
			ca, token := file("ca.pem", string(m.GlobalCA())), file("token", olga)
			m.Secrets.Add(token, "token", []byte(olga))
			at := []string{"--global-api", m.GlobalURL(), "--global-ca", ca, "--api-token", token, "--state-context", "global"}
			// does runs a verb. With one of the releases it is killed at each kind of write, and resumed.
			var kinds []string
			does := func(verb ...string) {
				t.Helper()
				if verb = slices.Concat(verb, at); version == "3.0.0" {
					kinds = append(kinds, m.killedAtEachKindOfWrite(verb...)...)
					return
				}
				heard := io.Discard
				if m.owner != nil {
					heard = m.owner()
				}
				cmd := m.Command(t.Context(), slices.Concat([]string{"xcpauth"}, verb, quick)...)
				var out, errs strings.Builder
				cmd.Stdout, cmd.Stderr = &out, io.MultiWriter(&errs, heard)
				if err := cmd.Run(); err != nil {
					t.Fatalf("%v: %v\n%s%s", verb, err, out.String(), errs.String())
				}
			}
			// asks runs a verb, and does what its owner is asked for once each run says that.
			asks := func(says string, set map[string]string, verb ...string) {
				t.Helper()
				var done sync.WaitGroup
				var asked atomic.Int32
				m.owner = func() io.Writer {
					return runs.OnText(says, func() {
						asked.Add(1)
						done.Go(func() {
							if err := m.SetGlobalEnv(set); err != nil {
								t.Error(err)
							}
						})
					})
				}
				does(verb...)
				done.Wait()
				if m.owner = nil; asked.Load() == 0 {
					t.Fatalf("%v never said %q", verb, says)
				}
			}
			name, on := "KMESH_MULTIZONE_GLOBAL_KDS_AUTH_TYPE", "cpToken"
			if version == "3.0.0" {
				name, on = "KUMA_MULTIZONE_GLOBAL_KDS_AUTH_TYPE", "zoneToken"
			}
			if r := m.Xcpauth(1, "status", "--global-api", m.GlobalURL(), "--global-ca",
				ca); !strings.Contains(r.Stderr, "--state-context") {
				t.Errorf("without a place for the journal: %s", r.Stderr)
			}
			look := func(verb ...string) string {
				t.Helper()
				return strings.Join(strings.Fields(m.Xcpauth(0, slices.Concat(verb, at)...).Stdout), " ")
			}
			kumactl := file("config", fmt.Sprintf(`{currentContext: dev, contexts: [{name: prod, controlPlane: cp}],
controlPlanes: [{name: cp, coordinates: {apiServer: {url: %q, caCertFile: %q, authType: tokens,
authConf: {token: %s}}}}]}`,
				m.GlobalURL(), ca, olga))
			if said := m.Xcpauth(0, "status", "--kumactl-config", kumactl, "--kumactl-context", "prod", "--state-context",
				"global").Stdout; strings.Count(said, "no token") < len(zones) {
				t.Errorf("by kumactl's configuration status says\n%s", said)
			}
			if said := look("plan"); !strings.Contains(said, fmt.Sprintf("set %s=%s in the environment of every process of %s",
				name, on, m.GlobalURL())) {
				t.Errorf("the plan says\n%s", said)
			}
			does("migrate", "--to=edges")
			m.withTokens(true)
			asks("set "+name+"="+on, map[string]string{name: on}, "migrate")
			m.withTokens(true)
			if err := m.Verdict("east", ""); err == nil {
				t.Error("the global authenticates nobody")
			}
			look("plan", "--detailed-exitcode")
			east := fmt.Sprint(m.tokensBy(at)["east"]["jti"])
			does("token", "revoke", east)
			m.withTokens(true)
			asks("restart every process of", nil, "key", "rotate")
			m.withTokens(true)
			asks("unset "+name, map[string]string{name: ""}, "rollback")
			m.withTokens(false)
			m.promiseKept()
			if version == "3.0.0" {
				m.WereKilled(kinds, "PUT global-secrets/zone-token-signing-key-1 by the API",
					"POST secrets/xcpauth-zone-token in east", "PATCH deployments/kong-mesh-control-plane in east",
					"PUT global-secrets/zone-token-revocations by the API",
					"PUT global-secrets/zone-token-signing-key-2 by the API",
					"DELETE global-secrets/zone-token-signing-key-1 by the API")
			}
		})
	}
}
