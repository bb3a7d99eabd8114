package migration

import (
	"fmt"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/state"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/rollout"
)

// revocation is the way to tokens that are refused.
var revocation = []rollout.Phase[*revoking]{
	{Does: "make a signing key, where a zone needs a token and there is none to sign it", Wave: addKeyToRevoke},
	{Does: "give every zone that presents one of them another token, unless it may be cut off", Wave: replaceTokens},
	{Does: "end here, while a zone that may be refused cannot be given another", Wave: endWhileHeld},
	{Does: "add the tokens to the list", Wave: addToList},
	{Does: "have every zone reconnect at once, when that was asked for; see Version.LooksAgain", Wave: reconnectAtOnce},
}

// revoking is what a revocation decides on.
type revoking struct {
	plan.State
	goal      plan.Goal
	replacing []plan.Step // a zone each that is given another token, or is verified to present one
	obstacles []plan.Obstacle
}

func revokeWave(f plan.State, goal plan.Goal) plan.Wave {
	s := &revoking{State: f, goal: goal}
	if !goal.CutOff {
		for _, m := range f.Members {
			s.classify(m)
		}
	}
	return rollout.Next(revocation, goal, s)
}

// classify says of a zone whether it is given another token, or why it cannot be.
func (s *revoking) classify(m plan.Member) {
	block := func(why string) { s.obstacles = append(s.obstacles, plan.Obstacle{Member: m.Name, Why: why}) }
	held := holds(m, s.goal)
	switch {
	case rollout.HeldBack(m, s.goal) != "":
		block(rollout.HeldBack(m, s.goal))
	case !mayBeRefused(m, s.goal):
	case m.Err != "":
		block(m.Err + "; what it presents is not known, so it may be refused")
	case m.Object.Name != "" && !m.Workload.Settled:
		block(fmt.Sprintf("the rollout of %s is not over, so what it will present is not sure; run the command again",
			m.Object))
	case held && (len(m.Hindrances()) > 0 || m.Object.Name == ""):
		block("it presents a token that is to be revoked, and cannot be given another: " + strings.Join(m.Hindrances(), "; "))
	case slices.Contains(s.goal.Revoke, m.Credential.ID):
		s.replacing = append(s.replacing, switchStep(s.State, m, s.goal))
	case held: // it has another one, and its older pods are still there
		s.replacing = append(s.replacing, verifyStep(s.State, m, s.goal))
	}
}

func addKeyToRevoke(s *revoking) (plan.Wave, bool) {
	if len(s.replacing) == 0 || hasKey(s.Hub, state.KidOf(s.goal.To)) {
		return plan.Wave{}, false
	}
	return plan.Wave{Title: "signing key", Steps: []plan.Step{addKeyStep(s.State, s.goal)}}, true
}

func replaceTokens(s *revoking) (plan.Wave, bool) {
	return plan.Wave{Title: "new tokens", Steps: s.replacing, Obstacles: s.obstacles}, len(s.replacing) > 0
}

func endWhileHeld(s *revoking) (plan.Wave, bool) {
	return plan.Wave{Obstacles: s.obstacles}, len(s.obstacles) > 0
}

func addToList(s *revoking) (plan.Wave, bool) {
	if list := s.Hub.Revocations; list.Keeper != "" {
		return plan.Wave{Obstacles: []plan.Obstacle{{Member: "hub", Why: keptBy(list)}}}, true
	}
	missing := slices.DeleteFunc(slices.Clone(s.goal.Revoke), func(id string) bool {
		return slices.Contains(s.Hub.Revocations.IDs, id)
	})
	if len(missing) == 0 {
		return plan.Wave{}, false
	}
	step, err := revokeStep(s.State, s.goal, missing)
	if err != nil {
		return plan.Wave{Obstacles: []plan.Obstacle{{Member: "hub", Why: err.Error()}}}, true
	}
	return plan.Wave{Title: "revoke", Steps: []plan.Step{step}}, true
}

func reconnectAtOnce(s *revoking) (plan.Wave, bool) {
	if !s.goal.Reconnect || reconnectedFor(s.Hub, s.goal) {
		return plan.Wave{}, false
	}
	return plan.Wave{Title: "every zone connects again", Steps: []plan.Step{reconnectStep(s.State, s.goal)}}, true
}

