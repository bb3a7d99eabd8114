package migration

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/state"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/rollout"
)

// undoRotation undoes a rotation of which the older keys are still there. goal.To is a token of the key before.
var undoRotation = []rollout.Phase[*wayBack]{
	{Does: "end here, when the newest key is retired, or the keys have changed since", Wave: endWhenUndone},
	{Does: "have every zone present again its last token of the key before the newest", Wave: presentPrevious},
	{Does: "end here, while a zone may present a token of the newest key", Wave: endWhileBlocked},
	{Does: "retire the newest key", Wave: retireNewest},
}

func undoRotationWave(f plan.State, goal plan.Goal) plan.Wave {
	return rollout.Next(undoRotation, goal, &wayBack{State: f, goal: goal})
}

func endWhenUndone(s *wayBack) (plan.Wave, bool) {
	kid, last := state.KidOf(s.goal.To), len(s.Hub.Keys)-1
	switch at := slices.IndexFunc(s.Hub.Keys, func(k plan.Key) bool { return k.ID == kid }); {
	case at == last:
		return plan.Wave{}, true
	case at < 0, at != last-1:
		return plan.Wave{Obstacles: []plan.Obstacle{{Member: "hub", Why: fmt.Sprintf("key %s is not the one before the "+
				"newest any more: its keys have changed; kubectl xcpauth key list shows them, and run the command again", kid)}}},
			true
	}
	s.newest = s.Hub.Keys[last]
	return plan.Wave{}, false
}

func presentPrevious(s *wayBack) (plan.Wave, bool) {
	for _, m := range s.Members {
		s.classifyForUndo(m)
	}
	s.obstacles = append(s.obstacles, rollout.Unseen(s.State, "a zone")...)
	return plan.Wave{Title: "zones go back", Steps: rollout.Limit(s.returning, s.goal), Obstacles: s.obstacles},
		len(s.returning) > 0
}

// classifyForUndo says of a zone whether it is given its last token of the key before, or why it cannot be.
func (s *wayBack) classifyForUndo(m plan.Member) {
	kid, newest := state.KidOf(s.goal.To), state.Kid(s.newest.ID)
	switch {
	case rollout.HeldBack(m, s.goal) != "":
		s.block(m.Name, rollout.HeldBack(m, s.goal))
	case m.Err != "":
		s.block(m.Name, m.Err)
	case m.Evidence.Presents == nil:
		s.block(m.Name, m.Evidence.Why)
	case m.Object.Name == "" && m.Declared != newest && !sessionPredatesKey(s.State, m, s.newest):
		s.block(m.Name, fmt.Sprintf("it is connected since key %s is there, and was provided with a token that is older, "+
			"so it may have been started with one of that key; issue it one of key %s (kubectl xcpauth token issue --help), "+
			"start it with that, and pass that with --zone-token %s=FILE", s.newest.ID, kid, m.ClusterName))
	case m.Declared != newest && !slices.Contains(m.Evidence.Presents, newest):
	case m.Object.Name == "": // without a context
		s.block(m.Name, fmt.Sprintf("its token is of key %s; start it with one of key %s, and pass that with "+
			"--zone-token %s=FILE", s.newest.ID, kid, m.ClusterName))
	case len(m.Hindrances()) > 0:
		s.block(m.Name, strings.Join(m.Hindrances(), "; "))
	case m.Declared != newest && m.Credential.State == plan.CredentialBad: // by one clock, and good by another
		s.block(m.Name, m.Credential.Why)
	case m.Declared != newest: // and a pod of it does
		s.returning = append(s.returning, verifyRevertedStep(m, s.goal))
	case lastTokenOf(m, s.goal.To, s.At) != "":
		s.returning = append(s.returning, presentPreviousStep(m, s.goal, lastTokenOf(m, s.goal.To, s.At)))
	case s.goal.FromKey:
		s.returning = append(s.returning, switchStep(s.State, m, s.goal))
	default:
		s.block(m.Name, fmt.Sprintf("no token of key %s that the global accepts, for a day at least, is next to it; pass "+
			"--tokens-from=key to have one signed with that key", kid))
	}
}

func endWhileBlocked(s *wayBack) (plan.Wave, bool) {
	if len(s.obstacles) == 0 && !s.goal.Others && len(unseen(s.State)) > 0 {
		s.block("hub", unseenProxies(s.State))
	}
	return plan.Wave{Obstacles: s.obstacles}, len(s.obstacles) > 0
}

func retireNewest(s *wayBack) (plan.Wave, bool) {
	return plan.Wave{Title: "retire the newest key",
		Steps: []plan.Step{retireStep(s.State, []plan.Key{s.newest}, s.goal)}}, true
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
		if c == want && !expiring(plan.Credential{Expires: m.AvailableUntil[where]}, at) &&
			(last == "" || cmp.Or(cmp.Compare(n, b), strings.Compare(where, last)) > 0) {
			last = where
		}
	}
	return last
}
