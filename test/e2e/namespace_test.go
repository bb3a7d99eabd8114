package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
	"github.com/xcpauth/kubectl-xcpauth/test/testbed"
)

// A hub whose roster's kind names a namespace keeps all of its state there, for everybody: the shipped roles are
// enough in it, nothing is made in the usual one, and who names another one changes nothing.
func TestAHubKeepsItsStateInTheNamespaceThatItNames(t *testing.T) {
	t.Parallel()
	f := start(t, sandbox.Options{})
	const ns = "mesh-auth"
	f.Xcpauth(0, "install", "crds", "--context", "hub", "--namespace", ns, "--apply")
	roles := []string{"--role", "read,migrate", "--user", "mover", "--apply"}
	f.Xcpauth(0, append([]string{"install", "rbac", "hub", "--context", "hub", "--namespace", ns}, roles...)...)
	f.Xcpauth(0, append([]string{"install", "rbac", "edge", "--contexts", "edge-1,edge-2"}, roles...)...)
	users := map[string]*rest.Config{}
	for _, cluster := range []string{"hub", "edge-1", "edge-2"} {
		users[cluster] = f.Bed.Cluster(cluster).UserConfig("mover")
	}
	kubeconfig := filepath.Join(t.TempDir(), "mover")
	if err := testbed.WriteKubeconfig(kubeconfig, "hub", users); err != nil {
		t.Fatal(err)
	}

	for _, args := range [][]string{
		{"migrate", "-y", "-n", "xcpauth-system"},
		{"install", "webhook", "--image", "i:1", "--context", "hub", "-n", "elsewhere", "--apply"},
		{"install", "rbac", "hub", "--context", "hub", "-n", "xcpauth-system", "--apply"},
	} {
		if r := f.Xcpauth(1, args...); !strings.Contains(r.Stderr, "keeps its state in namespace "+ns) {
			t.Errorf("%v: %s", args, r.Stderr)
		}
	}
	if lacks := f.lacking("check", "-o", "json", "--kubeconfig", kubeconfig); len(lacks) > 0 {
		t.Errorf("check says that rights are missing in %q", lacks)
	}
	f.migrate(0, "--kubeconfig", kubeconfig)
	if got := f.hubModes(); got != `{"jwt":true,"mutualTls":false}` {
		t.Errorf("the hub's modes are %s", got)
	}
	for _, object := range []string{"configmap/xcpauth-journal", "lease/xcpauth", "edgecluster.xcpauth.io/edge-1",
		"edgecluster.xcpauth.io/mpc"} {
		if f.get("hub", ns, object, "{.metadata.name}") == "" {
			t.Errorf("%s is not in %s", object, ns)
		}
	}
	f.Xcpauth(0, "status", "-n", ns)
	f.Xcpauth(0, "edge", "list")
	f.Xcpauth(0, append([]string{"rollback", "--kubeconfig", kubeconfig}, quickBack...)...)
	if got := f.edgeMode("edge-1"); got != "MUTUAL_TLS" {
		t.Errorf("edge-1 is back on %s", got)
	}
	for _, usual := range []string{"xcpauth-system", "elsewhere"} {
		if r := f.Kubectl(t.Context(), "--context", "hub", "get", "namespace", usual); r.Code == 0 {
			t.Errorf("namespace %s was made", usual)
		}
	}
}
