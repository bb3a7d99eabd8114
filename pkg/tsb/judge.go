package tsb

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// The kinds of claim that judge knows.
const (
	conditionMode        = "told"         // EdgeXcp says the mode
	conditionMounts      = "mounts"       // every pod of the edge mounts its credential alone, and the rollout is over
	conditionPushes      = "pushes"       // the edge's own counters advance twice after the claims above
	conditionSoaked      = "soaked"       // the pods have run for as long as the goal asks
	conditionOutlived    = "outlived"     // the edge's session has outlived the token that it began with
	conditionPushesSince = "pushes-since" // the edge's own counters advance twice after that
	conditionCentral     = "central"      // Central has taken the modes over
	conditionRestarted   = "restarted"    // no pod of Central is older than the write
	conditionLater       = "later"        // it is later, by a second at least, than when Central's newest pod was made
	conditionMPC         = "mpc"          // MPC runs and is connected
	conditionMPCMounts   = "mpc-mounts"   // no MPC pod mounts mpc-certs
	conditionTrial       = "rehearsed"    // everybody would trust the rehearsed certificate of Central
	conditionIssued      = "issued"       // Central's certificate is as it must be
	conditionServed      = "served"       // what Central's pods serve was looked at
	conditionFresh       = "fresh"        // no pod of Central serves an older one
	conditionFenced      = "fenced"       // the edge's own API server denies an edit of its mode
	conditionSupplied    = "provided"     // the edge has what it needs to present a JWT
	conditionRenewed     = "renewed"      // another token is there, which expires later
	conditionPushesOn    = "pushes-on"    // the edge's own counters advance twice after that
	conditionGone        = "gone"         // nothing is left that only the member's certificate needed
)

// quietPolls is how many observations in a row Central must stay as it is, after its operator took the change over, before
// we believe that it will not be rolled out for it (whether Central re-reads its modes without a rollout is not documented).
const quietPolls = 10

// deadPolls is the same when CentralXcp does not move at all: it may say already what is wanted, since an earlier change was taken
// back before the operator saw that.
const deadPolls = 6 * quietPolls

// evaluate says whether a claim holds. seen[0] are the facts right before the step's writes, the rest were observed since.
func evaluate(c plan.Condition, seen []plan.State) plan.Evaluation {
	if len(seen) < 2 {
		return plan.Evaluation{Evidence: "not looked at yet"}
	}
	last := seen[len(seen)-1]
	switch c.Kind {
	case conditionCentral:
		return evaluateCentral(c.Member, seen)
	case conditionRestarted:
		return last.Hub.Workload.RolledOut(seen[0].Hub.Workload, "Central", "Deployment central")
	case conditionLater:
		return evaluateLater(last)
	case conditionTrial, conditionIssued, conditionServed, conditionFresh:
		return evaluateCertificate(c, seen)
	}
	m := last.Member(c.Member)
	if m == nil || m.Err != "" {
		why := "it is not seen any more"
		if m != nil {
			why = m.Err
		}
		return plan.Evaluation{Evidence: why}
	}
	want := c.Credential
	if want == "" {
		want = JWT
	}
	switch c.Kind {
	case conditionMode:
		return evaluateMode(*m, want)
	case conditionMounts:
		return evaluateMounts(*m, want)
	case conditionPushes:
		return evaluatePushes(c.Member, seen)
	case conditionPushesSince:
		return evaluatePushes(c.Member, outlivedSince(c.Member, seen))
	case conditionSoaked:
		return evaluateSoaked(last, *m, c.For)
	case conditionOutlived:
		return plan.Evaluation{Met: m.Rotation.Seen, Evidence: m.Rotation.Why, ExpectedAt: m.Rotation.At}
	case conditionRenewed:
		return evaluateRenewed(c.Member, seen)
	case conditionPushesOn:
		return evaluatePushes(c.Member, renewedSince(c.Member, seen))
	case conditionMPC:
		if m.Name == standbyMPC {
			return evaluateMPC(hubs(last)["standby"].Connections, *m)
		}
		return evaluateMPC(last.Hub.Connections, *m)
	case conditionMPCMounts:
		if !slices.Equal(m.Evidence.Presents, []cred{JWT}) {
			return plan.Evaluation{Evidence: "a pod of mpc still mounts " + secretMPCCerts}
		}
		return plan.Evaluation{Met: true, Evidence: "no mpc pod mounts " + secretMPCCerts}
	case conditionFenced:
		return evaluateFenced(c, seen)
	case conditionSupplied:
		return evaluateSupplied(*m)
	case conditionGone:
		return evaluateGone(last, *m)
	}
	return plan.Evaluation{Evidence: "no such claim: " + c.Kind}
}

// modeWord is a mode as the product's fields have it.
func modeWord(c cred) string {
	if c == MTLS {
		return "MUTUAL_TLS"
	}
	return "JWT"
}

