package e2e

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
	"github.com/xcpauth/kubectl-xcpauth/test/xcpsim"
)

// Tokens are made again, one edge first; where nothing would make one, it is not deleted; where none comes, or the
// run is killed before one does, the old one is put back. Nobody is refused.
func TestTokensAreMadeAnewOrPutBack(t *testing.T) {
	t.Parallel()
	f := start(t, sandbox.Options{Cadence: xcpsim.Cadence{Push: 200 * time.Millisecond, TokenTTL: 10 * time.Minute,
		TokenRenew: 8 * time.Minute}})
	const secret, copied = "xcp-edge-central-auth-token", "xcp-edge-central-auth-token-xcpauth-before"
	token := func(edge string) string {
		t.Helper()
		return f.get(edge, "istio-system", "secret/"+secret, "{.data.jwt}")
	}
	rotate := func(code int, args ...string) sandbox.Run {
		t.Helper()
		return f.Xcpauth(code, append([]string{"token", "rotate", "-y", "--poll", "100ms", "--prove-within", "40s"},
			args...)...)
	}
	is := func(edge, was string, same bool) {
		t.Helper()
		if now := token(edge); now == "" || (now == was) != same {
			t.Errorf("%s has the token of before: %t, want %t", edge, now == was, same)
		}
		if f.has(edge, copied) {
			t.Errorf("the copy of the token of %s is left", edge)
		}
	}

	if r := rotate(5, "edge-1"); !strings.Contains(r.Stdout, "not known to present a JWT") {
		t.Errorf("an edge on mTLS is told\n%s", r.Stdout)
	}
	f.migrate(0, "--to=edges", "--hasty-canary", "--no-fence")
	pods := f.get("edge-1", "istio-system", "pods", "{.items[*].metadata.uid}")
	one, two := token("edge-1"), token("edge-2")

	plan := f.Xcpauth(0, "token", "rotate", "--all", "--wave-size", "5", "--dry-run")
	if said := strings.Join(strings.Fields(plan.Stdout), " "); !strings.Contains(said, "edge-1: have a new token made") ||
		!strings.Contains(said, "kubectl xcpauth token rotate --all --wave-size 5") {
		t.Errorf("the plan is\n%s", plan.Stdout)
	}
	is("edge-1", one, true)
	r := rotate(0, "--all", "--wave-size", "5")
	is("edge-1", one, false)
	is("edge-2", two, false)
	if first, second := strings.Index(r.Stderr, "edge-1: verified: a new token is there"),
		strings.Index(r.Stderr, "edge-2: have a new token made"); first < 0 || second < first {
		t.Errorf("one edge is to be verified before the next begins:\n%s", r.Stderr)
	}

	name := f.get("edge-2", "istio-system", "secret/cluster-service-account", "{.data.clusterFqn}")
	account := func(fqn string) {
		f.patch("edge-2", "istio-system", "secret/cluster-service-account", fmt.Sprintf(`{"data":{"clusterFqn":%q}}`, fqn))
	}
	account(base64.StdEncoding.EncodeToString([]byte("organizations/acme/clusters/edge-1")))
	two = token("edge-2")
	refused := rotate(5, "edge-2", "-o", "json")
	f.Is(f.Rows(refused.Stdout), "edge-2", "state", "blocked")
	if !strings.Contains(refused.Stdout, "nothing would make it again: cluster-service-account belongs to") {
		t.Errorf("with another cluster's service account it is told\n%s", refused.Stdout)
	}
	is("edge-2", two, true)
	for format, rows := range map[string]map[string]map[string]any{"json": f.Rows(f.Xcpauth(0, "status", "-o",
		"json").Stdout), "yaml": f.YAMLRows(f.Xcpauth(0, "status", "-o", "yaml").Stdout)} {
		for edge, lost := range map[string]bool{"edge-1": false, "edge-2": true} {
			said := fmt.Sprint(rows[edge]["rotation"])
			if !strings.Contains(said, "minted 20") ||
				strings.Contains(said, "the operator would not make it again: cluster-service-account belongs to") != lost {
				t.Errorf("status -o %s says of the token of %s: %q", format, edge, said)
			}
		}
	}
	one = token("edge-1")
	f.Is(f.Rows(rotate(4, "--all", "-o", "json").Stdout), "edge-1", "state", "changed") // the others are served
	is("edge-1", one, false)
	is("edge-2", two, true)
	account(name)

	f.Sim.SetEdge("edge-1", xcpsim.EdgeSwitches{NoTokens: true})
	one = token("edge-1")
	failed := rotate(4, "edge-1", "--prove-within", "3s", "-o", "json")
	f.Is(f.Rows(failed.Stdout), "edge-1", "state", "failed")
	if !strings.Contains(failed.Stdout, "not verified within 3s: the operator has not made a new token yet") ||
		!strings.Contains(failed.Stdout, "; put back") {
		t.Errorf("a token that does not come is told\n%s", failed.Stdout)
	}
	is("edge-1", one, true)

	killer := f.killer()
	killer.At("DELETE secrets/"+secret+" in edge-1", slices.Concat([]string{"token", "rotate", "edge-1"}, quickAny)...)
	if f.has("edge-1", secret) || !f.has("edge-1", copied) {
		t.Error("a run that was killed after the deletion leaves a copy and no token")
	}
	if status := f.Xcpauth(0, "status").Stdout; !strings.Contains(status, `the wave "one new token"`) {
		t.Errorf("status does not tell of the wave in flight:\n%s", status)
	}
	rotate(4, "edge-1", "--prove-within", "3s") // restores first, and fails again
	is("edge-1", one, true)

	killer.At("DELETE secrets/"+secret+" in edge-1", slices.Concat([]string{"token", "rotate", "edge-1"}, quickAny)...)
	f.Sim.SetEdge("edge-1", xcpsim.EdgeSwitches{})
	var made time.Time
	f.eventually("a token of a second that is over: two of one second are the same", func() bool {
		if made.IsZero() && f.has("edge-1", secret) {
			made = time.Now()
		}
		return !made.IsZero() && time.Now().Unix() > made.Unix()
	})
	rotate(0, "edge-1")
	is("edge-1", one, false)
	if now := f.get("edge-1", "istio-system", "pods", "{.items[*].metadata.uid}"); now != pods {
		t.Errorf("the pods of edge-1 were replaced: %s, were %s", now, pods)
	}
	if history := f.Xcpauth(0, "status", "--history").Stdout; !strings.Contains(history, "one new token") {
		t.Errorf("the history does not tell of it:\n%s", history)
	}
	f.NoSecrets(r.Stdout, r.Stderr, failed.Stdout, failed.Stderr)
}
