package migration

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/state"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/rollout"
)

// rollbackWave decides the next wave on the way back:
//
//  1. the global authenticates nobody again, if it was so before a migration;
//  2. every zone that a migration changed presents again what it did, if the global accepts that;
//  3. those are proved that an earlier run set back and did not see back.
func rollbackWave(f plan.State, goal plan.Goal) plan.Wave {
	var w plan.Wave
	original := f.Hub.Originals[f.Hub.Object.UID]
	if container, _ := state.ContainerAndNames(f.Hub.Declared); original != nil && !ours(original, container, true) {
		w.Obstacles = append(w.Obstacles, plan.Obstacle{Member: "hub", Why: journalProblem(f.Hub.Object)})
		original = nil
	}
	if goal.Only == "" && original != nil && !state.TurnedOn(state.VariablesOf(original)) && f.Hub.Accepts.Accepts[state.None] != guard.Yes {
		s := authenticateNobodyStep(f, original, goal)
		return plan.Wave{Title: "authentication off", Steps: []plan.Step{s}}
	}
	named := goal.Only == ""
	var unseen []plan.Step
	for _, m := range f.Members {
		if goal.Only != "" && m.Name != goal.Only {
			continue
		}
		named = true
		container, _ := state.ContainerAndNames(m.DeclaredFields)
		kept := m.Original == nil || ours(m.Original, container, false)
		done := m.Original == nil || kept && covered(m.DeclaredFields, m.Original)
		switch {
		case rollout.HeldBack(m, goal) != "":
			w.Obstacles = append(w.Obstacles, plan.Obstacle{Member: m.Name, Why: rollout.HeldBack(m, goal)})
		case m.Err != "" && m.Context != "":
			w.Obstacles = append(w.Obstacles, plan.Obstacle{Member: m.Name, Why: m.Err})
		case m.Err != "":
		case done && m.Original != nil && m.Workload.Err != "":
			w.Obstacles = append(w.Obstacles, plan.Obstacle{Member: m.Name, Why: m.Workload.Err})
		case done && m.Original != nil && rolling(m):
			unseen = append(unseen, verifyRevertedStep(m, goal))
		case done:
		case !kept:
			w.Obstacles = append(w.Obstacles, plan.Obstacle{Member: m.Name, Why: journalProblem(m.Object)})
		case m.Workload.Paused:
			stuck := m.Workload.PausedReason(m.Object.Namespace, m.Object.Name, m.Context)
			w.Obstacles = append(w.Obstacles, plan.Obstacle{Member: m.Name, Why: stuck})
		case m.Owner != "":
			w.Obstacles = append(w.Obstacles, plan.Obstacle{Member: m.Name, Why: fmt.Sprintf("%s is kept by %s; put its environment back there", m.Object, m.Owner)})
		case m.OriginalCredential == "" || f.Hub.Accepts.Accepts[m.OriginalCredential] != guard.Yes:
			w.Obstacles = append(w.Obstacles, plan.Obstacle{Member: m.Name, Why: fmt.Sprintf("the global would refuse what it presented before (%s); kubectl xcpauth rollback without --edge has it authenticate nobody first, if it did so before", before(m.OriginalCredential))})
		default:
			w.Steps = append(w.Steps, revertStep(m, goal, m.OriginalCredential))
		}
	}
	if !named {
		w.Obstacles = append(w.Obstacles, plan.Obstacle{Member: goal.Only, Why: "no zone is called so; kubectl xcpauth status lists them"})
	}
	if len(w.Steps) == 0 && len(unseen) > 0 {
		w.Title, w.Steps = "prove what went back already", unseen
		return w
	}
	w.Title, w.Steps = "zones go back", rollout.Limit(w.Steps, goal)
	return w
}

// journalProblem says that what is kept of an object is not what a migration keeps of it: the journal is an object
// that others can write.
func journalProblem(o plan.Ref) string {
	return fmt.Sprintf("what the journal keeps of %s is not what this tool changes; look at the ConfigMap %s/%s", o, api.Namespace, api.JournalName)
}

// rolling says whether a zone's pods are not yet, or not all, as its Deployment says, as far as that can be told.
func rolling(m plan.Member) bool {
	return m.Declared != "" && (!m.Workload.Settled || !presentsAlone(m, m.Declared))
}

// before is what a zone presented before, in words.
func before(c guard.Cred) string {
	if c == "" {
		return "it cannot be told any more"
	}
	return describe(c)
}

// covered says whether variables are as others want them.
func covered(now, want map[string]any) bool {
	have := map[string]map[string]any{}
	for _, e := range state.VariablesOf(now) {
		have[state.NameOf(e)] = e
	}
	for _, e := range state.VariablesOf(want) {
		if fmt.Sprint(have[state.NameOf(e)]) != fmt.Sprint(e) {
			return false
		}
	}
	return true
}

