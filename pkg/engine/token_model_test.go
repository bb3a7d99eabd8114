package engine

import (
	"slices"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Tokens are made again, whoever interrupts: a pod never presents one that has ended, where some operators take their
// time to make a token and some never make one; and a run that says that a token is new is right. Each rule behind
// that shows when it is bent.
func TestTokensAreMadeAnewOrPutBackInTime(t *testing.T) {
	t.Parallel()
	steps := func(change func(*plan.Step)) mutation {
		return deciding(func(_ plan.State, w plan.Wave) plan.Wave {
			for i := range w.Steps {
				if w.Steps[i].Kind == "renew" {
					change(&w.Steps[i])
				}
			}
			return w
		})
	}
	tried := 0
	tell := func(seed uint64, mutate mutation) string {
		w := newWorld(seed)
		w.strangers, w.flippers, w.noFences, w.mpcPrefersMTLS, w.noHotReload, w.newCA, w.mintAfter, w.stuck = false, false,
			true, false, false, false, false, map[string]bool{}
		for i, name := range w.names() {
			w.edges[name].token, w.forgets[name] = true, i > 0 && w.chance(2)
		}
		if r := w.arrive(plan.Goal{}, nil); !r.Done {
			return "not migrated"
		}
		tried++
		for range 3 {
			w.renew(mutate)
		}
		if len(w.refused) > 0 {
			return w.refused[0]
		}
		return w.left()
	}
	for seed := range uint64(150) {
		if why := tell(seed+1, nil); why != "" {
			t.Fatalf("seed %d: %s", seed+1, why)
		}
	}
	for name, mutate := range map[string]mutation{
		"a token may be missing for as long as the goal says": steps(func(s *plan.Step) { s.Timeout = 2 * time.Minute }),
		"a wave takes as long as the token that ends last": deciding(func(f plan.State, w plan.Wave) plan.Wave {
			for i, s := range w.Steps {
				if s.Kind == "renew" && len(w.Steps) > 1 {
					w.Steps[i].Timeout = f.Member(s.Member).Credential.Expires.Sub(f.At) * 3 / 4
				}
			}
			return w
		}),
		"the old token is not put back": steps(func(s *plan.Step) { s.NoUndo = true }),
	} {
		t.Run(name, func(t *testing.T) {
			seeds := make([]uint64, 400)
			caught := slices.ContainsFunc(seeds, func(uint64) bool {
				seeds[0]++
				why := tell(seeds[0], mutate)
				if why != "" {
					t.Logf("seed %d shows it: %s", seeds[0], why)
				}
				return why != ""
			})
			if !caught {
				t.Error("the model does not notice")
			}
		})
	}
	if tried < 150 {
		t.Errorf("only %d fleets were migrated: this shows too little", tried)
	}
}
