package kongmesh

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// The kinds of claim that judge knows.
const (
	conditionKey       = "key"       // the global can use the key
	conditionPresents  = "presents"  // all the zone's pods present the credential alone, and the rollout is over
	conditionSession   = "session"   // a session that was not there before the step lasts, and brought a token where one is wanted
	conditionConnected = "connected" // a session lasts, and brought a token where one is wanted
	conditionSoaked    = "soaked"    // the pods have run for as long as the goal asks
	conditionGlobal    = "global"    // every process of the global authenticates zones, or none does
	conditionRestarted = "restarted" // no process of the global is older than the step
	conditionRetired   = "retired"   // the keys are gone
	conditionRevoked   = "revoked"   // the tokens are on the list, as the product reads it
	conditionPruned    = "pruned"    // the tokens are off the list, and nothing else is
	conditionGone      = "gone"      // nothing is left of the tokens before
)

// keySettles is how long a new key must be there: the global reads its secrets through a cache of one second (Kuma's
// store.cache.expirationTime).
const keySettles = 3 * time.Second

// evaluate says whether a claim holds. seen[0] are the facts right before the step's writes, the rest were observed since.
func evaluate(c plan.Condition, seen []plan.State) plan.Evaluation {
	if len(seen) < 2 {
		return plan.Evaluation{Evidence: "not looked at yet"}
	}
	first, last := seen[0], seen[len(seen)-1]
	if !last.Hub.Found {
		return plan.Evaluation{Evidence: last.Hub.Err}
	}
	switch c.Kind {
	case conditionKey:
		return evaluateKey(c, seen)
	case conditionRevoked:
		return evaluateRevoked(c, last.Hub)
	case conditionPruned:
		return evaluatePruned(c, first.Hub, last.Hub)
	case conditionGlobal:
		return evaluateGlobal(last.Hub, c.Credential != None)
	case conditionRestarted:
		return last.Hub.Workload.RolledOut(first.Hub.Workload, "the global", "the global")
	case conditionRetired:
		for _, kid := range c.Names {
			if hasKey(last.Hub, kid) {
				return plan.Evaluation{Evidence: "key " + kid + " is still there"}
			}
		}
		return plan.Evaluation{Met: true, Evidence: "key " + strings.Join(c.Names, ", ") + " is gone"}
	}
	m := last.Member(c.Member)
	switch {
	case m == nil:
		return plan.Evaluation{Evidence: "it is not seen any more"}
	case m.Err != "":
		return plan.Evaluation{Evidence: m.Err}
	}
	switch c.Kind {
	case conditionPresents:
		return evaluatePresents(*m, c.Credential)
	case conditionSession:
		return evaluateSession(*m, first.Hub, last.Hub, c.Credential)
	case conditionConnected:
		open := openSessions(last.Hub, m.ClusterName)
		switch {
		case len(open) == 0:
			return plan.Evaluation{Evidence: "the global does not see it connected"}
		case c.Credential != None && !broughtTokens(open):
			return plan.Evaluation{Evidence: "its session began without a token"}
		case c.Credential == None:
			return plan.Evaluation{Met: true, Evidence: "it is connected"}
		}
		return plan.Evaluation{Met: true, Evidence: "it is connected, and brought a token"}
	case conditionSoaked:
		return evaluateSoaked(last, *m, c.For)
	case conditionGone:
		if n := len(m.Leftovers); n > 0 {
			return plan.Evaluation{Evidence: fmt.Sprintf("%s left", count(n, "older token"))}
		}
		return plan.Evaluation{Met: true, Evidence: "no older token is left"}
	}
	return plan.Evaluation{Evidence: "no such claim: " + c.Kind}
}

// evaluateKey wants the key there, and usable, for as long as the claim says.
func evaluateKey(c plan.Condition, seen []plan.State) plan.Evaluation {
	kid, last := kidOf(c.Credential), seen[len(seen)-1]
	if !hasKey(last.Hub, kid) {
		return plan.Evaluation{Evidence: "key " + kid + " is not there yet"}
	}
	since := last.At
	for i := len(seen) - 1; i >= 1 && hasKey(seen[i].Hub, kid); i-- {
		since = seen[i].At
	}
	if last.At.Sub(since) < c.For {
		return plan.Evaluation{Evidence: "the global may not have read key " + kid + " yet", ExpectedAt: since.Add(c.For)}
	}
	return plan.Evaluation{Met: true, Evidence: "key " + kid + " is there, and can be used"}
}

