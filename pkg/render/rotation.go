package render

import (
	"fmt"
	"slices"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// rotationText is how the renewal of an edge's token goes; "" for whoever presents none, or where the product renews none:
//
//   - "none: " and why, where nothing renews it;
//   - "late: ", when less than a twentieth of its life is left: by then it should have been renewed (how early the product does is not
//     documented; check says the same as XA036);
//   - "seen", once its session has outlived the token with which it began, with when the one of now was minted; else when it will have.
//
// Whether the product would make the token again if it were gone is added where it would not: token rotate refuses that edge.
func rotationText(m plan.Member, at time.Time) string {
	c, r := m.Credential, m.Rotation
	if m.Role != plan.RoleEdge || m.Err != "" || r == (plan.Rotation{}) || !slices.Contains(m.Evidence.Presents, "jwt") {
		return ""
	}
	minted := ""
	if !c.Written.IsZero() {
		minted = "minted " + stamp(c.Written) + ", "
	}
	left, life := c.Expires.Sub(at), c.Expires.Sub(c.Written)
	text := ""
	switch {
	case r.Static:
		return "none: " + minted + r.Why
	case !c.Expires.IsZero() && left <= 0:
		text = "late: " + minted + "expired " + stamp(c.Expires)
	case !c.Expires.IsZero() && !c.Written.IsZero() && left < life/20:
		text = fmt.Sprintf("late: %sand of the %s that it lives %s are left", minted, short(life), short(left))
	case r.Seen:
		text = "seen: " + minted + "its session has outlived the token that it began with"
	case r.At.IsZero():
		text = "not seen yet: " + minted + r.Why
	default:
		text = fmt.Sprintf("not seen yet: %sdue by %s", minted, stamp(r.At))
	}
	if c.Irreplaceable != "" {
		text += "; the operator would not make it again: " + c.Irreplaceable
	}
	return text
}
