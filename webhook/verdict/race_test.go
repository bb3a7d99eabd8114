package verdict

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// world is a hub that accepts both, one edge that presents a JWT, and what the hub's cluster holds about it. It is
// copied at every step.
type world struct {
	now    time.Time
	mtlsOn bool // as the hub's object is stored
	exists bool // the edge's ControlPlane
	uid    string
	mode   string // that it declares
	pods   [2]bool
	fence  bool
	in     api.EdgeClusterStatus // the roster's statement
	seen   api.EdgeClusterStatus // what a prover saw and did not publish yet
	read   evidence              // what the webhook read
}

// evidence is what a decision is made from: the inventory, or with live the member as it was read in its own cluster.
type evidence struct {
	inventory Inventory
	live      *guard.Member
}

const onJWT, onMTLS = 0, 1 // pods that present it

// start is the world of every race. stated says that a statement lies in the roster, fenced that the edge's fence was
// verified before that.
func start(stated, fenced bool) world {
	w := world{now: noon, mtlsOn: true, exists: true, uid: "uid-1", mode: "JWT", pods: [2]bool{onJWT: true}, fence: fenced}
	if stated {
		observes.do(&w)
		publishes.do(&w)
	}
	return w
}

// step is one atomic thing that somebody does; false ends what they were doing: it was denied.
type step struct {
	name string
	do   func(*world) bool
}

// always is a step that nobody denies.
func always(name string, do func(*world)) step {
	return step{name, func(w *world) bool { do(w); return true }}
}

// The steps of a prover: the plugin, by whoever runs it.
var (
	observes = step{"the member is observed", func(w *world) bool {
		st := api.EdgeClusterStatus{ObservedTime: &metav1.Time{Time: w.now},
			ValidUntil: &metav1.Time{Time: w.now.Add(roster.Believed)}, ControlPlaneUID: w.uid, Source: "ci"}
		if w.fence { // verified by then, so believed longer
			st.ValidUntil = &metav1.Time{Time: w.now.Add(7 * 24 * time.Hour)}
			if json.Unmarshal(fmt.Appendf(nil, `{"binding":"xcpauth","uid":"uid-of-it","provenTime":%q}`,
				w.now.Format(time.RFC3339)), &st.Fence) != nil {
				return false
			}
		}
		if st.Presents = []string{"jwt"}; w.pods[onMTLS] || w.mode != "JWT" {
			return false // not verified
		}
		w.seen = st
		return w.exists
	}}
	publishes = always("what was observed is stated in the roster", func(w *world) { w.in = w.seen })
	fences    = always("the fence comes and is verified", func(w *world) { w.fence = true })
)

// The steps of the hub's edit: mutual TLS goes off.
var (
	readsRoster = always("the webhook reads its evidence", func(w *world) {
		e := api.EdgeCluster{ObjectMeta: metav1.ObjectMeta{Name: "eu-1"}, Status: w.in,
			Spec: api.EdgeClusterSpec{ClusterName: "eu-1", Role: api.RoleEdge,
				ControlPlane: &api.ControlPlaneReference{Namespace: "istio-system", Name: "controlplane", UID: "uid-1"}}}
		w.read = evidence{inventory: Inventory{Roster: []api.EdgeCluster{e}}}
	})
	readsLive = always("the webhook reads its evidence", func(w *world) {
		edge := guard.Member{Name: "eu-1", Until: w.now.Add(30 * time.Second)}
		if w.exists && w.uid == "uid-1" { // another one is a member of which nothing is known
			declared, _ := state.ReadEdge(m{"spec": m{"components": m{"xcp": m{"centralAuthMode": w.mode}}}})
			edge.Presents = []guard.Cred{declared}
			for pod, c := range []guard.Cred{state.JWT, state.MTLS} {
				if w.pods[pod] {
					edge.Presents = append(edge.Presents, c)
				}
			}
		}
		w.read = evidence{live: &edge}
	})
	decides = step{"the webhook decides", func(w *world) bool {
		if w.read.live != nil {
			from, _ := state.ReadHub(managementPlane(both))
			to, _ := state.ReadHub(managementPlane(jwtOnly))
			return len(guard.Withdraw(from, to, []guard.Member{*w.read.live}, w.now)) == 0
		}
		q, err := Ask(update(both, jwtOnly))
		return err == nil && q.Answer(w.read.inventory, w.now).Allowed
	}}
	hubStores = always("the hub's edit is stored", func(w *world) { w.mtlsOn = false })
)

// The steps in the edge's cluster. The fence is asked when a write is admitted, and what was admitted is stored later.
var (
	admits    = step{"the edge's edit is admitted", func(w *world) bool { return !w.fence }}
	stores    = always("the edge's edit is stored", func(w *world) { w.mode = "MUTUAL_TLS" })
	newPod    = always("a new pod presents mtls", func(w *world) { w.pods[onMTLS] = true })
	oldPod    = always("the old pod ends", func(w *world) { w.pods[onJWT] = false })
	deletes   = always("the ControlPlane is deleted", func(w *world) { w.exists, w.pods = false, [2]bool{} })
	recreates = always("the edge's edit is stored", func(w *world) {
		w.exists, w.uid, w.mode = true,
			"uid-2", "MUTUAL_TLS"
	})
	unfences = always("an administrator of the edge removes the fence", func(w *world) { w.fence = false })
	quarter  = always("15 minutes pass", func(w *world) { w.now = w.now.Add(roster.Believed) })
	week     = always("7 days pass", func(w *world) { w.now = w.now.Add(7 * 24 * time.Hour) })
)

