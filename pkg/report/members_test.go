package report

import (
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
)

// A member is drawn as status says that it is: what is unknown never as connected, and nothing as done that has steps
// left.
func TestAMemberIsDrawnAsStatusSays(t *testing.T) {
	marks := map[render.Health]Mark{"": Unknown, render.HealthUnknown: Unknown, render.NotConnected: Apart,
		render.NotReady: Apart, render.Blocked: Blocked, render.Moving: Moving, render.Connected: Connected,
		render.Ready: Connected}
	for health, want := range marks {
		for _, state := range []string{"ok", "pending"} {
			if want == Connected && state == "pending" {
				want = Pending
			}
			r := Member{Name: "edge-1", Role: "edge", State: state}
			if r.Mark = r.mark(health); r.Mark != want || r.Passes() != (want == Connected) {
				t.Errorf("%s, %s: drawn as %s, passes %v; want %s", health, state, r.Mark, r.Passes(), want)
			}
		}
	}
}
