package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/pflag"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
	"github.com/xcpauth/kubectl-xcpauth/test/bed"
)

// writes counts what the servers of a test were asked to change.
type writes struct {
	mu          sync.Mutex
	stored, dry []string // what would be stored, and what was sent with dryRun=All
}

// watch starts the servers, which take every write and store none.
func watch(t *testing.T, clusters map[string][]apifake.Object) (kubeconfig string, w *writes) {
	t.Helper()
	w = &writes{}
	servers := map[string]*apifake.Server{}
	for name, objects := range clusters {
		s := apifake.Start(objects...)
		s.Answer = func(to http.ResponseWriter, r *http.Request) bool { return w.answer(s, to, r) }
		servers[name] = s
	}
	return serve(t, servers, nil), w
}

func (w *writes) answer(s *apifake.Server, to http.ResponseWriter, r *http.Request) bool {
	asks := []string{"portforward", "selfsubjectreviews", "selfsubjectaccessreviews"}
	if r.Method == http.MethodGet || slices.Contains(asks, path.Base(r.URL.Path)) {
		return false
	}
	body, _ := io.ReadAll(r.Body)
	w.mu.Lock()
	defer w.mu.Unlock()
	request := r.Method + " " + r.URL.Path
	if r.URL.Query().Get("dryRun") == "All" ||
		r.Method == http.MethodDelete && bytes.Contains(body, []byte(`"dryRun":["All"]`)) {
		w.dry = append(w.dry, request)
	} else {
		w.stored = append(w.stored, request)
	}
	s.Written(to, r, body)
	return true
}

// taken returns what was counted, and begins to count again.
func (w *writes) taken() (stored, dry []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	stored, dry = w.stored, w.dry
	w.stored, w.dry = nil, nil
	return stored, dry
}

// migratedHub is a hub that a migration left with JWTs alone, and whose edges are not reached.
func migratedHub(clusters ...string) []apifake.Object {
	return append(bed.JWTHub(clusters...), apifake.Object{"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": apifake.Object{"name": api.JournalName, "namespace": api.Namespace},
		"data": apifake.Object{api.OriginalsKey: `{"uid-mp":{"spec":{"components":{"xcp":{"centralAuthModes":` +
			`{"mutualTls":true}}}}}}`}})
}

// Every verb that writes knows the one flag: with client no write is sent, with server each is sent as a dry run.
func TestADryRunOfAnyVerbWritesNothing(t *testing.T) {
	t.Parallel()
	migrating := map[string][]apifake.Object{"hub": apifake.Hub("eu"), "eu": apifake.Edge("eu")}
	migrated := map[string][]apifake.Object{"hub": migratedHub("eu")}
	onJWT := map[string][]apifake.Object{"hub": bed.OpenHub("eu"), "eu": bed.OnJWT("eu")}
	listed := map[string][]apifake.Object{"hub": append(bed.OpenHub("eu"), bed.Stated("eu")), "eu": bed.OnJWT("eu")}
	away := map[string][]apifake.Object{"hub": append(bed.OpenHub("far"), bed.Stated("far"))}
	mesh, secrets := meshObjects(t)
	provided, err := roster.Encode([]api.EdgeCluster{bed.HandedOver("far", 0, nil)})
	if err != nil {
		t.Fatal(err)
	}
	statements, out := file(t, 0o644, string(provided)), filepath.Join(t.TempDir(), "new")
	key, _ := signingKey(t)
	for _, tc := range []struct {
		args   string
		fleet  map[string][]apifake.Object
		code   int
		says   string // with both
		server string // with server, "" where there is nothing to send
	}{
		{"migrate", migrating, 4, "create EdgeCluster xcpauth-system/eu in hub",
			"ManagementPlane tsb/managementplane: accepted (dry run)"},
		{"rollback", migrated, 0, "hub: accept", "ManagementPlane tsb/managementplane: accepted (dry run)"},
		{"token rotate eu", onJWT, 5, "eu: ", ""},
		{"key rotate", mesh, 0, "west: present a token of key 2", "not asked: "},
		{"key retire", mesh, 0, "hub: retire signing key 1", "not sent: "},
		{"token revoke --zone east", mesh, 0, "hub: revoke 22222222-2222-4222-8222-222222222222", "not sent: "},
		{"edge register eu", listed, 0, "+kind: ServiceAccount", "Role istio-system/xcpauth-reader: accepted"},
		{"edge unregister eu", listed, 0, "the webhook decides from evidence Statement",
			"Secret xcpauth-edges/eu: accepted (dry run)"},
		{"edge forget eu --alive --reason gone", listed, 0, "delete EdgeCluster xcpauth-system/eu in hub",
			"the journal: not sent"},
		{"edge forget far --reason gone", away, 1, "", ""},
		{"edge publish -f " + statements, away, 0, "it states that the member presents", "accepted (dry run)"},
		{"edge publish eu --prove-within 1ms", listed, 5, "eu: ", ""},
		{"token issue --zone west --valid-for 1h --tokens-from=key --in-cluster --secret new", mesh, 0,
			"create Secret", "/new: accepted (dry run)"},
		{"token issue --zone west --valid-for 1h --tokens-from=key --out " + out, mesh, 0, "the new file " + out, ""},
		{"token issue --zone west --valid-for 1h --kid 2 --key-file " + key + " --out " + out, mesh, 0, "in file " + key,
			""},
		{"certificate request --key-out " + out, listed, 0, "it asks for the names", ""},
	} {
		t.Run(tc.args, func(t *testing.T) {
			kubeconfig, w := watch(t, tc.fleet)
			for _, mode := range []string{"client", "server"} {
				for _, yes := range []bool{false, true} {
					args := append(strings.Fields(tc.args), "--dry-run="+mode)
					if yes && asks(args) {
						args = append(args, "-y")
					}
					r := xcpauth(t, kubeconfig, args...)
					stored, dry := w.taken()
					said := strings.Join(strings.Fields(r.out), " ")
					if r.code != tc.code || !strings.Contains(said, tc.says) ||
						mode == "server" && !strings.Contains(said, tc.server) {
						t.Errorf("%s: exit code %d, want %d, %q and %q in\n%s%s", mode, r.code, tc.code, tc.says, tc.server,
							r.out, r.err)
					}
					if len(stored) > 0 || (len(dry) > 0) != (mode == "server" && tc.server != "") {
						t.Errorf("%s: stored %v, sent as a dry run %v", mode, stored, dry)
					}
					unharmed(t, r, secrets, out)
				}
			}
		})
	}
}