// undoRotationWave decides the next wave that takes back a rotation of which the older keys are still there: every
// zone that presents a token of the newest key presents again the last one of the key before it, which is next to it;
// then the newest key is retired. goal.To is a token of the key before.
func undoRotationWave(f plan.State, goal plan.Goal) plan.Wave {
	var w plan.Wave
	block := func(name, why string) { w.Obstacles = append(w.Obstacles, plan.Obstacle{Member: name, Why: why}) }
	kid, last := state.KidOf(goal.To), len(f.Hub.Keys)-1
	switch at := slices.IndexFunc(f.Hub.Keys, func(k plan.Key) bool { return k.ID == kid }); {
	case at == last: // it is taken back
		return w
	case at < 0, at != last-1:
		block("hub", fmt.Sprintf("key %s is not the one before the newest any more: its keys have changed; kubectl xcpauth key list shows them, and run the command again", kid))
		return w
	}
	newest := f.Hub.Keys[last]
	for _, m := range f.Members {
		switch {
		case rollout.HeldBack(m, goal) != "":
			block(m.Name, rollout.HeldBack(m, goal))
		case m.Err != "":
			block(m.Name, m.Err)
		case m.Evidence.Presents == nil:
			block(m.Name, m.Evidence.Why)
		case m.Object.Name == "" && m.Declared != state.Kid(newest.ID) && !sessionPredatesKey(f, m, newest):
			block(m.Name, fmt.Sprintf("it is connected since key %s is there, and was provided with a token that is older, so it may have been started with one of that key; issue it one of key %s (kubectl xcpauth token issue --help), start it with that, and pass that with --zone-token %s=FILE", newest.ID, kid, m.ClusterName))
		case m.Declared != state.Kid(newest.ID) && !slices.Contains(m.Evidence.Presents, state.Kid(newest.ID)):
		case m.Object.Name == "": // without a context
			block(m.Name, fmt.Sprintf("its token is of key %s; start it with one of key %s, and pass that with --zone-token %s=FILE", newest.ID, kid, m.ClusterName))
		case len(m.Obstacles) > 0:
			block(m.Name, strings.Join(m.Obstacles, "; "))
		case m.Declared != state.Kid(newest.ID) && m.Credential.State == plan.CredentialBad: // by one clock, and good by another
			block(m.Name, m.Credential.Why)
		case m.Declared != state.Kid(newest.ID): // and a pod of it does
			w.Steps = append(w.Steps, verifyRevertedStep(m, goal))
		case lastTokenOf(m, goal.To, f.At) != "":
			w.Steps = append(w.Steps, presentPreviousStep(m, goal, lastTokenOf(m, goal.To, f.At)))
		case goal.FromKey:
			w.Steps = append(w.Steps, switchStep(f, m, goal))
		default:
			block(m.Name, fmt.Sprintf("no token of key %s that the global accepts, for a day at least, is next to it; pass --tokens-from=key to have one signed with that key", kid))
		}
	}
	w.Obstacles = append(w.Obstacles, rollout.Unseen(f, "a zone")...)
	switch {
	case len(w.Steps) > 0:
		w.Title, w.Steps = "zones go back", rollout.Limit(w.Steps, goal)
	case len(w.Obstacles) > 0:
	case !goal.Others && len(unseen(f)) > 0:
		block("hub", unseenProxies(f))
	default:
		w.Title, w.Steps = "retire the newest key", []plan.Step{retireStep(f, []plan.Key{newest}, goal)}
	}
	return w
}

// sessionPredatesKey says whether a zone that is known by the token that was provided cannot have begun its session
// with one of the newest key: it began before that key was made, or that token was issued after it.
func sessionPredatesKey(f plan.State, m plan.Member, newest plan.Key) bool {
	open := state.OpenSessions(f.Hub, m.ClusterName)
	return len(open) > 0 && !newest.Made.IsZero() && (m.Credential.Written.After(newest.Made) ||
		!slices.ContainsFunc(open, func(s plan.Session) bool { return !s.Began.Before(newest.Made) }))
}

// lastTokenOf names the secret and the key in it of the last token beside a zone with which it would present a
// credential, and which does not expire soon; "" when there is none.
func lastTokenOf(m plan.Member, want guard.Cred, at time.Time) string {
	last := ""
	for where, c := range m.Available {
		name, _, _ := strings.Cut(where, "/")
		before, _, _ := strings.Cut(last, "/")
		n, _ := state.OurSerial(m.ClusterName, name)
		b, _ := state.OurSerial(m.ClusterName, before)
		if c == want && !expiring(plan.Credential{Expires: m.AvailableUntil[where]}, at) && (last == "" || cmp.Or(cmp.Compare(n, b), strings.Compare(where, last)) > 0) {
			last = where
		}
	}
	return last
}
