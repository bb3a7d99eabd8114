package migration

import (
	"fmt"
	"slices"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/state"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// zoneConditions verify a zone that presents a credential from now on. text says how it connected.
func zoneConditions(m plan.Member, want guard.Cred, text string) []plan.Condition {
	all := []plan.Condition{
		presentsOnly(m.Name, want, "its pods present the token alone, and the global would accept it"),
		newSession(m.Name, want, text)}
	all[0].Wait = m.Workload.RolloutWait(want)
	return all
}

// presentsOnly wants all the zone's pods to present one credential alone, and the rollout to be over.
func presentsOnly(name string, want guard.Cred, text string) plan.Condition {
	return plan.Condition{Kind: "presents", Member: name, Text: text, Moves: state.Rollouts,
		Met: ofZone(name, func(m plan.Member, _, _ plan.State) plan.Evaluation { return evaluatePresents(m, want) })}
}

func evaluatePresents(m plan.Member, want guard.Cred) plan.Evaluation {
	if m.Object.Name == "" {
		return plan.Evaluation{Met: true, Evidence: "its token was provided"}
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
	return plan.Evaluation{Met: true,
		Evidence: fmt.Sprintf("%s, presenting %s alone", count(len(m.Workload.Processes), "pod"), describe(want))}
}

// soaked wants every pod of a zone to have run for as long.
func soaked(name string, wanted time.Duration) plan.Condition {
	return plan.Condition{Kind: "soaked", Member: name, Text: fmt.Sprintf("its pods have run for %s", wanted),
		Wait: &plan.Wait{For: wanted, AtMost: wanted}, Moves: state.Rollouts,
		Met: ofZone(name, func(m plan.Member, _, now plan.State) plan.Evaluation {
			var newest time.Time
			for _, p := range m.Workload.Processes {
				newest = kube.Later(newest, kube.Later(p.Since, p.Created))
			}
			if due := newest.Add(wanted); now.At.Before(due) {
				return plan.Evaluation{ExpectedAt: due,
					Evidence: fmt.Sprintf("its newest pod runs since %s, and must for %s", newest.Format(time.RFC3339), wanted)}
			}
			return plan.Evaluation{Met: true, Evidence: fmt.Sprintf("its pods have run for %s", wanted)}
		})}
}

// reconnects want every zone that is connected to connect again, with a token where one is wanted.
func reconnects(f plan.State, want guard.Cred) []plan.Condition {
	var all []plan.Condition
	for _, m := range f.Members {
		if len(state.OpenSessions(f.Hub, m.ClusterName)) > 0 {
			all = append(all, newSession(m.Name, want, m.Name+" connected again"))
		}
	}
	return all
}

// newSession wants a session of a zone to last that is none of those before the step, and each such session to have
// brought a token where one is wanted. Sessions are told by their IDs, never by two machines' clocks.
func newSession(name string, want guard.Cred, text string) plan.Condition {
	return plan.Condition{Kind: conditionSession, Member: name, Text: text, Moves: state.Sessions, AtHub: true,
		Met: ofZone(name, func(m plan.Member, before, now plan.State) plan.Evaluation {
			return evaluateSession(m, before.Hub, now.Hub, want)
		})}
}

// conditionSession is the kind of newSession.
const conditionSession = "session"

func evaluateSession(m plan.Member, before, now plan.Hub, want guard.Cred) plan.Evaluation {
	older := func(s plan.Session) bool {
		return slices.ContainsFunc(before.Sessions[m.ClusterName], func(b plan.Session) bool { return b.ID == s.ID })
	}
	open := slices.DeleteFunc(state.OpenSessions(now, m.ClusterName), older)
	switch {
	case len(open) == 0 && len(slices.DeleteFunc(slices.Clone(now.Sessions[m.ClusterName]), older)) > 0:
		return plan.Evaluation{Evidence: "its new session has ended"}
	case len(open) == 0:
		return plan.Evaluation{Evidence: "the global does not tell of a new session yet"}
	case state.KidOf(want) != "" && !state.BroughtTokens(open):
		return plan.Evaluation{Evidence: "its new session began without a token"}
	case state.KidOf(want) != "":
		return plan.Evaluation{Met: true, Evidence: "the global tells of a new session, which brought a token"}
	}
	return plan.Evaluation{Met: true, Evidence: "the global tells of a new session"}
}

// stayConnected want every zone that is connected to be so. text says how, after its name.
func stayConnected(f plan.State, want guard.Cred, text string) []plan.Condition {
	var all []plan.Condition
	for _, m := range f.Members {
		if len(state.OpenSessions(f.Hub, m.ClusterName)) > 0 {
			all = append(all, connected(m.Name, want, m.Name+text))
		}
	}
	return all
}

// connected wants a session of a zone to last, which brought a token where one is wanted.
func connected(name string, want guard.Cred, text string) plan.Condition {
	return plan.Condition{Kind: "connected", Member: name, Text: text, Moves: state.Sessions, AtHub: true,
		Met: ofZone(name, func(m plan.Member, _, now plan.State) plan.Evaluation {
			open := state.OpenSessions(now.Hub, m.ClusterName)
			switch {
			case len(open) == 0:
				return plan.Evaluation{Evidence: "the global does not see it connected"}
			case want != state.None && !state.BroughtTokens(open):
				return plan.Evaluation{Evidence: "its session began without a token"}
			case want == state.None:
				return plan.Evaluation{Met: true, Evidence: "it is connected"}
			}
			return plan.Evaluation{Met: true, Evidence: "it is connected, and brought a token"}
		})}
}

// ofZone evaluates what is seen of a zone, and wants it and the global to be seen at all.
func ofZone(name string, evaluate func(m plan.Member, before, now plan.State) plan.Evaluation) plan.Judge {
	return ofHub(plan.OfMember(name, evaluate))
}

// These are the conditions that several steps share.

// ofHub evaluates what is seen of the global, and wants it to be found.
func ofHub(evaluate plan.Judge) plan.Judge {
	return func(before, now plan.State) plan.Evaluation {
		if !now.Hub.Found {
			return plan.Evaluation{Evidence: now.Hub.Err}
		}
		return evaluate(before, now)
	}
}
