package e2e

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
)

// Three clusters: one enforces the fence, one only stores it, one does not know such policies. The first is fenced
// in, which kubectl edit meets and rollback removes first; the others are done without, which is said.
func TestEdgesAreFencedInWhereTheirClustersCan(t *testing.T) {
	t.Parallel()
	f := start(t, sandbox.Options{Edges: []string{"edge-1", "edge-2", "edge-3"}, Webhook: true})
	for cluster, flags := range map[string][]string{
		"edge-2": {"--disable-admission-plugins=ValidatingAdmissionPolicy"},
		"edge-3": {"--disable-admission-plugins=ValidatingAdmissionPolicy",
			"--runtime-config=admissionregistration.k8s.io/v1/validatingadmissionpolicies=false,admissionregistration.k8s.io/v1/validatingadmissionpolicybindings=false"},
	} {
		if err := f.Bed.Cluster(cluster).RestartAPIServer(t.Context(), flags...); err != nil {
			t.Fatal(err)
		}
	}
	said := f.migrate(0, "--prove-within", "25s")
	if !strings.Contains(said.Stderr,
		"edge-2: goes on without: not verified within 25s: the dry run of an edit was let through") {
		t.Errorf("of a fence that does not deny is told\n%s", said.Stderr)
	}
	rows := f.Rows(f.Xcpauth(0, "status", "-o", "json").Stdout)
	for edge, want := range map[string]string{"edge-1": "verified ", "edge-2": "stored, not verified",
		"edge-3": "none: its API server has no ValidatingAdmissionPolicy"} {
		if got, _ := rows[edge]["fence"].(string); !strings.HasPrefix(got, want) {
			t.Errorf("the fence of %s is %q, want %s", edge, got, want)
		}
	}
	for edge, want := range map[string]time.Duration{"edge-1": 7 * 24 * time.Hour, "edge-2": 15 * time.Minute,
		"edge-3": 15 * time.Minute} {
		var st struct{ ObservedTime, ValidUntil time.Time }
		if err := json.Unmarshal([]byte(f.get("hub", "xcpauth-system", "edgecluster/"+edge, "{.status}")), &st); err != nil {
			t.Fatal(err)
		}
		if got := st.ValidUntil.Sub(st.ObservedTime); got != want {
			t.Errorf("what is stated of %s is believed for %s, want %s", edge, got, want)
		}
	}

	back := func(cluster, patch string) sandbox.Run {
		return f.Kubectl(t.Context(), "--context", cluster, "-n", "istio-system", "patch", "controlplane/controlplane",
			"--type=merge", "--dry-run=server", "-p", patch)
	}
	if r := back("edge-1", `{"spec":{"components":{"xcp":{"centralAuthMode":"MUTUAL_TLS"}}}}`); r.Code == 0 ||
		!strings.Contains(r.Stderr, "'xcpauth-fence'") || !strings.Contains(r.Stderr,
		"to go back run: kubectl xcpauth rollback") {
		t.Errorf("an edit of a fenced edge ends with %d:\n%s", r.Code, r.Stderr)
	}
	if r := back("edge-1", `{"spec":{"components":{"xcp":{"logLevels":{"default":"info"}}}}}`); r.Code != 0 {
		t.Errorf("the fence denies what has nothing to do with it:\n%s", r.Stderr)
	}

	f.rollback(0)
	f.backOnMTLS("edge-1", "edge-2", "edge-3")
	for _, edge := range []string{"edge-1", "edge-2"} {
		r := f.Kubectl(t.Context(), "--context", edge, "get", "validatingadmissionpolicies,validatingadmissionpolicybindings",
			"-o", "name")
		if r.Code != 0 || strings.Contains(r.Stdout, "xcpauth") {
			t.Errorf("after the rollback %s has\n%s%s", edge, r.Stdout, r.Stderr)
		}
	}

	f.migrate(0, "--no-fence")
	if got, _ := f.Rows(f.Xcpauth(0, "status", "-o", "json").Stdout)["edge-1"]["fence"].(string); got != "none" {
		t.Errorf("with --no-fence the fence is %q", got)
	}
}

// The fence of the release before forbids an ordinary edit for good. check names it, and the next migration replaces
// it, although the hub has accepted JWTs alone for long: after that the edit is admitted, and one of the mode is still
// denied.
func TestAFenceOfAnotherReleaseIsReplacedByTheNextRun(t *testing.T) {
	t.Parallel()
	f := start(t, sandbox.Options{Edges: []string{"edge-1"}, Webhook: true})
	f.migrate(0)
	root, err := sandbox.Root()
	if err != nil {
		t.Fatal(err)
	}
	on := func(args ...string) sandbox.Run {
		return f.Kubectl(t.Context(), append([]string{"--context", "edge-1"}, args...)...)
	}
	edit := func(xcp string) sandbox.Run {
		return on("-n", "istio-system", "patch", "controlplane/controlplane", "--type=merge", "--dry-run=server", "-p",
			`{"spec":{"components":{"xcp":`+xcp+`}}}`)
	}
	const ordinary = `{"kubeSpec":{"overlays":[{"apiVersion":"install.xcp.tetrate.io/v1alpha1","kind":"EdgeXcp",
		"name":"edge-xcp","patches":[
		{"path":"spec.components.edgeServer.kubeSpec.deployment.env[-1]",
		"value":{"name":"ENABLE_DNS_RESOLUTION_AT_EDGE","value":"true"}}]}]}}`
	const back = `{"centralAuthMode":"MUTUAL_TLS"}`
	outdated := func() bool {
		return strings.Contains(f.Xcpauth(0, "check", "-o", "json").Stdout, "it is version 1, and this release has version 2")
	}
	if outdated() {
		t.Error("the fence that was just installed is called another release's")
	}
	if r := on("replace", "-f", filepath.Join(root, "pkg", "tsb", "migration", "testdata", "fence-1.yaml")); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	f.eventually("the fence of the release before is enforced", func() bool { return edit(ordinary).Code != 0 })
	if !outdated() {
		t.Error("check does not name the fence of another release")
	}
	f.migrate(0)
	if outdated() {
		t.Error("the fence of another release is still there after a migration")
	}
	if r := edit(ordinary); r.Code != 0 {
		t.Errorf("an ordinary edit is denied:\n%s", r.Stderr)
	}
	if r := edit(back); r.Code == 0 || !strings.Contains(r.Stderr, "'xcpauth-fence'") {
		t.Errorf("an edit of the mode ends with %d:\n%s", r.Code, r.Stderr)
	}
	if got, _ := f.Rows(f.Xcpauth(0, "status", "-o", "json").Stdout)["edge-1"]["fence"].(string); !strings.HasPrefix(got,
		"verified ") {
		t.Errorf("the fence is %q", got)
	}
}
