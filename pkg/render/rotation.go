package render

import (
	"fmt"
	"slices"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// renewal is how the renewal of an edge's token goes.
type renewal struct {
	state renewalState
	text  string
}

// renewalState says whether a token is renewed in time.
type renewalState int8

const (
	renewalUnsaid  renewalState = iota // the edge presents no token, or the product renews none
	renewalNone                        // nothing renews it
	renewalLate                        // less than a twentieth of its life is left: by then it should have been renewed
	renewalSeen                        // its session has outlived the token with which it began
	renewalNotSeen                     // it has not yet
)

var renewalWords = map[renewalState]string{renewalNone: "none", renewalLate: "late", renewalSeen: "seen",
	renewalNotSeen: "not seen yet"}

// String is the renewal as a report has it: "late: minted ..., expired ...".
func (r renewal) String() string {
	if r.state == renewalUnsaid {
		return ""
	}
	return renewalWords[r.state] + ": " + r.text
}

// renewalOf says how the renewal of an edge's token goes. How early the product renews one is not documented; check
// says the same as XA036. Whether the product would make the token again if it were gone is added where it would not:
// token rotate refuses that edge.
func renewalOf(words plan.Words, m plan.Member, at time.Time) renewal {
	c, r := m.Credential, m.Rotation
	if m.Role != plan.RoleEdge || m.Err != "" || r == (plan.Rotation{}) ||
		words.Rotates == "" || !slices.Contains(m.Evidence.Presents, words.Rotates) {
		return renewal{}
	}
	minted := ""
	if !c.Written.IsZero() {
		minted = "minted " + Stamp(c.Written) + ", "
	}
	left, life := c.Expires.Sub(at), c.Expires.Sub(c.Written)
	var said renewal
	switch {
	case r.Static:
		return renewal{renewalNone, minted + r.Why}
	case !c.Expires.IsZero() && left <= 0:
		said = renewal{renewalLate, minted + "expired " + Stamp(c.Expires)}
	case !c.Expires.IsZero() && !c.Written.IsZero() && left < life/20:
		said = renewal{renewalLate, fmt.Sprintf("%sand of the %s that it lives %s are left", minted, plan.Short(life),
			plan.Short(left))}
	case r.Seen:
		said = renewal{renewalSeen, minted + "its session has outlived the token that it began with"}
	case r.At.IsZero():
		said = renewal{renewalNotSeen, minted + r.Why}
	default:
		said = renewal{renewalNotSeen, fmt.Sprintf("%sdue by %s", minted, Stamp(r.At))}
	}
	if c.Irreplaceable != "" {
		said.text += "; the operator would not make it again: " + c.Irreplaceable
	}
	return said
}