func evaluateMode(m plan.Member, want cred) plan.Evaluation {
	switch {
	case m.Declared != want:
		return plan.Evaluation{Evidence: m.Object.String() + " does not say " + modeWord(want) + " any more"}
	case m.Effective != want:
		return plan.Evaluation{Evidence: "EdgeXcp does not say " + modeWord(want) + " yet"}
	}
	return plan.Evaluation{Met: true, Evidence: "EdgeXcp says " + modeWord(want)}
}

func evaluateMounts(m plan.Member, want cred) plan.Evaluation {
	does := map[cred]string{JWT: "present a JWT", MTLS: "present a certificate"}[want]
	for _, p := range m.Workload.Processes {
		switch {
		case p.Ending:
			return plan.Evaluation{Evidence: fmt.Sprintf("pod %s is still ending", p.Name)}
		case p.Presents != want:
			return plan.Evaluation{Evidence: fmt.Sprintf("pod %s does not %s", p.Name, does)}
		case p.Waiting != "":
			return plan.Evaluation{Evidence: fmt.Sprintf("pod %s waits: %s", p.Name, p.Waiting)}
		case !p.Ready:
			return plan.Evaluation{Evidence: fmt.Sprintf("pod %s is not ready", p.Name)}
		}
	}
	switch {
	case m.Workload.Err != "":
		return plan.Evaluation{Evidence: m.Workload.Err}
	case m.Workload.Replicas == 0:
		return plan.Evaluation{Evidence: "it has no pods: Deployment " + m.Object.Namespace + "/edge is scaled to 0"}
	case !m.Workload.Settled:
		return plan.Evaluation{Evidence: "the rollout of Deployment " + m.Object.Namespace + "/edge is not over"}
	}
	return plan.Evaluation{Met: true, Evidence: fmt.Sprintf("%s, presenting %s alone", count(len(m.Workload.Processes), "pod"), map[cred]string{JWT: "JWT", MTLS: "certificates"}[want])}
}

// evaluateSoaked wants every pod to have run for as long.
func evaluateSoaked(f plan.State, m plan.Member, for_ time.Duration) plan.Evaluation {
	var newest time.Time
	for _, p := range m.Workload.Processes {
		if p.Since.IsZero() {
			return plan.Evaluation{Evidence: fmt.Sprintf("pod %s is not known to run", p.Name)}
		}
		if p.Since.After(newest) {
			newest = p.Since
		}
	}
	if due := newest.Add(for_); f.At.Before(due) {
		return plan.Evaluation{Evidence: fmt.Sprintf("its newest pod runs since %s, and must for %s", newest.Format(time.RFC3339), for_), ExpectedAt: due}
	}
	return plan.Evaluation{Met: true, Evidence: fmt.Sprintf("its pods have run for %s", for_)}
}

// outlivedSince is the observations since the edge's session was first seen to have outlived its first token, with the one before.
func outlivedSince(name string, seen []plan.State) []plan.State {
	from := len(seen) - 1
	for from > 0 {
		if m := seen[from].Member(name); m == nil || !m.Rotation.Seen {
			break
		}
		from--
	}
	return seen[from:]
}

// evaluatePushes looks, backwards from now, at the stretch in which the same pods ran in the same settled state under the same
// hub, and wants two advances of each pod's own push counter in it, and a connection made. Counters of one process are
// compared with themselves, never two machines' clocks.
func evaluatePushes(name string, seen []plan.State) plan.Evaluation {
	if len(seen) < 2 {
		return plan.Evaluation{Evidence: "not looked at yet"}
	}
	now := seen[len(seen)-1]
	m := now.Member(name)
	if len(m.Workload.Processes) == 0 {
		return plan.Evaluation{Evidence: "it has no pods"}
	}
	for _, p := range m.Workload.Processes {
		if p.Counters == nil {
			why := p.NoMetric
			if why == "" {
				why = "not read yet"
			}
			return plan.Evaluation{Evidence: fmt.Sprintf("the counters of pod %s could not be read: %s", p.Name, why)}
		}
	}
	advances := map[string]int{}
	later := counterOf(*m)
	for i := len(seen) - 2; i >= 1; i-- {
		before := seen[i].Member(name)
		if before == nil || !sameStretch(*before, *m, seen[i].Hub, now.Hub) {
			break
		}
		if enough(advances, m.Workload) {
			break
		}
		earlier := counterOf(*before)
		for pod, v := range later {
			if was, ok := earlier[pod]; ok && v > was {
				advances[pod]++
			}
		}
		maps.Copy(later, earlier)
	}
	for _, p := range m.Workload.Processes {
		if p.Counters[metricConnect+`{statusLabel="ok"}`] < 1 {
			return plan.Evaluation{Evidence: fmt.Sprintf("pod %s has not connected", p.Name)}
		}
		if n := advances[p.UID]; n < 2 {
			return plan.Evaluation{Evidence: fmt.Sprintf("pod %s pushed %d of 2 times since", p.Name, n)}
		}
	}
	return plan.Evaluation{Met: true, Evidence: "its own pods connected and pushed twice since"}
}

