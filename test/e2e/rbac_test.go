package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/xcpauth/kubectl-xcpauth/test/rbac"
	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
	"github.com/xcpauth/kubectl-xcpauth/test/testbed"
	"github.com/xcpauth/kubectl-xcpauth/test/xcpsim"
)

// The shipped roles are enough for the whole migration, under the webhook, for somebody who has nothing else; and
// reading alone is enough for status.
func TestTheShippedRolesAreEnough(t *testing.T) {
	t.Parallel()
	f := start(t, sandbox.Options{Webhook: true, Cadence: patient})
	users := map[string]map[string]*rest.Config{"reader": {}, "mover": {}}
	for _, cluster := range []string{"hub", "edge-1", "edge-2"} {
		f.bind(cluster, "reader", "xcpauth-read")
		f.bind(cluster, "mover", "xcpauth-read", "xcpauth-migrate", "xcpauth-rotate")
		for name := range users {
			users[name][cluster] = f.Bed.Cluster(cluster).UserConfig(name)
		}
	}
	as := func(name string) []string {
		path := filepath.Join(t.TempDir(), name)
		if err := testbed.WriteKubeconfig(path, "hub", users[name]); err != nil {
			t.Fatal(err)
		}
		return []string{"--kubeconfig", path}
	}

	rows := f.Rows(f.Xcpauth(0, append([]string{"status", "-o", "json"}, as("reader")...)...).Stdout)
	f.Is(rows, "edge-1", "effective", "mTLS")
	f.Is(rows, "edge-1", "next", "waits")
	f.Xcpauth(0, append([]string{"webhook", "status"}, as("mover")...)...)
	run := f.migrate(5, append([]string{"-o", "json"}, as("reader")...)...)
	refused := f.Rows(run.Stdout)
	f.Is(refused, "edge-1", "state", "blocked") // with the rights that are missing in its own cluster
	f.Is(refused, "hub", "state", "not attempted")
	if !strings.Contains(run.Stderr, "rights are missing in hub: ") || !strings.Contains(run.Stderr,
		"update leases.coordination.k8s.io/xcpauth in xcpauth-system") {
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
		if got := f.lacking(append(append([]string{"check", "-o", "json"}, tc.flags...),
			as(tc.user)...)...); !slices.Equal(got, tc.lacks) {
			t.Errorf("check %v says that the %s lacks rights in %q, want %q", tc.flags, tc.user, got, tc.lacks)
		}
	}

	// A fleet as it should be has no errors, before and after; and its tokens are what its hub signs.
	sound := func() {
		t.Helper()
		f.Xcpauth(0, append([]string{"check"}, as("mover")...)...)
		f.Xcpauth(0, "token", "verify", "--edge", "edge-1")
	}
	sound()
	f.migrate(0, as("mover")...)
	sound()
	if got := f.hubModes(); got != `{"jwt":true,"mutualTls":false}` {
		t.Errorf("the hub's modes are %s", got)
	}
	f.Xcpauth(0, append([]string{"token", "rotate", "--all", "-y", "--poll", "100ms"}, as("mover")...)...)
	f.Sim.SetEdge("edge-1", xcpsim.EdgeSwitches{NoTokens: true})
	f.Xcpauth(4, append([]string{"token", "rotate", "edge-1", "-y", "--poll", "100ms", "--prove-within", "1s", "-o",
		"json"}, as("mover")...)...)
	if !f.has("edge-1", "xcp-edge-central-auth-token") || f.has("edge-1", "xcp-edge-central-auth-token-xcpauth-before") {
		t.Error("the token of edge-1 is not back from its copy")
	}
}

// bind gives a user the shipped roles of these names in a cluster, as docs/install.md says.
func (f fleet) bind(cluster, user string, names ...string) {
	f.Helper()
	root, err := sandbox.Root()
	if err != nil {
		f.Fatal(err)
	}
	dir := "edge"
	if cluster == "hub" {
		dir = "hub"
	}
	kubectl := func(stdin string, args ...string) (string, error) {
		r := f.KubectlInput(f.Context(), stdin, append([]string{"--context", cluster}, args...)...)
		if r.Code != 0 {
			return "", fmt.Errorf("kubectl %v: %s", args, r.Stderr)
		}
		return r.Stdout, nil
	}
	if err := rbac.Bind(kubectl, root, dir, rbac.Usual[dir], user, names...); err != nil {
		f.Fatal(err)
	}
}

