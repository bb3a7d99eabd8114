package universal

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/test/e2e/runs"
	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
	"github.com/xcpauth/kubectl-xcpauth/test/testbed"
)

// ops is the cluster that keeps the lock and the journal; program is the directory of the built plugin.
var (
	ops     *testbed.Bed
	program string
)

func TestMain(m *testing.M) {
	if os.Getenv("KUMA_CP") == "" || os.Getenv("KUMACTL") == "" {
		fmt.Println("Not run: KUMA_CP and KUMACTL do not name the product's programs; see test/e2e/universal/doc.go.")
		return
	}
	code, err := withCluster(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func withCluster(m *testing.M) (code int, err error) {
	if program, err = os.MkdirTemp("", "xcpauth-universal-"); err != nil {
		return 0, err
	}
	defer os.RemoveAll(program)
	if err := sandbox.Build(context.Background(), "./plugin/kubectl-xcpauth",
		filepath.Join(program, "kubectl-xcpauth")); err != nil {
		return 0, err
	}
	if ops, err = testbed.Start(context.Background(), testbed.Options{Clusters: []string{"ops"},
		Dir: filepath.Join(program, "bed"), NoVendorCRDs: true}); err != nil {
		return 0, err
	}
	defer ops.Stop()
	return m.Run(), nil
}

// world is a global with one zone, both of the product itself, and runs of the plugin against it.
type world struct {
	*runs.Recorder
	*global
	zone *global
}

// start starts a global that keeps its state so, and its zone.
func start(t *testing.T, store []string, env ...string) world {
	t.Helper()
	g, kds := newProcess(t, "global", store...)
	g.env = append(g.env, "KUMA_MULTIZONE_GLOBAL_KDS_ZONE_INSIGHT_FLUSH_INTERVAL=200ms")
	g.start(env...)
	z, _ := newProcess(t, "zone", "KUMA_STORE_TYPE=memory", "KUMA_MULTIZONE_ZONE_NAME=west",
		fmt.Sprintf("KUMA_MULTIZONE_ZONE_GLOBAL_ADDRESS=grpcs://127.0.0.1:%d", kds),
		"KUMA_MULTIZONE_ZONE_KDS_TLS_SKIP_VERIFY=true")
	z.start()
	return world{runs.New(t, func(ctx context.Context, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, filepath.Join(ops.Bin, "kubectl"), args...)
		cmd.Env = append(os.Environ(), "KUBECONFIG="+ops.Kubeconfig, "KUBECACHEDIR="+t.TempDir(),
			"PATH="+program+string(os.PathListSeparator)+os.Getenv("PATH"))
		return cmd
	}), g, z}
}

// startStored starts one with a PostgreSQL of its own; nil where the environment names none, which is said.
func startStored(t *testing.T) (*postgres, world) {
	t.Helper()
	if os.Getenv("POSTGRES") == "" {
		t.Log("left out: POSTGRES does not name the directory of initdb and postgres")
		return nil, world{}
	}
	db := newPostgres(t)
	db.migrate()
	return db, start(t, db.env())
}

// says runs the plugin against the global, and returns what it prints on one line.
func (w world) says(code int, verb ...string) string {
	w.Recorder.Helper()
	r := w.Recorder.Xcpauth(code, slices.Concat(verb, []string{"--global-api", w.url, "--state-context", "ops"})...)
	return strings.Join(strings.Fields(r.Stdout+r.Stderr), " ")
}

// wants wants what is printed to have each of these texts.
func wants(t *testing.T, said string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(said, text) {
			t.Errorf("it does not say %q:\n%s", text, said)
		}
	}
}

// A store that does not outlive its process is named, and nothing is changed.
func TestARealGlobalInMemoryIsNotChanged(t *testing.T) {
	w := start(t, []string{"KUMA_STORE_TYPE=memory"})
	wants(t, w.says(5, "check"), "XA198", "it keeps its state in memory")
	wants(t, w.says(5, "migrate", "-y"), "in memory")
}

