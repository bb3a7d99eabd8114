package migration

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/state"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// KeySecretField is the SecretField of a write that makes a signing key.
const KeySecretField = "signing-key"

// keySettles is how long a new key must be there: the global reads its secrets through a cache of one second (Kuma's
// store.cache.expirationTime).
const keySettles = 3 * time.Second

// addKeyStep makes a signing key. The global signs with it from then on, and goes on verifying with the others.
func addKeyStep(f plan.State, goal plan.Goal) plan.Step {
	kid := state.KidOf(goal.To)
	write := createSecret(f.Hub, zonetoken.KeyName(kid), nil)
	write.SecretField = KeySecretField
	why := "the global has no key to sign tokens with"
	if len(f.Hub.Keys) > 0 {
		why = "tokens of it are accepted beside those of the older keys, so that zones can be given new ones one by one"
	}
	return plan.Step{ID: "key/" + kid, Kind: "open", Member: "hub", Verb: "add a key",
		Title: fmt.Sprintf("hub: add signing key %s", kid), Why: why, WayBack: "none needed: it only accepts more",
		Writes:     []plan.Write{write},
		Conditions: []plan.Condition{keyUsable(kid)}, Timeout: goal.Within, NoUndo: true,
		Effect: hubAccepts(nil, func(h *plan.Hub) {
			n, _ := zonetoken.SerialOf(write.Object.Name)
			h.Keys = append(slices.Clone(h.Keys), plan.Key{ID: kid, Serial: n, Signs: true, Object: write.Object})
			if h.Accepts.Accepts == nil {
				h.Accepts.Accepts = map[guard.Cred]guard.Tri{}
			}
			h.Accepts.Accepts[state.Kid(kid)] = guard.Yes
		})}
}

// keyUsable wants a key to be there, and to be usable, for as long as the global may take to read it.
func keyUsable(kid string) plan.Condition {
	return plan.Condition{Kind: "key", Member: "hub", Text: "the global can use it, and has had time to read it",
		Wait: &plan.Wait{For: keySettles, AtMost: keySettles},
		Follow: func() plan.Judge {
			var since time.Time // it is seen since then; zero when it is not
			return func(before, now plan.State) plan.Evaluation {
				switch {
				case !hasKey(now.Hub, kid):
					since = time.Time{}
				case since.IsZero():
					since = now.At
				}
				return ofHub(func(_, now plan.State) plan.Evaluation {
					switch {
					case since.IsZero():
						return plan.Evaluation{Evidence: "key " + kid + " is not there yet"}
					case now.At.Sub(since) < keySettles:
						return plan.Evaluation{Evidence: "the global may not have read key " + kid + " yet",
							ExpectedAt: since.Add(keySettles)}
					}
					return plan.Evaluation{Met: true, Evidence: "key " + kid + " is there, and can be used"}
				})(before, now)
			}
		}}
}

// retireStep deletes signing keys: it withdraws them, and there is no way back.
func retireStep(f plan.State, old []plan.Key, goal plan.Goal) plan.Step {
	after := guard.Hub{Accepts: maps.Clone(f.Hub.Accepts.Accepts)}
	s := plan.Step{Kind: "close", Member: "hub", Verb: "retire keys",
		Why: "no zone presents a token of it any more; there is no way back", Irreversible: true, Timeout: goal.Within}
	var kids []string
	for _, k := range old {
		kids = append(kids, k.ID)
		after.Accepts[state.Kid(k.ID)] = guard.No
		s.Writes = append(s.Writes, secretWrite(f.Hub, k.Object, plan.OpDelete))
	}
	s.ID = "retire/" + strings.Join(kids, ",")
	s.Title = fmt.Sprintf("hub: retire signing key %s", strings.Join(kids, ", "))
	s.Conditions = []plan.Condition{keysGone(kids)}
	s.Withdraws, s.Accepts = &after, &after
	s.Effect = hubAccepts(&after, func(h *plan.Hub) {
		h.Keys = slices.DeleteFunc(slices.Clone(h.Keys), func(k plan.Key) bool {
			return slices.ContainsFunc(old, func(o plan.Key) bool { return o.Object.Name == k.Object.Name })
		})
	})
	return s
}

// keysGone wants keys to be gone.
func keysGone(kids []string) plan.Condition {
	return plan.Condition{Kind: "retired", Member: "hub", Text: "they are gone",
		Met: ofHub(func(_, now plan.State) plan.Evaluation {
			for _, kid := range kids {
				if hasKey(now.Hub, kid) {
					return plan.Evaluation{Evidence: "key " + kid + " is still there"}
				}
			}
			return plan.Evaluation{Met: true, Evidence: "key " + strings.Join(kids, ", ") + " is gone"}
		})}
}

func hasKey(h plan.Hub, kid string) bool {
	return slices.ContainsFunc(h.Keys, func(k plan.Key) bool { return k.ID == kid && k.Wrong == "" })
}