// Nothing more can be reached from the roles than what they are for: each way up is tried on real API servers, as
// somebody who has all of them. A role that may create a Secret of any name, patch a Deployment or patch a plane
// gives nothing beyond that.
func TestTheShippedRolesReachNothingElse(t *testing.T) {
	t.Parallel()
	f := start(t, sandbox.Options{Webhook: true})
	roles := []string{"xcpauth-read", "xcpauth-migrate", "xcpauth-rotate", "xcpauth-register"}
	for _, cluster := range []string{"hub", "edge-1"} {
		f.bind(cluster, "mallory", roles...)
	}
	kubectl := func(args ...string) sandbox.Run { return f.Kubectl(t.Context(), args...) }
	if r := kubectl("--context", "hub", "-n", "xcpauth-edges", "create", "rolebinding", "mallory",
		"--role=xcpauth-register", "--user=mallory"); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	if r := kubectl("--context", "hub", "-n", "xcpauth-edges", "create", "secret", "generic", "edge-1",
		"--from-literal=kubeconfig=canary-kubeconfig"); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	tokenSecret := func(ns, name string) string {
		return fmt.Sprintf(`{"apiVersion":"v1","kind":"Secret","type":"kubernetes.io/service-account-token","metadata":{"namespace":%q,"name":%q,`+
			`"annotations":{"kubernetes.io/service-account.name":"default"}}}`, ns, name)
	}
	overlay := `{"spec":{"components":{"xcp":{"kubeSpec":{"overlays":[{"kind":"Deployment","name":"x","patches":[{"path":"spec","value":{}}]}]}}}}}`
	const forbidden, limited = "is forbidden", "this role"
	for _, tc := range []struct {
		name, cluster string
		stdin         string
		args          []string
		says          string
	}{
		{"a service account's token in kube-system", "hub", tokenSecret("kube-system", "xcp-central-cert"),
			[]string{"create", "-f", "-"}, forbidden},
		{"a service account's token beside Central", "hub", tokenSecret("tsb", "xcp-central-cert-xcpauth-before"),
			[]string{"create", "-f", "-"}, limited},
		{"a service account's token beside an edge", "edge-1", tokenSecret("istio-system", "oap-token"),
			[]string{"create", "-f", "-"}, limited},
		{"a service account's token beside the kubeconfigs", "hub", tokenSecret("xcpauth-edges", "x"),
			[]string{"create", "-f", "-"}, limited},
		{"a secret of one of our names elsewhere", "hub", "", []string{"-n", "kube-system", "patch", "secret",
			"xcp-central-cert", "-p", "{}"}, forbidden},
		{"a secret of one of our names elsewhere, read", "edge-1", "", []string{"-n", "kube-system", "get", "secret",
			"oap-token"}, forbidden},
		{"a stored kubeconfig, read", "hub", "", []string{"-n", "xcpauth-edges", "get", "secret", "edge-1"}, forbidden},
		{"a stored kubeconfig, by an empty patch", "hub", "", []string{"-n", "xcpauth-edges", "patch", "secret", "edge-1",
			"-p", "{}", "--dry-run=server", "-o", "yaml"}, forbidden},
		{"a stored kubeconfig, by an empty apply", "hub",
			`{"apiVersion":"v1","kind":"Secret","metadata":{"namespace":"xcpauth-edges","name":"edge-1"}}`,
			[]string{"apply", "--server-side", "-f", "-", "--dry-run=server", "-o", "yaml"}, forbidden},
		{"a token, asked for", "hub", "", []string{"-n", "tsb", "create", "token", "default"}, forbidden},
		{"a token of kube-system, asked for", "edge-1", "", []string{"-n", "kube-system", "create", "token",
			"xcpauth-reader"}, forbidden},
		{"a binding to cluster-admin", "hub", "", []string{"create", "clusterrolebinding", "up",
			"--clusterrole=cluster-admin", "--user=mallory"}, forbidden},
		{"a binding to cluster-admin in a namespace", "edge-1", "", []string{"-n", "istio-system", "create", "rolebinding",
			"xcpauth-reader", "--clusterrole=cluster-admin", "--user=mallory"}, forbidden},
		{"a role with all rights in a namespace", "edge-1", "", []string{"-n", "istio-system", "create", "role",
			"xcpauth-reader", "--verb=*", "--resource=secrets"}, forbidden},
		{"a pod", "hub", "", []string{"-n", "tsb", "run", "up", "--image=x"}, forbidden},
		{"a pod beside an edge", "edge-1", "", []string{"-n", "istio-system", "run", "up", "--image=x"}, forbidden},
		{"a command in a pod of kube-system", "hub", `{}`, []string{"create", "--raw",
			"/api/v1/namespaces/kube-system/pods/x/exec?command=id", "-f", "-"}, forbidden},
		{"a port of a pod of kube-system", "hub", `{}`, []string{"create", "--raw",
			"/api/v1/namespaces/kube-system/pods/x/portforward", "-f", "-"}, forbidden},
		{"Central as another service account", "hub", "", []string{"-n", "tsb", "patch", "deployment", "central", "-p",
			`{"spec":{"template":{"spec":{"serviceAccountName":"up"}}}}`}, limited},
		{"Central with another image", "hub", "", []string{"-n", "tsb", "patch", "deployment", "central", "--type=json", "-p",
			`[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"up"}]`}, limited},
		{"another container beside Central", "hub", "", []string{"-n", "tsb", "patch", "deployment", "central", "--type=json",
			"-p", `[{"op":"add","path":"/spec/template/spec/containers/-","value":{"name":"up","image":"up"}}]`}, limited},
		{"another Deployment", "hub", "", []string{"-n", "tsb", "patch", "deployment", "mpc", "-p", "{}"}, forbidden},
		{"whatever an operator runs, by the hub's plane", "hub", "", []string{"-n", "tsb", "patch", "managementplane",
			"managementplane", "--type=merge", "-p", overlay}, limited},
		{"whatever an operator runs, by an edge's plane", "edge-1", "", []string{"-n", "istio-system", "patch",
			"controlplane", "controlplane", "--type=merge", "-p", overlay}, limited},
		{"another part of a plane", "edge-1", "", []string{"-n", "istio-system", "patch", "controlplane", "controlplane",
			"--type=merge", "-p", `{"spec":{"managementPlane":{"host":"up.example.test"}}}`}, limited},
		{"an admission webhook", "hub",
			`{"apiVersion":"admissionregistration.k8s.io/v1","kind":"MutatingWebhookConfiguration","metadata":{"name":"up"}}`,
			[]string{"create", "-f", "-"}, forbidden},
		{"our own webhook's configuration", "hub", "", []string{"delete", "validatingwebhookconfiguration",
			"xcpauth-webhook"}, forbidden},
		{"the policies that limit", "hub", "", []string{"delete", "validatingadmissionpolicy", "xcpauth-limits-secrets"},
			forbidden},
		{"a certificate signing request", "hub",
			`{"apiVersion":"certificates.k8s.io/v1","kind":"CertificateSigningRequest","metadata":{"name":"up"},"spec":{"request":"eA==","signerName":"kubernetes.io/kube-apiserver-client","usages":["client auth"]}}`,
			[]string{"create", "-f", "-"}, forbidden},
		{"somebody else's name", "hub", "", []string{"--as-group=system:masters", "get", "secrets", "-A"},
			"cannot impersonate"},
	} {
		args := append([]string{"--context", tc.cluster}, tc.args...)
		if strings.Contains(tc.name, "somebody else") {
			args = append(args, "--kubeconfig", f.userConfig("mallory"), "--as=admin")
		} else {
			args = append(args, "--kubeconfig", f.userConfig("mallory"))
		}
		r := f.KubectlInput(t.Context(), tc.stdin, args...)
		if r.Code == 0 || !strings.Contains(r.Stderr, tc.says) || strings.Contains(r.Stdout, "canary") {
			t.Errorf("%s: exit code %d, want a refusal with %q:\n%s%s", tc.name, r.Code, tc.says, r.Stdout, r.Stderr)
		}
	}
}

// userConfig is a kubeconfig of a user in every cluster.
func (f fleet) userConfig(user string) string {
	f.Helper()
	all := map[string]*rest.Config{}
	for _, c := range f.Bed.Clusters() {
		all[c.Name] = c.UserConfig(user)
	}
	path := filepath.Join(f.TempDir(), user)
	if err := testbed.WriteKubeconfig(path, "hub", all); err != nil {
		f.Fatal(err)
	}
	return path
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
