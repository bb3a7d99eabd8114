package engine

import (
	"context"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// A newcomer reads in test/transcripts what a run says, and in which order.
// Each file is one of these runs, word by word.
func TestRunsReadAsTheTranscriptsSay(t *testing.T) {
	for _, tc := range []struct {
		name  string
		about string
		tell  func(*testing.T) *transcript
	}{
		{"01-migrate-two-edges", `A migration of two edges from mTLS to JWT.
Central's certificate gets the name that edges dial, then the hub accepts both modes.
The canary moves alone, and the run waits until its session has outlived one token. Then the other edge moves.
The hub stops accepting mTLS last, once every member is verified.`,
			func(*testing.T) *transcript {
				tr, s := tsbFleet("paris", "tokyo")
				s.unnamed, s.cert.named, s.asked = true, false, nil
				s.central[0].serves = s.cert
				tr.told("kubectl xcpauth migrate", toJWT(plan.Goal{}))
				return tr
			}},
		{"02-canary-fails", `A canary that cannot connect with its token.
Its step is not verified in time, so the run reverts it.
No other edge is touched, and the hub goes on accepting both modes.`,
			func(*testing.T) *transcript {
				tr, s := tsbFleet("paris", "tokyo")
				s.stuck["paris"] = true
				tr.told("kubectl xcpauth migrate", toJWT(plan.Goal{}))
				return tr
			}},
		{"03-killed-and-resumed", `A run that is killed right after it has written an edge's mode, and the next run.
The next run finds the wave in the journal, restores the edge first, and then migrates from there.`,
			func(*testing.T) *transcript {
				tr, s := tsbFleet("paris", "tokyo")
				tr.show("fleet:")
				s.dieOnce = "paris"
				tr.run("kubectl xcpauth migrate", toJWT(plan.Goal{}))
				tr.show("fleet after the kill:")
				tr.run("kubectl xcpauth migrate", toJWT(plan.Goal{}))
				tr.show("fleet after the run:")
				return tr
			}},
		{"04-rollback", `A rollback of a finished migration.
The hub accepts mTLS again before the first edge goes back to it. The fence of each edge goes first.`,
			func(t *testing.T) *transcript {
				tr, _ := tsbFleet("paris", "tokyo")
				tr.before(t, toJWT(plan.Goal{}))
				tr.told("kubectl xcpauth rollback", toJWT(plan.Goal{RollbackTask: plan.RollbackTask{Back: true},
					Stage: plan.Edges}))
				return tr
			}},
		{"05-token-rotation", `A token rotation of every edge of TSB.
The run deletes the secret, and the operator makes it again.
A copy of the old token stays until the new one is verified.`,
			func(t *testing.T) *transcript {
				tr, s := tsbFleet("paris", "tokyo")
				tr.before(t, toJWT(plan.Goal{}))
				for _, e := range s.edges {
					e.minted = s.now // else its operator renews it while the run is at the other
				}
				tr.told("kubectl xcpauth token rotate --all",
					toJWT(plan.Goal{Stage: plan.Edges, Renew: map[string]string{"": ""}}))
				return tr
			}},
		{"06-edge-out-of-reach", `An edge that nothing reaches keeps mTLS on.
The run cannot know what it presents, and unknown counts as mTLS.
The others are migrated, and the hub goes on accepting both modes.`,
			func(*testing.T) *transcript {
				tr, s := tsbFleet("paris", "tokyo")
				s.away = "tokyo"
				s.settle()
				tr.told("kubectl xcpauth migrate", toJWT(plan.Goal{}))
				return tr
			}},
		{"07-mesh-first-tokens", `Kong Mesh: the first tokens of two zones, then authentication on.
Every zone presents a token before the global asks for one.`,
			func(t *testing.T) *transcript {
				tr, _ := kongMesh(t, 2)
				tr.told("kubectl xcpauth migrate", plan.Goal{})
				return tr
			}},
		{"08-mesh-key-rotation", `Kong Mesh: a rotation of the signing key.
The global accepts both keys until no zone presents a token of the older key.
Only then does the run delete the older key.`,
			func(t *testing.T) *transcript {
				tr, _ := kongMesh(t, 2)
				tr.before(t, plan.Goal{})
				tr.told("kubectl xcpauth key rotate", plan.Goal{RotationTask: plan.RotationTask{Rotate: true}})
				return tr
			}},
		{"09-mesh-revocation", `Kong Mesh: the revocation of a token that a zone presents.
The zone gets another token first. The global refuses the old one after that.`,
			func(t *testing.T) *transcript {
				tr, w := kongMesh(t, 2)
				tr.before(t, plan.Goal{})
				ids := w.presented()[:1]
				tr.told("kubectl xcpauth token revoke "+ids[0], plan.Goal{RevocationTask: plan.RevocationTask{Revoke: ids}})
				return tr
			}},
		{"10-mesh-rotation-undone", `Kong Mesh: a rotation is undone while the older key is still there.
Each zone presents its token of the older key again, and then the run deletes the newest key.`,
			func(t *testing.T) *transcript {
				tr, _ := kongMesh(t, 2)
				tr.before(t, plan.Goal{})
				tr.before(t, plan.Goal{RotationTask: plan.RotationTask{Rotate: true}, Stage: plan.Edges})
				tr.told("kubectl xcpauth key rotate --back", plan.Goal{RotationTask: plan.RotationTask{Rotate: true},
					RollbackTask: plan.RollbackTask{Back: true}})
				return tr
			}},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.tell(t).golden(t, tc.name, tc.about) })
	}
}

// told shows the fleet, a run, and the fleet after it.
func (tr *transcript) told(command string, goal plan.Goal) {
	tr.show("fleet:")
	tr.run(command, goal)
	for range 20 { // what was begun ends
		tr.clusters.Pause(context.Background(), time.Second)
	}
	tr.show("fleet after the run:")
}
