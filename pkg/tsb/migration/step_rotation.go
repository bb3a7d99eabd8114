package migration

import (
	"fmt"
	"slices"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/rollout"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// awaitingRotation lists the edges of which a token rotation is still to be seen, and those of which none will be.
func awaitingRotation(f plan.State, v classified, goal plan.Goal) (waiting []*plan.Member, stuck []plan.Obstacle) {
	verified := make(map[string]bool, len(v.verified))
	for _, m := range v.verified {
		verified[m.Name] = true
	}
	for i, m := range f.Members {
		switch {
		case m.Role != plan.RoleEdge || rotationSeen(m, goal):
			continue
		case m.Err == "" && !verified[m.Name], m.Err != "" && !statedJWTOnly(m, f.At):
			continue
		}
		if why := rotationProblem(m, f.At, goal); why != "" {
			stuck = append(stuck, plan.Obstacle{Member: m.Name, Why: why})
		} else {
			waiting = append(waiting, &f.Members[i])
		}
	}
	return waiting, stuck
}

// rotationSeen says whether a token rotation of the edge was seen, or is known and accepted not to come. That its time
// has come (Rotation.Seen) is not enough: the session must have been seen to go on.
func rotationSeen(m plan.Member, goal plan.Goal) bool {
	return slices.Contains(goal.Unrotated, m.Name) ||
		(m.Statement != nil && m.Statement.Invalid == "" && m.Statement.Rotated)
}

// rotationProblem says why there is no token rotation to wait for, "" when there is.
func rotationProblem(m plan.Member, at time.Time, goal plan.Goal) string {
	const accept = "; if that is known and a new token will be there in time, say so with --accept-unrotated "
	switch r := m.Rotation; {
	case m.Err != "":
		return "its statement does not say that a rotation of its token was seen; let its team publish a newer one" +
			accept + m.Name
	case r.Static:
		return r.Why + accept + m.Name
	case goal.RotationWithin > 0 && r.At.Sub(at) > goal.RotationWithin:
		return fmt.Sprintf("its session will have outlived its first token only at %s (%s), later than --rotation-within %s",
			r.At.UTC().Format(time.RFC3339), r.Why, goal.RotationWithin) + accept + m.Name
	}
	return ""
}

// rotationWave waits until the sessions of edges have outlived their first token.
func rotationWave(f plan.State, waiting []*plan.Member, goal plan.Goal, obstacles []plan.Obstacle) plan.Wave {
	return plan.Wave{Title: "token rotation", Obstacles: obstacles,
		Steps: rollout.StepsFor(waiting, func(m plan.Member) plan.Step { return awaitRotationStep(f, m, goal) })}
}

// awaitRotationStep waits until the edge's session has outlived the token with which it began. When it does not, the
// edge is set back, for its next token would end it again. An interruption leaves it as it is, since it is verified.
func awaitRotationStep(f plan.State, m plan.Member, goal plan.Goal) plan.Step {
	s := plan.Step{ID: "witness/" + m.Name, Kind: "witness", Member: m.Name, Verb: "token rotation",
		Title: m.Name + ": see its session outlive the token that it began with",
		Why: "a token lives for a limited time, and nothing yet shows that the edge goes on with the next one: " +
			m.Rotation.Why,
		Conditions: append(edgeConditions(m, state.JWT, 0)[:2], outlived(f, m, goal), pushesSinceOutlived(m.Name)),
		Timeout:    goal.Within, KeepOnInterrupt: true, RevertsTo: state.MTLS, States: plan.StatesRotation,
		Effect: onMember(m.Name, func(m *plan.Member, f *plan.State) { presentsJWT(m, f, true) })}
	s.Undo = undoToMTLS(f, m)
	if goal.NoHub {
		s.Undo, s.NoUndo = nil, true // the hub's team may have turned mTLS off on the strength of the switch's proof
	}
	if len(s.Undo) > 0 {
		s.WayBack = certificateAgain
	}
	return s
}

// certificateAgain is the way back of a step after which an edge's session must go on.
const certificateAgain = "it presents its certificate again when its session does not live on"

// undoToMTLS is the undo of an edge that is set to JWT; nil when it has none.
func undoToMTLS(f plan.State, m plan.Member) []plan.Write {
	if m.OldCredential.Err != "" || f.Hub.Accepts.Accepts[state.MTLS] == guard.No {
		return nil
	}
	return []plan.Write{{Context: m.Context, Cluster: m.ClusterUID, Object: m.Object,
		Before: modePatch("JWT"), After: modePatch("MUTUAL_TLS")}}
}

// outlived wants the edge's session to have outlived the token that it began with.
func outlived(f plan.State, m plan.Member, goal plan.Goal) plan.Condition {
	return plan.Condition{Kind: "outlived", Member: m.Name,
		Text:  "its token was renewed, and its pods have run for longer than one lives",
		Wait:  rotationWait(f, m, goal),
		Moves: func(r plan.Read) bool { return state.Token(r) || state.Rollouts(r) },
		Met: plan.OfMember(m.Name, func(m plan.Member, _, _ plan.State) plan.Evaluation {
			return plan.Evaluation{Met: m.Rotation.Seen, Evidence: m.Rotation.Why, ExpectedAt: m.Rotation.At}
		})}
}

// rotationWait is how long that takes: until a moment that is known once the edge's pods run with a token. Of pods that
// are yet to be started it is the life of the token that is there now.
func rotationWait(f plan.State, m plan.Member, goal plan.Goal) *plan.Wait {
	w := &plan.Wait{First: true, AtMost: goal.RotationWithin}
	switch c := m.Credential; {
	case m.Rotation.Seen:
		return nil
	case m.Rotation.At.After(f.At):
		w.Until, w.AtMost = m.Rotation.At, m.Rotation.At.Sub(f.At)
	case !c.Expires.IsZero() && !c.Written.IsZero():
		w.For = state.Outlives(c)
	}
	return w
}

// pushesSinceOutlived wants two pushes since the session was first seen to have outlived its first token.
func pushesSinceOutlived(name string) plan.Condition {
	return plan.Condition{Kind: "pushes-since", Member: name, Text: "those pods pushed to Central twice after that",
		Moves:  state.Counters,
		Follow: pushesWhile(name, func(_, now plan.State) bool { return now.Member(name).Rotation.Seen })}
}