// unharmed says that no secret was printed, and no file written.
func unharmed(t *testing.T, r result, secrets []string, path string) {
	t.Helper()
	for _, s := range secrets {
		if strings.Contains(r.out+r.err, s) {
			t.Error("a secret is printed")
		}
	}
	if _, err := os.Lstat(path); err == nil {
		t.Error("a file was written")
	}
}

// asks says whether a verb asks before it writes.
func asks(args []string) bool {
	return slices.Contains([]string{"migrate", "rollback", "key", "token"}, args[0]) && args[1] != "issue"
}

// A dry run reads as a plan does, with what each write makes of its object.
func TestADryRunOfTheRosterReadsWell(t *testing.T) {
	kubeconfig, _ := watch(t, map[string][]apifake.Object{"hub": append(bed.OpenHub("eu"), bed.Stated("eu")),
		"eu": bed.OnJWT("eu")})
	t.Setenv("KUBECONFIG", kubeconfig) // not a flag: messages repeat those
	r := xcpauth(t, "", "edge", "register", "eu", "--dry-run=server")
	golden(t, "edge-register-dry-run", fmt.Sprintf("exit code %d\n%s", r.code, r.out))
}

// What is counted above is what a verb writes without the flag.
func TestTheCountOfWritesSeesOne(t *testing.T) {
	kubeconfig, w := watch(t, map[string][]apifake.Object{"hub": append(bed.OpenHub("far"), bed.Stated("far"))})
	r := xcpauth(t, kubeconfig, "edge", "forget", "far", "--alive", "--reason", "gone")
	if stored, dry := w.taken(); len(stored) == 0 || len(dry) > 0 {
		t.Errorf("stored %v, dry %v: %s%s", stored, dry, r.out, r.err)
	}
}

// Without a value, and with those of the days when some verbs had no other, the flag means what it did.
func TestADryRunWithoutAValueIsAClients(t *testing.T) {
	for said, want := range map[string]string{"--dry-run": dryRunClient, "--dry-run=true": dryRunClient,
		"--dry-run=false": dryRunNone, "--dry-run=server": dryRunServer} {
		var o fleetOptions
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		o.addDryRun(flags)
		if err := errors.Join(flags.Parse([]string{said}), o.checkDryRun()); err != nil || o.dryRun != want {
			t.Errorf("%s means %q, want %q: %v", said, o.dryRun, want, err)
		}
	}
}

// A value that is not known is refused before a cluster is looked at, by every verb that has the flag.
func TestADryRunIsNoneClientOrServer(t *testing.T) {
	s := apifake.Start(apifake.Hub("eu")...)
	kubeconfig := serve(t, map[string]*apifake.Server{"hub": s}, nil)
	verbs := []string{"edge register eu", "edge unregister eu", "edge forget eu --reason gone", "edge publish",
		"token issue --zone eu --valid-for 1h --out x", "certificate request --key-out x", "migrate",
		"rollback", "key rotate", "key retire", "token rotate eu", "token revoke --zone eu"}
	for value, says := range map[string]string{
		"--dry-run=maybe": `error: --dry-run is "maybe"; pass none, client or server` + "\n",
		"--dry-run=":      `error: --dry-run is ""; pass none, client or server` + "\n",
	} {
		for _, verb := range verbs {
			if r := xcpauth(t, kubeconfig, append(strings.Fields(verb), value)...); r.code != 1 || r.err != says {
				t.Errorf("%s %s: exit code %d: %s", verb, value, r.code, r.err)
			}
		}
	}
	if asked := s.Requests(); len(asked) > 0 {
		t.Errorf("a cluster was asked: %v", asked)
	}
}
