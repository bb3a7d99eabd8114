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

// revokeWave decides the next wave on the way to tokens that are refused:
//
//  1. every zone that presents one of them gets another token, of the key that signs, and is proved, unless it may be cut off;
//  2. the tokens are added to the list;
//  3. every zone connects again at once, when that was asked for, see Version.LooksAgain.
func revokeWave(f plan.State, goal plan.Goal) plan.Wave {
	w := plan.Wave{Title: "new tokens"}
	for _, m := range f.Members {
		held := holds(m, goal)
		switch {
		case goal.CutOff:
		case rollout.HeldBack(m, goal) != "":
			w.Obstacles = append(w.Obstacles, plan.Obstacle{Member: m.Name, Why: rollout.HeldBack(m, goal)})
		case !mayBeRefused(m, goal):
		case m.Err != "":
			w.Obstacles = append(w.Obstacles, plan.Obstacle{Member: m.Name, Why: m.Err + "; what it presents is not known, so it may be refused"})
		case m.Object.Name != "" && !m.Workload.Settled:
			w.Obstacles = append(w.Obstacles, plan.Obstacle{Member: m.Name, Why: fmt.Sprintf("the rollout of %s is not over, so what it will present is not sure; run the command again", m.Object)})
		case held && (len(m.Obstacles) > 0 || m.Object.Name == ""):
			w.Obstacles = append(w.Obstacles, plan.Obstacle{Member: m.Name, Why: "it presents a token that is to be revoked, and cannot be given another: " + strings.Join(m.Obstacles, "; ")})
		case slices.Contains(goal.Revoke, m.Credential.ID):
			w.Steps = append(w.Steps, switchStep(f, m, goal))
		case held:
			w.Steps = append(w.Steps, verifyStep(f, m, goal)) // it has another one, and its older pods are still there
		}
	}
	switch {
	case len(w.Steps) > 0 && !hasKey(f.Hub, state.KidOf(goal.To)):
		return plan.Wave{Title: "signing key", Steps: []plan.Step{addKeyStep(f, goal)}}
	case len(w.Steps) > 0:
		return w
	}
	if len(w.Obstacles) > 0 {
		return plan.Wave{Obstacles: w.Obstacles}
	}
	if f.Hub.Revocations.Keeper != "" {
		return plan.Wave{Obstacles: []plan.Obstacle{{Member: "hub", Why: keptBy(f.Hub.Revocations)}}}
	}
	missing := slices.DeleteFunc(slices.Clone(goal.Revoke), func(id string) bool { return slices.Contains(f.Hub.Revocations.IDs, id) })
	if len(missing) > 0 {
		s, err := revokeStep(f, goal, missing)
		if err != nil {
			return plan.Wave{Obstacles: []plan.Obstacle{{Member: "hub", Why: err.Error()}}}
		}
		return plan.Wave{Title: "revoke", Steps: []plan.Step{s}}
	}
	if goal.Reconnect && !reconnectedFor(f.Hub, goal) {
		return plan.Wave{Title: "every zone connects again", Steps: []plan.Step{reconnectStep(f, goal)}}
	}
	return plan.Wave{}
}

// keptBy says that somebody keeps the list of revoked tokens.
func keptBy(list *plan.Revocations) string {
	return fmt.Sprintf("secret %s/%s is kept by %s, which would put a change back; change it there", list.Object.Namespace, list.Object.Name, list.Keeper)
}

// holds says whether a zone has or presents a token that is to be revoked.
func holds(m plan.Member, goal plan.Goal) bool {
	return slices.ContainsFunc(goal.Revoke, func(id string) bool {
		return m.Credential.ID == id || slices.Contains(m.Evidence.Presents, state.Jti(id))
	})
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

// revokeStep adds tokens to the list, which goes on to hold what it does now and is written as the product reads it.
func revokeStep(f plan.State, goal plan.Goal, ids []string) (plan.Step, error) {
	list := f.Hub.Revocations
	merged, err := zonetoken.ParseRevocations(list.Value).Merge(zonetoken.Change{Add: ids})
	if err != nil {
		return plan.Step{}, fmt.Errorf("secret %s/%s: %w", list.Object.Namespace, list.Object.Name, err)
	}
	write := plan.Write{Context: f.Hub.Context, Cluster: f.Hub.ClusterUID, Object: list.Object,
		Before: revocationsValue(list.Value), After: revocationsValue(merged.Data)}
	if list.Object.UID == "" {
		write.Before, write.Op = nil, plan.OpCreate
		write.After["apiVersion"], write.After["kind"], write.After["type"] = "v1", "Secret", zonetoken.SecretType
		write.After["metadata"] = map[string]any{"name": list.Object.Name, "namespace": list.Object.Namespace}
	}
	s := plan.Step{ID: "revoke/" + strings.Join(ids, ","), Kind: "close", Member: "hub", Verb: "revoke",
		Title:   "hub: revoke " + strings.Join(ids, ", "),
		Why:     "no zone is to present it; " + f.Hub.TokenChecks + ", so a session that began with it ends then",
		WayBack: "none: the token stays revoked; a zone that is refused for it needs a new one",
		NoUndo:  true, KeepsOriginal: true, Timeout: goal.Within, Writes: []plan.Write{write},
		Conditions: []plan.Condition{onTheList(ids)}}
	if len(merged.Meant) > 0 {
		s.Why += fmt.Sprintf("; with it, what was evidently meant and was not revoked so far: %s", strings.Join(merged.Meant, ", "))
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
			continue // it was accepted from that zone alone, which is asked about above, and is proved to have another
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
		Met: ofHub(func(seen []plan.State) plan.Evaluation {
			for _, id := range ids {
				if !slices.Contains(seen[len(seen)-1].Hub.Revocations.IDs, id) {
					return plan.Evaluation{Hopeless: true,
						Evidence: id + " is not on the list, so somebody else has written it meanwhile; run the command again"}
				}
			}
			return plan.Evaluation{Met: true, Evidence: fmt.Sprintf("%s on the list", count(len(ids), "token"))}
		})}
}
