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
	claimKey       = "key"       // the global can use the key
	claimPresents  = "presents"  // all the zone's pods present the credential alone, and the rollout is over
	claimSession   = "session"   // a session that was not there before the step lasts, and brought a token where one is wanted
	claimConnected = "connected" // a session lasts, and brought a token where one is wanted
	claimSoaked    = "soaked"    // the pods have run for as long as the goal asks
	claimGlobal    = "global"    // every process of the global authenticates zones, or none does
	claimRestarted = "restarted" // no process of the global is older than the step
	claimRetired   = "retired"   // the keys are gone
	claimRevoked   = "revoked"   // the tokens are on the list, as the product reads it
	claimPruned    = "pruned"    // the tokens are off the list, and nothing else is
	claimGone      = "gone"      // nothing is left of the tokens before
)

// keySettles is how long a new key must be there: the global reads its secrets through a cache of one second (Kuma's
// store.cache.expirationTime).
const keySettles = 3 * time.Second

// judge says whether a claim holds. seen[0] are the facts right before the step's writes, the rest were observed since.
func judge(c plan.Claim, seen []plan.Facts) plan.Judgement {
	if len(seen) < 2 {
		return plan.Judgement{Witness: "not looked at yet"}
	}
	first, last := seen[0], seen[len(seen)-1]
	if !last.Hub.Found {
		return plan.Judgement{Witness: last.Hub.Err}
	}
	switch c.Kind {
	case claimKey:
		return judgeKey(c, seen)
	case claimRevoked:
		return judgeRevoked(c, last.Hub)
	case claimPruned:
		return judgePruned(c, first.Hub, last.Hub)
	case claimGlobal:
		return judgeGlobal(last.Hub, c.Cred != None)
	case claimRestarted:
		return last.Hub.Workload.RolledOut(first.Hub.Workload, "the global", "the global")
	case claimRetired:
		for _, kid := range c.Names {
			if hasKey(last.Hub, kid) {
				return plan.Judgement{Witness: "key " + kid + " is still there"}
			}
		}
		return plan.Judgement{Holds: true, Witness: "key " + strings.Join(c.Names, ", ") + " is gone"}
	}
	m := last.Member(c.Member)
	switch {
	case m == nil:
		return plan.Judgement{Witness: "it is not seen any more"}
	case m.Err != "":
		return plan.Judgement{Witness: m.Err}
	}
	switch c.Kind {
	case claimPresents:
		return judgePresents(*m, c.Cred)
	case claimSession:
		return judgeSession(*m, first.Hub, last.Hub, c.Cred)
	case claimConnected:
		open := openSessions(last.Hub, m.ClusterName)
		switch {
		case len(open) == 0:
			return plan.Judgement{Witness: "the global does not see it connected"}
		case c.Cred != None && !broughtTokens(open):
			return plan.Judgement{Witness: "its session began without a token"}
		case c.Cred == None:
			return plan.Judgement{Holds: true, Witness: "it is connected"}
		}
		return plan.Judgement{Holds: true, Witness: "it is connected, and brought a token"}
	case claimSoaked:
		return judgeSoaked(last, *m, c.For)
	case claimGone:
		if n := len(m.Leftovers); n > 0 {
			return plan.Judgement{Witness: fmt.Sprintf("%s left", count(n, "older token"))}
		}
		return plan.Judgement{Holds: true, Witness: "no older token is left"}
	}
	return plan.Judgement{Witness: "no such claim: " + c.Kind}
}

// judgeKey wants the key there, and usable, for as long as the claim says.
func judgeKey(c plan.Claim, seen []plan.Facts) plan.Judgement {
	kid, last := kidOf(c.Cred), seen[len(seen)-1]
	if !hasKey(last.Hub, kid) {
		return plan.Judgement{Witness: "key " + kid + " is not there yet"}
	}
	since := last.At
	for i := len(seen) - 1; i >= 1 && hasKey(seen[i].Hub, kid); i-- {
		since = seen[i].At
	}
	if last.At.Sub(since) < c.For {
		return plan.Judgement{Witness: "the global may not have read key " + kid + " yet", Due: since.Add(c.For)}
	}
	return plan.Judgement{Holds: true, Witness: "key " + kid + " is there, and can be used"}
}

