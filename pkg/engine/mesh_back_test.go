package engine

import (
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// A rollback that died at any of its writes is done only when every zone is seen back: its pods, and not what its
// Deployment says alone.
func TestARollbackThatDiedEndsWhenEveryZoneIsSeenBack(t *testing.T) {
	t.Parallel()
	died, verified := 0, 0
	for seed := range uint64(8) {
		for at := 1; at < 12; at++ {
			w := newMesh(seed)
			w.strangers, w.stuck, w.away = false, map[string]bool{}, ""
			if w.hadTokens {
				break
			}
			if r := w.arrive(plan.Goal{}, nil); !r.Done {
				t.Fatalf("seed %d: not migrated: %+v, %v\n%s", seed, r.Outcomes, r.Err, strings.Join(w.log, "\n"))
			}
			w.writes, w.killAt = 0, -at
			_, dead := w.run(plan.Goal{RollbackTask: plan.RollbackTask{Back: true}}, nil)
			if !dead {
				break // it has fewer writes
			}
			died++
			w.killAt = 0
			var r Result
			for range 12 {
				for _, z := range w.zones {
					z.reachable = true
				}
				if r, _ = w.run(plan.Goal{RollbackTask: plan.RollbackTask{Back: true}}, nil); r.Done {
					break
				}
			}
			if !r.Done || len(w.refused) > 0 {
				t.Errorf("seed %d, died at %d: %+v, %v, refused: %v", seed, at, r.Outcomes, r.Err, w.refused)
			}
			for _, z := range w.zones {
				for _, p := range z.pods {
					if p.token != nil {
						t.Errorf("seed %d, died at %d: done, and pod %s presents a token\n%s", seed, at, p.name,
							strings.Join(w.log[max(0, len(w.log)-20):], "\n"))
					}
				}
			}
			if strings.Contains(strings.Join(w.log, "\n"), "wave: verify what went back already") {
				verified++
			}
		}
	}
	if died == 0 || verified == 0 {
		t.Errorf("%d rollbacks died, %d were verified afterwards: this shows nothing", died, verified)
	}
}
