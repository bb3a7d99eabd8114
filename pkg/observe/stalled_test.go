package observe

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// One of twenty members that stalls costs its own time and nobody else's: the look is over to the moment when that
// member's time is, and the others have all their reads.
func TestAMemberThatStallsCostsItsOwnTimeAlone(t *testing.T) {
	const members, stalls, answersAfter = 20, "edge-07", 40 * time.Millisecond
	const requestTimeout, memberTimeout = 10 * time.Second, 45 * time.Second
	var text strings.Builder
	text.WriteString(`
apiVersion: v1
kind: Config
users: [{name: u, user: {}}]
clusters: [{name: c, cluster: {server: https://127.0.0.1:1}}]
contexts:
`)
	for i := range members {
		fmt.Fprintf(&text, "- {name: edge-%02d, context: {cluster: c, user: u}}\n", i)
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	all := []plan.Read{{Asked: "a"}, {Asked: "b"}, {Asked: "c"}, {Asked: "d"}, {Asked: "e"}, {Asked: "f"}}
	for name, tc := range map[string]struct {
		reads []plan.Read // one burst each
		want  time.Duration
	}{
		"in its only read":       {all[:1], requestTimeout},
		"in read after read":     {all, memberTimeout},
		"in none: nobody stalls": {nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, err := kubeconfig.Load(kubeconfig.Options{Kubeconfig: path})
				if err != nil {
					t.Fatal(err)
				}
				o := Observer{Fleet: f, Now: time.Now, Limit: members, RequestTimeout: requestTimeout, MemberTimeout: memberTimeout,
					Reads: func(soFar map[plan.Read]plan.Result, _ bool) []plan.Read {
						if len(soFar) < len(tc.reads) {
							return tc.reads[len(soFar) : len(soFar)+1]
						}
						return nil
					},
					Ask: func(ctx context.Context, c *kubeconfig.Cluster, r plan.Read) ([]byte, error) {
						if c.Context == stalls && (r.Asked != "a" || len(tc.reads) == 1) {
							<-ctx.Done()
							return nil, ctx.Err()
						}
						time.Sleep(answersAfter)
						return []byte("{}"), nil
					}}
				began := time.Now()
				snaps := o.All(t.Context(), f.Contexts())
				if took := time.Since(began); took != tc.want {
					t.Errorf("it took %s, want %s", took, tc.want)
				}
				for _, s := range snaps {
					if s.Context != stalls && (s.Err != "" || len(s.Reads) != len(tc.reads)) {
						t.Errorf("%+v", s)
					}
				}
			})
		})
	}
}