func evaluateGlobal(h plan.Hub, on bool) plan.Evaluation {
	want := guard.Yes
	if on {
		want = guard.No
	}
	switch {
	case h.Workload.Err != "":
		return plan.Evaluation{Evidence: h.Workload.Err}
	case len(h.Anomalies) > 0:
		return plan.Evaluation{Evidence: h.Anomalies[0]}
	case h.Accepts.Accepts[None] != want:
		return plan.Evaluation{Evidence: "not every pod of the global is as its Deployment says"}
	case !h.Workload.Settled:
		return plan.Evaluation{Evidence: "the rollout of the global is not over"}
	case on:
		return plan.Evaluation{Met: true, Evidence: fmt.Sprintf("%s of the global, authenticating zones", count(len(h.Workload.Processes), "pod"))}
	}
	return plan.Evaluation{Met: true, Evidence: fmt.Sprintf("%s of the global, authenticating nobody", count(len(h.Workload.Processes), "pod"))}
}

func evaluatePresents(m plan.Member, want guard.Cred) plan.Evaluation {
	if m.Object.Name == "" {
		return plan.Evaluation{Met: true, Evidence: "its token was handed over"}
	}
	for _, p := range m.Workload.Processes {
		switch {
		case p.Waiting != "":
			return plan.Evaluation{Evidence: fmt.Sprintf("pod %s waits: %s", p.Name, p.Waiting)}
		case p.Ending:
			return plan.Evaluation{Evidence: fmt.Sprintf("pod %s is still ending", p.Name)}
		case p.Presents != want:
			return plan.Evaluation{Evidence: fmt.Sprintf("pod %s does not present %s", p.Name, describe(want))}
		case !p.Ready:
			return plan.Evaluation{Evidence: fmt.Sprintf("pod %s is not ready", p.Name)}
		}
	}
	switch {
	case m.Workload.Err != "":
		return plan.Evaluation{Evidence: m.Workload.Err}
	case m.Workload.Replicas == 0:
		return plan.Evaluation{Evidence: fmt.Sprintf("it has no pods: %s is scaled to 0", m.Object)}
	case !m.Workload.Settled:
		return plan.Evaluation{Evidence: fmt.Sprintf("the rollout of %s is not over", m.Object)}
	case !presentsAlone(m, want):
		return plan.Evaluation{Evidence: m.Evidence.Why}
	}
	return plan.Evaluation{Met: true, Evidence: fmt.Sprintf("%s, presenting %s alone", count(len(m.Workload.Processes), "pod"), describe(want))}
}

// evaluateSession wants a session of a zone to last that is none of those before the step, and each such session to have brought a token where
// one is wanted. Sessions are told by their IDs, never by two machines' clocks.
func evaluateSession(m plan.Member, before, now plan.Hub, want guard.Cred) plan.Evaluation {
	older := func(s plan.Session) bool {
		return slices.ContainsFunc(before.Sessions[m.ClusterName], func(b plan.Session) bool { return b.ID == s.ID })
	}
	open := slices.DeleteFunc(openSessions(now, m.ClusterName), older)
	switch {
	case len(open) == 0 && len(slices.DeleteFunc(slices.Clone(now.Sessions[m.ClusterName]), older)) > 0:
		return plan.Evaluation{Evidence: "its new session has ended"}
	case len(open) == 0:
		return plan.Evaluation{Evidence: "the global does not tell of a new session yet"}
	case kidOf(want) != "" && !broughtTokens(open):
		return plan.Evaluation{Evidence: "its new session began without a token"}
	case kidOf(want) != "":
		return plan.Evaluation{Met: true, Evidence: "the global tells of a new session, which brought a token"}
	}
	return plan.Evaluation{Met: true, Evidence: "the global tells of a new session"}
}

// evaluateSoaked wants every pod to have run for as long.
func evaluateSoaked(f plan.State, m plan.Member, wanted time.Duration) plan.Evaluation {
	var newest time.Time
	for _, p := range m.Workload.Processes {
		newest = later(newest, later(p.Since, p.Created))
	}
	if due := newest.Add(wanted); f.At.Before(due) {
		return plan.Evaluation{Evidence: fmt.Sprintf("its newest pod runs since %s, and must for %s", newest.Format(time.RFC3339), wanted), ExpectedAt: due}
	}
	return plan.Evaluation{Met: true, Evidence: fmt.Sprintf("its pods have run for %s", wanted)}
}
