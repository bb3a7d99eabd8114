package migration

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// pruneWave decides the one wave that takes off the list of revoked tokens what is known to have expired. It is left
// alone while it holds what was evidently meant and is not revoked, since writing it again would revoke that. It is
// never left empty: the product's webhook refuses an empty value, and deleting the secret could delete what somebody
// adds meanwhile; so one ID stays.
func pruneWave(f plan.State, goal plan.Goal) plan.Wave {
	list := f.Hub.Revocations
	ids := slices.DeleteFunc(slices.Clone(list.Expired), func(id string) bool { return !slices.Contains(list.IDs, id) })
	others := slices.DeleteFunc(zonetoken.Distinct(list.IDs), func(id string) bool { return slices.Contains(ids, id) })
	if len(others) == 0 && len(ids) > 0 {
		ids = ids[:len(ids)-1]
	}
	w := plan.Wave{}
	if n := len(slices.DeleteFunc(others, func(id string) bool { return slices.Contains(list.Expired, id) })); n > 0 {
		w.Notes = append(w.Notes, plan.Obstacle{Member: "hub",
			Why: fmt.Sprintf("%s on the list: no token of such an ID is seen that a key of the global has signed and that has expired, and the product keeps no list of what it issued; pass one with --revoked-token FILE", stay(n))})
	}
	if len(ids) == 0 {
		return w
	}
	if list.Keeper != "" {
		w.Obstacles = []plan.Obstacle{{Member: "hub", Why: keptBy(list)}}
		return w
	}
	s, err := pruneStep(f, goal, ids)
	if err != nil {
		w.Obstacles = []plan.Obstacle{{Member: "hub", Why: err.Error()}}
		return w
	}
	w.Title, w.Steps = "prune", []plan.Step{s}
	return w
}

func stay(n int) string {
	if n == 1 {
		return "1 ID stays"
	}
	return fmt.Sprintf("%d IDs stay", n)
}

// pruneStep takes IDs off the list, and nothing else.
func pruneStep(f plan.State, goal plan.Goal, ids []string) (plan.Step, error) {
	list := f.Hub.Revocations
	gone := map[string]time.Time{}
	for _, id := range ids {
		gone[id] = time.Unix(0, 0)
	}
	read := zonetoken.ParseRevocations(list.Value)
	merged, err := read.Merge(zonetoken.Change{Expired: gone, Now: f.At})
	switch {
	case err != nil:
		return plan.Step{}, fmt.Errorf("%s: %w", named(list.Object), err)
	case len(merged.Meant) > 0:
		return plan.Step{}, fmt.Errorf("%s holds what was evidently meant and is not revoked (%s), and writing it again would revoke that; revoke that first, by its ID, or take it out", named(list.Object), strings.Join(merged.Meant, ", "))
	}
	return plan.Step{ID: "prune/" + strings.Join(ids, ","), Kind: "prune", Member: "hub", Verb: "prune",
		Title: fmt.Sprintf("hub: take %s off the list of revoked tokens: %s", count(len(ids), "ID"),
			strings.Join(ids, ", ")),
		Why:     "their tokens have expired by the global's clock, so they are refused anyway",
		WayBack: "none needed: what has expired is refused anyway", NoUndo: true, Timeout: goal.Within,
		Writes:     []plan.Write{changeSecret(f.Hub, list.Object, list.Value, merged.Data)},
		Conditions: []plan.Condition{offTheList(ids)},
		Effect: hubAccepts(nil, func(h *plan.Hub) {
			left := *h.Revocations
			left.IDs = slices.DeleteFunc(slices.Clone(left.IDs), func(id string) bool { return slices.Contains(ids, id) })
			h.Revocations = &left
		})}, nil
}

// offTheList wants IDs off the list, and everything else that was on it before still there.
func offTheList(ids []string) plan.Condition {
	return plan.Condition{Kind: "pruned", Member: "hub", Text: "they are off the list, and whatever else was on it is",
		Met: ofHub(func(before, now plan.State) plan.Evaluation {
			was, is := before.Hub.Revocations.IDs, now.Hub.Revocations.IDs
			for _, id := range was {
				if !slices.Contains(ids, id) && !slices.Contains(is, id) {
					return plan.Evaluation{Hopeless: true,
						Evidence: "another ID is not on the list any more, so somebody else has written it meanwhile: " + id}
				}
			}
			for _, id := range ids {
				if slices.Contains(is, id) {
					return plan.Evaluation{Hopeless: true,
						Evidence: id + " is on the list again, so somebody else has written it meanwhile; run the command again"}
				}
			}
			return plan.Evaluation{Met: true, Evidence: fmt.Sprintf("%s fewer on the list", count(len(ids), "ID"))}
		})}
}