// enough says whether every pod has advanced twice.
func enough(advances map[string]int, w plan.Workload) bool {
	return !slices.ContainsFunc(w.Processes, func(p plan.Process) bool { return advances[p.UID] < 2 })
}

// sameStretch says whether two observations belong to the same settled state of an edge under the same Central.
func sameStretch(a, b plan.Member, hubA, hubB plan.Hub) bool {
	return a.Effective == b.Effective && a.Workload.Settled && b.Workload.Settled && podSet(a.Workload) == podSet(b.Workload) &&
		podSet(hubA.Workload) == podSet(hubB.Workload)
}

func podSet(w plan.Workload) string {
	var ids []string
	for _, p := range w.Processes {
		ids = append(ids, p.UID)
	}
	slices.Sort(ids)
	return strings.Join(ids, " ")
}

// counterOf is the push counter of each pod, by UID.
func counterOf(m plan.Member) map[string]float64 {
	c := map[string]float64{}
	for _, p := range m.Workload.Processes {
		if v, ok := p.Counters[metricPush]; ok {
			c[p.UID] = v
		}
	}
	return c
}

// pushed is the newest push of any pod of the edge; 0 when none is known.
func pushed(m plan.Member) float64 {
	var newest float64
	for _, v := range counterOf(m) {
		newest = max(newest, v)
	}
	return newest
}

// evaluateCentral wants Central settled on pods of which none ran before the write; or, where no rollout comes, that Central has
// stayed settled for quietPolls observations since the operator took the change over (CentralXcp moved), or for deadPolls.
func evaluateCentral(who string, seen []plan.State) plan.Evaluation {
	hub := func(i int) plan.Hub { return hubs(seen[i])[who] }
	before, now := hub(0), hub(len(seen)-1)
	switch {
	case now.Workload.Err != "":
		return plan.Evaluation{Evidence: now.Workload.Err}
	case !now.Workload.Settled:
		return plan.Evaluation{Evidence: "the rollout of Deployment central is not over"}
	}
	old := map[string]bool{}
	for _, p := range before.Workload.Processes {
		old[p.UID] = true
	}
	replaced := 0
	for _, p := range now.Workload.Processes {
		if !old[p.UID] {
			replaced++
		}
	}
	if podsNewerThanModes(now) || (replaced == len(now.Workload.Processes) && replaced > 0) {
		return plan.Evaluation{Met: true, Evidence: "Central was rolled out"}
	}
	if replaced > 0 {
		return plan.Evaluation{Evidence: "an older pod of Central is left"}
	}
	quiet, need, missing := 0, quietPolls, "waiting for the rollout of Central"
	if before.Accepts.Basis != now.Accepts.Basis && now.OperatorGeneration <= before.OperatorGeneration {
		need, missing = deadPolls, "CentralXcp has not taken the change over yet"
	}
	for i := len(seen) - 1; i >= 1; i-- {
		h := hub(i)
		if h.OperatorGeneration != now.OperatorGeneration || !h.Workload.Settled || podSet(h.Workload) != podSet(now.Workload) {
			break
		}
		quiet++
	}
	if quiet >= need {
		return plan.Evaluation{Met: true, Evidence: "Central stayed up without a rollout"}
	}
	return plan.Evaluation{Evidence: missing}
}

// evaluateLater waits until a statement that is made now is seen to be later than Central's pods: both times are kept in whole seconds, and
// come from two clocks.
func evaluateLater(f plan.State) plan.Evaluation {
	for _, p := range f.Hub.Workload.Processes {
		if !p.Created.Before(f.At.Truncate(time.Second)) {
			return plan.Evaluation{Evidence: fmt.Sprintf("pod %s of Central was made at %s, and it is not later yet by this machine's clock", p.Name, p.Created.Format(time.RFC3339))}
		}
	}
	return plan.Evaluation{Met: true, Evidence: "it is later than when Central's pods were made"}
}

// evaluateMPC wants MPC's rollout over and, where Central's metrics can be read, one stream of cluster state more than there
// are edges: that one is MPC's (the vendor's key metrics page).
func evaluateMPC(c *plan.Connections, m plan.Member) plan.Evaluation {
	switch {
	case m.Workload.Err != "":
		return plan.Evaluation{Evidence: m.Workload.Err}
	case !m.Workload.Settled:
		return plan.Evaluation{Evidence: "the rollout of Deployment mpc is not over"}
	case c == nil:
		return plan.Evaluation{Evidence: "Central's connection metrics could not be read"}
	case c.State != c.Config+1:
		return plan.Evaluation{Evidence: fmt.Sprintf("Central counts %d streams of cluster state for %s: MPC's is missing", c.State, count(c.Config, "edge"))}
	default:
		return plan.Evaluation{Met: true, Evidence: fmt.Sprintf("Central counts MPC's stream beside %s", count(c.Config, "edge"))}
	}
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
