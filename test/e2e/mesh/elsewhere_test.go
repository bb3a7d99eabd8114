package mesh

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/test/kumasim/fleet"
)

// A global whose state is in a store of its own, while its cluster has the product's kinds and three zones are
// connected to it: nothing is written by any verb, and nobody is refused.
func TestAGlobalThatKeepsItsStateElsewhereIsLeftAlone(t *testing.T) {
	m := start(t, func(o *fleet.Options) { o.StoredElsewhere = true })
	_, key := signingKeys(t) // one that nobody reads
	m.apply("global", secretYAML("zone-token-signing-key-1", namespace, "system.kuma.io/global-secret", "value", key))
	objects := func() string {
		var all []string
		for _, cluster := range append([]string{"global"}, zones...) {
			r := m.kubectl(
				"--context",
				cluster,
				"get",
				"secrets,configmaps,leases,namespaces,deployments.apps",
				"-A",
				"--show-managed-fields",
				"-o",
				`jsonpath={range .items[*]}{.kind}/{.metadata.namespace}/{.metadata.name}/{.metadata.uid}/{.metadata.generation}`+
					` {.metadata.managedFields[*].manager}{"\n"}{end}`,
			)
			for line := range strings.Lines(r.Stdout) {
				// The product itself goes on writing what it syncs, so of that only what bears our name counts.
				if real.Program == nil || strings.Contains(line, "kubectl-xcpauth") {
					all = append(all, cluster+" "+line)
				}
			}
		}
		return strings.Join(all, "")
	}
	before := objects()
	if real.Program != nil && before != "" {
		t.Fatalf("something bears our name before anything was run:\n%s", before)
	}
	for _, verb := range [][]string{
		{"migrate", "-y"}, {"migrate", "--to=edges", "-y"}, {"rollback", "-y"}, {"key", "rotate", "-y"},
		{"key", "retire", "-y"},
		{"token", "revoke", "11111111-1111-4111-8111-111111111111", "-y"},
		{"token", "issue", "--zone", "west", "--valid-for", "1h", "--tokens-from=key", "--out",
			filepath.Join(t.TempDir(), "west.jwt")},
		{"plan"}, {"check"},
	} {
		r := m.Xcpauth(5, verb...)
		if said := strings.Join(strings.Fields(r.Stdout+r.Stderr), " "); !strings.Contains(
			said,
			"KUMA_ENVIRONMENT is universal",
		) {
			t.Errorf("%v does not say why:\n%s%s", verb, r.Stdout, r.Stderr)
		}
	}
	if after := objects(); after != before {
		t.Errorf("something was written:\nbefore\n%s\nafter\n%s", before, after)
	}
	if n := len(m.Live()); n != len(zones) {
		t.Errorf("%d zones are connected, want %d", n, len(zones))
	}
}