func judgeGlobal(h plan.Hub, on bool) plan.Judgement {
	want := guard.Yes
	if on {
		want = guard.No
	}
	switch {
	case h.Workload.Err != "":
		return plan.Judgement{Witness: h.Workload.Err}
	case len(h.Odd) > 0:
		return plan.Judgement{Witness: h.Odd[0]}
	case h.Accepts.Accepts[None] != want:
		return plan.Judgement{Witness: "not every pod of the global is as its Deployment says"}
	case !h.Workload.Settled:
		return plan.Judgement{Witness: "the rollout of the global is not over"}
	case on:
		return plan.Judgement{Holds: true, Witness: fmt.Sprintf("%s of the global, authenticating zones", count(len(h.Workload.Processes), "pod"))}
	}
	return plan.Judgement{Holds: true, Witness: fmt.Sprintf("%s of the global, authenticating nobody", count(len(h.Workload.Processes), "pod"))}
}

func judgePresents(m plan.Member, want guard.Cred) plan.Judgement {
	if m.Object.Name == "" {
		return plan.Judgement{Holds: true, Witness: "its token was handed over"}
	}
	for _, p := range m.Workload.Processes {
		switch {
		case p.Waiting != "":
			return plan.Judgement{Witness: fmt.Sprintf("pod %s waits: %s", p.Name, p.Waiting)}
		case p.Ending:
			return plan.Judgement{Witness: fmt.Sprintf("pod %s is still ending", p.Name)}
		case p.Presents != want:
			return plan.Judgement{Witness: fmt.Sprintf("pod %s does not present %s", p.Name, spoken(want))}
		case !p.Ready:
			return plan.Judgement{Witness: fmt.Sprintf("pod %s is not ready", p.Name)}
		}
	}
	switch {
	case m.Workload.Err != "":
		return plan.Judgement{Witness: m.Workload.Err}
	case m.Workload.Replicas == 0:
		return plan.Judgement{Witness: fmt.Sprintf("it has no pods: %s is scaled to 0", m.Object)}
	case !m.Workload.Settled:
		return plan.Judgement{Witness: fmt.Sprintf("the rollout of %s is not over", m.Object)}
	case !presentsAlone(m, want):
		return plan.Judgement{Witness: m.Edge.Why}
	}
	return plan.Judgement{Holds: true, Witness: fmt.Sprintf("%s, presenting %s alone", count(len(m.Workload.Processes), "pod"), spoken(want))}
}

// judgeSession wants a session of a zone to last that is none of those before the step, and each such session to have brought a token where
// one is wanted. Sessions are told by their IDs, never by two machines' clocks.
func judgeSession(m plan.Member, before, now plan.Hub, want guard.Cred) plan.Judgement {
	older := func(s plan.Session) bool {
		return slices.ContainsFunc(before.Sessions[m.ClusterName], func(b plan.Session) bool { return b.ID == s.ID })
	}
	open := slices.DeleteFunc(openSessions(now, m.ClusterName), older)
	switch {
	case len(open) == 0 && len(slices.DeleteFunc(slices.Clone(now.Sessions[m.ClusterName]), older)) > 0:
		return plan.Judgement{Witness: "its new session has ended"}
	case len(open) == 0:
		return plan.Judgement{Witness: "the global does not tell of a new session yet"}
	case kidOf(want) != "" && !broughtTokens(open):
		return plan.Judgement{Witness: "its new session began without a token"}
	case kidOf(want) != "":
		return plan.Judgement{Holds: true, Witness: "the global tells of a new session, which brought a token"}
	}
	return plan.Judgement{Holds: true, Witness: "the global tells of a new session"}
}

// judgeSoaked wants every pod to have run for as long.
func judgeSoaked(f plan.Facts, m plan.Member, wanted time.Duration) plan.Judgement {
	var newest time.Time
	for _, p := range m.Workload.Processes {
		newest = later(newest, later(p.Since, p.Created))
	}
	if due := newest.Add(wanted); f.At.Before(due) {
		return plan.Judgement{Witness: fmt.Sprintf("its newest pod runs since %s, and must for %s", newest.Format(time.RFC3339), wanted), Due: due}
	}
	return plan.Judgement{Holds: true, Witness: fmt.Sprintf("its pods have run for %s", wanted)}
}
