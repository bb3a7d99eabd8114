package rollout

import (
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// A wave that writes a hub which something else keeps is not done. One that writes others, or that only restarts it, is.
func TestOnlyWhatWouldBePutBackIsHeldByItsOwner(t *testing.T) {
	hub := plan.Ref{Kind: "Deployment", Namespace: "mesh", Name: "global"}
	f := plan.State{}
	f.Hub.Context, f.Hub.Object, f.Hub.Owner = "hub", hub, "Argo CD (app)"
	for name, tc := range map[string]struct {
		write plan.Write
		held  bool
	}{
		"its object":                    {plan.Write{Context: "hub", Object: hub}, true},
		"a restart of it":               {plan.Write{Context: "hub", Object: hub, Op: plan.OpRestart}, false},
		"its namesake elsewhere":        {plan.Write{Context: "east", Object: hub}, false},
		"another object of its cluster": {plan.Write{Context: "hub", Object: plan.Ref{Kind: "Secret", Name: "key"}}, false},
	} {
		w := HeldByOwner(f, plan.Wave{Title: "w", Steps: []plan.Step{{Writes: []plan.Write{tc.write}}}}, "set it there")
		if held := len(w.Steps) == 0; held != tc.held {
			t.Errorf("%s: held %v, want %v", name, held, tc.held)
		}
		if tc.held && (len(w.Obstacles) != 1 || !strings.HasSuffix(w.Obstacles[0].Why, "; set it there")) {
			t.Errorf("%s: %v", name, w.Obstacles)
		}
	}
}