// keptBy says that somebody keeps the list of revoked tokens.
func keptBy(list *plan.Revocations) string {
	return fmt.Sprintf("%s is kept by %s, which would put a change back; change it there", named(list.Object), list.Keeper)
}

// Whose is the zone that presents a token of an ID, which the global accepts; "" where none is seen to.
func Whose(f plan.State, id string) string {
	for _, m := range f.Members {
		if slices.Contains(m.Evidence.Presents, state.Jti(id)) {
			return m.Name
		}
	}
	return ""
}

// mayBeRefused says whether a zone can be refused for the tokens that are to be revoked. A token names its zone, and
// the global takes it from no other: where it is known whose each of them is, the other zones are none of the matter.
func mayBeRefused(m plan.Member, goal plan.Goal) bool {
	return holds(m, goal) || slices.ContainsFunc(goal.Revoke, func(id string) bool {
		whose := goal.RevokedOf[id]
		return whose == "" || whose == m.Name
	})
}

// holds says whether a zone has or presents a token that is to be revoked.
func holds(m plan.Member, goal plan.Goal) bool {
	return slices.ContainsFunc(goal.Revoke, func(id string) bool {
		return m.Credential.ID == id || slices.Contains(m.Evidence.Presents, state.Jti(id))
	})
}

// revokeStep adds tokens to the list, which goes on to hold what it does now and is written as the product reads it.
func revokeStep(f plan.State, goal plan.Goal, ids []string) (plan.Step, error) {
	list := f.Hub.Revocations
	merged, err := zonetoken.ParseRevocations(list.Value).Merge(zonetoken.Change{Add: ids})
	if err != nil {
		return plan.Step{}, fmt.Errorf("%s: %w", named(list.Object), err)
	}
	write := changeSecret(f.Hub, list.Object, list.Value, merged.Data)
	if list.Object.UID == "" {
		write = createSecret(f.Hub, list.Object.Name, merged.Data)
	}
	s := plan.Step{ID: "revoke/" + strings.Join(ids, ","), Kind: "close", Member: "hub", Verb: "revoke",
		Title:   "hub: revoke " + strings.Join(ids, ", "),
		Why:     "no zone is to present it; " + f.Hub.TokenChecks + ", so a session that began with it ends then",
		WayBack: "none: the token stays revoked; a zone that is refused for it needs a new one",
		NoUndo:  true, KeepsOriginal: true, Timeout: goal.Within, Writes: []plan.Write{write},
		Conditions: []plan.Condition{onTheList(ids)}}
	if len(merged.Meant) > 0 {
		s.Why += fmt.Sprintf("; with it, what was evidently meant and was not revoked so far: %s",
			strings.Join(merged.Meant, ", "))
	}
	if goal.CutOff {
		s.Why += "; it was said that a zone which presents one of those that were named may be refused"
	}
	after := guard.Hub{Accepts: map[guard.Cred]guard.Tri{}}
	for c, t := range f.Hub.Accepts.Accepts {
		after.Accepts[c] = t
	}
	for _, id := range slices.Concat(ids, merged.Meant) {
		if goal.RevokedOf[id] != "" {
			continue // it was accepted from that zone alone, which is asked about above, and is verified to have another
		}
		if !goal.CutOff || !slices.Contains(goal.Revoke, id) {
			after.Accepts[state.Jti(id)] = guard.No
		}
	}
	s.Withdraws, s.Accepts = &after, &after
	s.Effect = hubAccepts(&after, func(h *plan.Hub) {
		revoked := *h.Revocations
		revoked.IDs = append(slices.Clone(revoked.IDs), ids...)
		h.Revocations = &revoked
	})
	return s, nil
}

// onTheList wants IDs to be on the list, as the product reads it.
func onTheList(ids []string) plan.Condition {
	return plan.Condition{Kind: "revoked", Member: "hub", Text: "they are on the list, as the product reads it",
		Met: ofHub(func(_, now plan.State) plan.Evaluation {
			for _, id := range ids {
				if !slices.Contains(now.Hub.Revocations.IDs, id) {
					return plan.Evaluation{Hopeless: true,
						Evidence: id + " is not on the list, so somebody else has written it meanwhile; run the command again"}
				}
			}
			return plan.Evaluation{Met: true, Evidence: fmt.Sprintf("%s on the list", count(len(ids), "token"))}
		})}
}
