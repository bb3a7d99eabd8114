package migration

import (
	"fmt"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/state"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// byHand makes a step of the global one that somebody else carries out, where the global is outside of clusters: the
// step says what is to be set and where, and waits.
func byHand(h plan.Hub, s plan.Step) plan.Step {
	if !outside(h) {
		return s
	}
	s.ByHand, s.Writes, s.NoUndo = s.Writes, nil, true
	s.Title = fmt.Sprintf("hub: %s; the run waits for that", strings.Join(whatToSet(h, s.ByHand), "; "))
	if s.WayBack == "" && !s.Irreversible {
		s.WayBack = "by hand: set it as it was before"
	}
	return s
}

// outside says whether a global is outside of clusters: its settings are somebody else's to change.
func outside(h plan.Hub) bool { return h.StateAPI != nil && h.StateAPI.URL != "" }

// whatToSet says what a person sets where, for each write.
func whatToSet(h plan.Hub, writes []plan.Write) []string {
	var all []string
	for _, w := range writes {
		if w.Op == plan.OpRestart {
			all = append(all, "restart every process of "+h.StateAPI.URL)
			continue
		}
		var set []string
		for _, e := range state.VariablesOf(w.After) {
			if value, is := e["value"].(string); is {
				set = append(set, fmt.Sprintf("set %s=%s", state.NameOf(e), value))
			} else {
				set = append(set, fmt.Sprintf("unset %s", state.NameOf(e)))
			}
		}
		all = append(all, fmt.Sprintf("%s in the environment of every process of %s, or the same in its configuration file, "+
			"and restart it", strings.Join(set, ", "), h.StateAPI.URL))
	}
	return all
}