var (
	hubByStatement = []step{readsRoster, decides, hubStores}
	hubByLiveRead  = []step{readsLive, decides, hubStores}
	edgeEdits      = []step{admits, stores, newPod, oldPod}
	edgeRecreates  = []step{deletes, admits, recreates, newPod}
	verifies       = []step{observes, publishes}
)

// explore runs every interleaving of the actors and calls end with what was done, in order, and what came of it.
func explore(w world, actors [][]step, did []string, end func(did []string, w world)) {
	over := true
	for i, steps := range actors {
		if len(steps) == 0 {
			continue
		}
		over = false
		next, rest := w, slices.Clone(actors)
		done := append(slices.Clone(did), steps[0].name)
		if rest[i] = steps[1:]; !steps[0].do(&next) {
			rest[i], done[len(done)-1] = nil, "denied: "+steps[0].name
		}
		explore(next, rest, done, end)
	}
	if over {
		end(did, w)
	}
}

// before says whether a was done, and b was not done or only after it.
func before(did []string, a, b step) bool {
	i, j := slices.Index(did, a.name), slices.Index(did, b.name)
	return i >= 0 && (j < 0 || i < j)
}

// Every order of what the hub and an edge do at the same time. cut are exactly the orders that end with a hub that
// refuses what the member presents; words says them to a reader, and docs/security-model.md says the same. A fence
// guards creating
// and editing a ControlPlane.
func TestTheRaceBetweenTheHubAndAnEdge(t *testing.T) {
	never := func([]string) bool { return false }
	for _, r := range []struct {
		name   string
		start  world
		actors [][]step
		cut    func(did []string) bool
		words  string
		// that cut off, of all; where none does, all is not counted: it moves with how long a fenced statement is believed
		orders [2]int
	}{
		{"a statement, no fence", start(true, false), [][]step{hubByStatement, edgeEdits, {quarter}},
			func(d []string) bool {
				return !before(d, quarter, decides) && !slices.Contains(d, "denied: "+decides.name)
			},
			"the edge may change at any moment after it was observed, and the hub follows the statement for 15 minutes",
			[2]int{140, 210}},
		{"a statement that is published late, no fence", start(false, false), [][]step{hubByStatement, edgeEdits, verifies},
			func(d []string) bool { return before(d, observes, stores) && before(d, publishes, readsRoster) },
			"the edge changes after it was observed, before or after that is published", [2]int{105, 365}},
		{"a live read, no fence", start(false, false), [][]step{hubByLiveRead, edgeEdits},
			func(d []string) bool { return before(d, readsLive, stores) },
			"the edge's edit is stored after the webhook read that edge: within the one call, or later", [2]int{25, 31}},
		{"re-created, a statement, no fence", start(true, false), [][]step{hubByStatement, edgeRecreates, {quarter}},
			func(d []string) bool { return !slices.Contains(d, "denied: "+decides.name) },
			"as for an edit: the hub cannot see the new ControlPlane", [2]int{140, 210}},
		{"re-created, a live read, no fence", start(false, false), [][]step{hubByLiveRead, edgeRecreates},
			func(d []string) bool { return before(d, readsLive, deletes) },
			"as for an edit, after the webhook read that edge", [2]int{15, 25}},

		{"a statement behind a fence", start(true, true), [][]step{hubByStatement, edgeEdits, {quarter, week}}, never,
			"none", [2]int{0, 0}},
		{"a statement behind a fence, published late", start(false, true), [][]step{hubByStatement, edgeEdits, verifies},
			never,
			"none", [2]int{0, 0}},
		{"a live read behind a fence", start(false, true), [][]step{hubByLiveRead, edgeEdits}, never, "none", [2]int{0, 0}},
		{"re-created behind a fence, a statement", start(true, true), [][]step{hubByStatement, edgeRecreates,
			{quarter, week}}, never, "none", [2]int{0, 0}},
		{"re-created behind a fence, a live read", start(false, true), [][]step{hubByLiveRead, edgeRecreates}, never,
			"none", [2]int{0, 0}},

		{"the fence is removed, a statement", start(true, true), [][]step{hubByStatement, {unfences}, edgeEdits},
			func(d []string) bool { return before(d, unfences, admits) && slices.Contains(d, stores.name) },
			"an administrator of the edge removes the fence and edits, while the statement is believed", [2]int{56, 66}},
		{"the fence is removed, a live read", start(false, true), [][]step{hubByLiveRead, {unfences}, edgeEdits},
			func(d []string) bool { return slices.Contains(d, stores.name) && before(d, readsLive, stores) },
			"an administrator of the edge removes the fence and edits, after the webhook read that edge", [2]int{46, 62}},
		{"the fence comes while an edit is on its way", start(false, false),
			[][]step{hubByStatement, {fences, observes, publishes}, edgeEdits},
			func(d []string) bool {
				return before(d, admits, fences) && before(d, observes, stores) && before(d, publishes, readsRoster)
			},
			"the edge's API server admitted the edit before the fence, and stores it after the member was observed behind it",
			[2]int{35, 457}},
	} {
		t.Run(r.name, func(t *testing.T) {
			var got [2]int
			explore(r.start, r.actors, nil, func(did []string, w world) {
				got[1]++
				cut := !w.mtlsOn && w.pods[onMTLS]
				if cut {
					got[0]++
				}
				if cut != r.cut(did) {
					t.Errorf("cut off: %v, said to be %v: %q", cut, r.cut(did), did)
				}
			})
			t.Logf("%d of %d orders cut the member off: %s", got[0], got[1], r.words)
			if got != r.orders && (r.orders[0] > 0 || got[0] > 0) {
				t.Errorf("%d of %d orders cut the member off, want %d of %d", got[0], got[1], r.orders[0], r.orders[1])
			}
		})
	}
}
