package e2e

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
	"github.com/xcpauth/kubectl-xcpauth/test/testbed"
	"github.com/xcpauth/kubectl-xcpauth/test/xcpsim"
)

// The shipped roles are enough for the whole migration, under the webhook, for somebody who has nothing else; and reading
// alone is enough for status.
func TestTheShippedRolesAreEnough(t *testing.T) {
	t.Parallel()
	f := start(t, sandbox.Options{Webhook: true})
	root, err := sandbox.Root()
	if err != nil {
		t.Fatal(err)
	}
	admin := func(args ...string) {
		t.Helper()
		if r := f.Kubectl(t.Context(), args...); r.Code != 0 {
			t.Fatalf("kubectl %v: %s", args, r.Stderr)
		}
	}
	users := map[string]map[string]*rest.Config{"reader": {}, "mover": {}}
	for _, cluster := range []string{"hub", "edge-1", "edge-2"} {
		if cluster != "hub" {
			admin("--context", cluster, "apply", "-k", filepath.Join(root, "manifests", "rbac"))
		}
		for name := range users {
			users[name][cluster] = f.Bed.Cluster(cluster).UserConfig(name)
			admin("--context", cluster, "create", "clusterrolebinding", name+"-read", "--clusterrole=xcpauth-read", "--user="+name)
		}
		admin("--context", cluster, "create", "clusterrolebinding", "mover-migrate", "--clusterrole=xcpauth-migrate", "--user=mover")
		admin("--context", cluster, "create", "clusterrolebinding", "mover-rotate", "--clusterrole=xcpauth-rotate", "--user=mover")
	}
	admin("--context", "hub", "-n", "xcpauth-system", "create", "rolebinding", "mover-migrate", "--role=xcpauth-migrate", "--user=mover")
	as := func(name string) []string {
		path := filepath.Join(t.TempDir(), name)
		if err := testbed.WriteKubeconfig(path, "hub", users[name]); err != nil {
			t.Fatal(err)
		}
		return []string{"--kubeconfig", path}
	}

	rows := f.rows(f.xcpauth(0, append([]string{"status", "-o", "json"}, as("reader")...)...).Stdout)
	f.is(rows, "edge-1", "effective", "mTLS")
	f.is(rows, "edge-1", "next", "move to JWT")
	f.xcpauth(0, append([]string{"webhook", "status"}, as("mover")...)...)
	run := f.migrate(5, append([]string{"-o", "json"}, as("reader")...)...)
	refused := f.rows(run.Stdout)
	f.is(refused, "edge-1", "state", "not attempted")
	f.is(refused, "hub", "state", "not attempted")
	if !strings.Contains(run.Stderr, `User "reader" cannot get resource "leases"`) {
		t.Errorf("the missing right is not named: %q", run.Stderr)
	}

	// check says the same beforehand: the reader may look and not migrate, and the mover lacks nothing.
	for _, tc := range []struct {
		user  string
		flags []string
		lacks []string // contexts
	}{
		{"reader", []string{"--read-only"}, nil},
		{"reader", nil, []string{"edge-1", "edge-2", "hub"}},
		{"mover", nil, nil},
	} {
		if got := f.lacking(append(append([]string{"check", "-o", "json"}, tc.flags...), as(tc.user)...)...); !slices.Equal(got, tc.lacks) {
			t.Errorf("check %v says that the %s lacks rights in %q, want %q", tc.flags, tc.user, got, tc.lacks)
		}
	}

	// A fleet as it should be has no errors, before and after; and its tokens are what its hub signs.
	sound := func() {
		t.Helper()
		f.xcpauth(0, append([]string{"check"}, as("mover")...)...)
		f.xcpauth(0, "token", "verify", "--edge", "edge-1")
	}
	sound()
	f.migrate(0, as("mover")...)
	sound()
	if got := f.hubModes(); got != `{"jwt":true,"mutualTls":false}` {
		t.Errorf("the hub's modes are %s", got)
	}
	f.xcpauth(0, append([]string{"token", "rotate", "--all", "-y", "--poll", "100ms"}, as("mover")...)...)
	f.Sim.SetEdge("edge-1", xcpsim.EdgeSwitches{NoTokens: true})
	f.xcpauth(4, append([]string{"token", "rotate", "edge-1", "-y", "--poll", "100ms", "--prove-within", "1s", "-o", "json"}, as("mover")...)...)
	if !f.has("edge-1", "xcp-edge-central-auth-token") || f.has("edge-1", "xcp-edge-central-auth-token-xcpauth-before") {
		t.Error("the token of edge-1 is not back from its copy")
	}
}

// lacking are the contexts in which check says that rights are missing, sorted.
func (f fleet) lacking(args ...string) []string {
	f.Helper()
	r := f.Kubectl(f.Context(), append([]string{"xcpauth"}, args...)...)
	var report struct {
		Findings []struct{ Rule, Context string } `json:"findings"`
	}
	if err := json.Unmarshal([]byte(r.Stdout), &report); err != nil {
		f.Fatalf("kubectl xcpauth %v: %v\n%s\n%s", args, err, r.Stdout, r.Stderr)
	}
	var contexts []string
	for _, x := range report.Findings {
		if x.Rule == "XA002" {
			contexts = append(contexts, x.Context)
		}
	}
	slices.Sort(contexts)
	return contexts
}
