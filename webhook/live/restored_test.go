package live

import (
	"fmt"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// An edge whose API server is restored to an older state (R12) goes on at a lower resourceVersion, with its
// connection kept or cut. The same replica decides from what the edge says then, both ways: nothing that it read
// before counts, and no revision is compared with another.
func TestARestoredEdgeIsReadAsItIs(t *testing.T) {
	for _, cut := range []bool{false, true} {
		t.Run(fmt.Sprintf("its server restarts %v", cut), func(t *testing.T) {
			h, e := startHub(t), startEdge(t, "eu")
			h.register(e)
			d := h.decider(decisionTime)
			at := func(revision int, jwt bool) {
				if cut {
					e.stop()
					defer func() { e.serve(e.own) }()
				}
				e.mode(jwt)
				e.change(func() {
					for _, o := range e.objects {
						o["metadata"].(apifake.Object)["resourceVersion"] = fmt.Sprint(revision)
					}
				})
			}
			at(900, true)
			d.admits("on JWT")
			at(400, false)
			d.denies("restored to when it was on mTLS", "eu: mtls", "read in its cluster at")
			at(401, true)
			d.admits("moved again")
			at(100, true)
			d.admits("restored to when it was on JWT already")
			at(50, false)
			d.denies("restored once more", "eu: mtls", "read in its cluster at")
		})
	}
}