// Keys, tokens and revocations of a real global are read and changed by its API; what kumactl reads of it is the same.
func TestARealGlobalIsReadAndChangedByItsAPI(t *testing.T) {
	db, w := startStored(t)
	if db == nil {
		return
	}
	w.global.await("the zone to be connected", func() bool {
		return strings.Contains(w.kumactl("get", "zones", "-o", "json"), `"west"`)
	})
	w.global.await("the global to tell of the zone's configuration", func() bool {
		return strings.Contains(w.says(0, "status"), "west: it runs in no cluster")
	})
	wants(t, w.says(0, "key", "list"), "zone-token-signing-key-1")
	wants(t, w.says(5, "plan"), "it runs in no cluster; give it a token")

	file := filepath.Join(t.TempDir(), "west.jwt")
	w.says(0, "token", "issue", "--zone", "west", "--valid-for", "1h", "--out", file)
	token, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	w.Recorder.Secrets.Add(file, "token", token)
	wants(t, w.says(0, "status", "--zone-token", "west="+file), "it is connected without a token")

	revoked := func() string { return w.kumactl("get", "global-secret", "zone-token-revocations", "-o", "json") }
	list := func(ids string) string { return base64.StdEncoding.EncodeToString([]byte(ids)) }
	wants(t, w.says(5, "token", "revoke", "-y", one), "what it presents is not known")
	w.zone.stop()
	w.global.await("the zone to be deleted", func() bool { // once the global has seen that it left
		_, err := w.ctl("delete", "zone", "west")
		return err == nil
	})
	w.says(0, "token", "revoke", "-y", one)
	wants(t, revoked(), list(one))

	db.stop()
	wants(t, w.says(5, "token", "revoke", "-y", two), "500")
	if said := w.says(0, "status"); strings.Contains(said, "zone-token-signing-key-1") {
		t.Errorf("keys are told while the store is away:\n%s", said)
	}
	db.start()
	w.global.await("the global to find its store again", func() bool {
		return strings.Contains(w.says(0, "key", "list"), "zone-token-signing-key-1")
	})
	wants(t, revoked(), list(one))
	w.says(0, "token", "revoke", "-y", two)
	wants(t, revoked(), list(one+","+two))
	w.Recorder.NoSecrets()
}

// IDs of tokens.
const (
	one = "0e120ec9-6b42-495d-9758-07b59fe86fb9"
	two = "1e120ec9-6b42-495d-9758-07b59fe86fb9"
)

// What a user of a real global may do is told beforehand by who it is and the global's settings; and the API's own
// answer is the same.
func TestARightThatARealGlobalDoesNotGiveIsNamed(t *testing.T) {
	db, w := startStored(t)
	if db == nil {
		return
	}
	token := func(user, group string) string {
		file := filepath.Join(t.TempDir(), user)
		text := w.kumactl("generate", "user-token", "--name", user, "--group", group, "--valid-for", "1h")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		w.Recorder.Secrets.Add(file, "token", []byte(text))
		return file
	}
	bob, dave, carol := token("bob", "team"), token("dave", "keepers"), token("carol", "mesh-system:admin")
	w.global.stop()
	w.global.start("KUMA_API_SERVER_AUTHN_LOCALHOST_IS_ADMIN=false",
		"KUMA_ACCESS_STATIC_ADMIN_RESOURCES_GROUPS=mesh-system:admin,keepers")
	const issue, secrets = "issue zone tokens (access.static.generateZoneToken)",
		"read and change signing keys and revocations (access.static.adminResources)"
	wants(t, w.says(5, "check"), "XA198", "XA199", "does not let mesh-system:anonymous/mesh-system:unauthenticated", issue,
		secrets)
	wants(t, w.says(5, "check", "--api-token", bob), "XA198", "XA199", "does not let bob/team", issue, secrets, "403")
	said := w.says(5, "check", "--api-token", dave)
	wants(t, said, "XA199", "does not let dave/keepers", issue)
	out := filepath.Join(t.TempDir(), "west.jwt")
	wants(t, w.says(5, "token", "issue", "--zone", "west", "--valid-for", "1h", "--out", out, "--api-token", dave), issue)
	if strings.Contains(said, "XA198") || strings.Contains(said, secrets) {
		t.Errorf("dave may read secrets, and check says\n%s", said)
	}
	w.says(0, "token", "issue", "--zone", "west", "--valid-for", "1h", "--out", out, "--api-token", dave,
		"--tokens-from=key")
	if said := w.says(0, "check", "--api-token", carol); strings.Contains(said, "XA199") {
		t.Errorf("carol may do everything, and check says\n%s", said)
	}
	w.Recorder.NoSecrets()
}
