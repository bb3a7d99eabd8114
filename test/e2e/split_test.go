package e2e

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
	"github.com/xcpauth/kubectl-xcpauth/test/testbed"
	"github.com/xcpauth/kubectl-xcpauth/test/xcpsim"
)

// Three teams, each with a kubeconfig of its own clusters alone: the hub's accepts both, each edge's moves its own
// and provides what it verified, the hub's turns mTLS off without ever having seen an edge. Nobody is refused.
func TestTeamsThatShareNothingMigrateTogether(t *testing.T) {
	t.Parallel()
	f := start(t, sandbox.Options{Webhook: true})
	team := func(cluster string) []string {
		path := filepath.Join(t.TempDir(), cluster)
		if err := testbed.WriteKubeconfig(path, cluster,
			map[string]*rest.Config{cluster: f.Bed.Cluster(cluster).Config}); err != nil {
			t.Fatal(err)
		}
		return []string{"--kubeconfig", path}
	}
	hub := team("hub")
	with := func(args ...string) []string { return append(args, hub...) }

	f.migrate(0, with("--to=dual")...)
	if got := f.hubModes(); got != `{"jwt":true,"mutualTls":true}` {
		t.Fatalf("the hub's modes are %s", got)
	}
	ca := filepath.Join(t.TempDir(), "ca.crt")
	bundle, err := base64.StdEncoding.DecodeString(f.get("hub", "tsb", "secret/xcp-central-cert", `{.data.ca\.crt}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(ca, bundle, 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, edge := range []string{"edge-1", "edge-2"} {
		own := func(args ...string) []string { return append(args, team(edge)...) }
		rows := f.Rows(f.Xcpauth(0, own("status", "--no-hub", "-o", "json")...).Stdout)
		f.Is(rows, edge, "effective", "mTLS")
		if len(rows) != 1 {
			t.Errorf("the team of %s sees %v", edge, rows)
		}
		f.Kubectl(t.Context(), "--context", edge, "-n", "istio-system", "create", "secret", "generic",
			"xcp-central-ca-bundle", "--from-file=ca.crt="+ca)
		done := f.Rows(f.migrate(0, own("--to=edges", "--no-hub", "-o", "json")...).Stdout)
		f.Is(done, edge, "state", "changed")
		if out := f.Xcpauth(0, own("status", "--history", "--no-hub")...).Stdout; !strings.Contains(out, "goal edges, by ") ||
			!strings.Contains(out, "  "+edge+"; ") {
			t.Errorf("the history of %s is\n%s", edge, out)
		}
		handed := f.Xcpauth(0, own("edge", "publish", "--no-hub", "--poll", "100ms", "--fence-for", "1s", "--out",
			filepath.Join(dir, edge+".yaml"))...)
		if !strings.Contains(handed.Stdout, "within 7 days") {
			t.Errorf("what stands behind a fence is believed for 7 days:\n%s", handed.Stdout)
		}
		if !strings.Contains(strings.Join(strings.Fields(handed.Stdout), " "),
			"publish it with: kubectl xcpauth edge publish -f "+filepath.Join(dir, edge+".yaml")) {
			t.Errorf("what to do with the file is not said:\n%s", handed.Stdout)
		}
	}
	refused := f.Rows(f.migrate(5, with("--to=jwt-only", "-o", "json")...).Stdout)
	f.Is(refused, "edge-1", "state", "blocked")
	for _, edge := range []string{"edge-1", "edge-2"} {
		taken := f.Rows(f.Xcpauth(0, with("edge", "publish", "-f", filepath.Join(dir, edge+".yaml"), "-o", "json")...).Stdout)
		f.Is(taken, edge, "state", "changed")
		if edge == "edge-2" {
			break // from now on the edit is safe, whoever makes it
		}
		if denied := f.Kubectl(t.Context(), tooEarly...); denied.Code == 0 || !strings.Contains(denied.Stderr, "- edge-2") ||
			strings.Contains(denied.Stderr, "- edge-1") {
			t.Errorf("with the statement of edge-1 alone, mTLS off ended with %d: %s", denied.Code, denied.Stderr)
		}
	}
	f.migrate(0, with("--to=jwt-only")...)
	if got := f.hubModes(); got != `{"jwt":true,"mutualTls":false}` {
		t.Errorf("the hub's modes are %s", got)
	}
	back := f.rollback(5, append([]string{"--no-hub"}, team("edge-1")...)...)
	if text := strings.Join(strings.Fields(back.Stdout), " "); !strings.Contains(text,
		"the hub's team may rely on its fence") || !strings.Contains(text, "pass --hub-agrees") {
		t.Errorf("the way back of a team that cannot see that the hub has closed says\n%s", back.Stdout)
	}
	for _, member := range []string{"edge-1", "edge-2", xcpsim.MPCMember} {
		if got := f.presents(member); len(got) != 1 || got[0] != xcpsim.JWT {
			t.Errorf("%s presents %v, want JWT alone", member, got)
		}
	}
}
