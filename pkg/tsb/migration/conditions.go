package migration

import (
	"cmp"
	"fmt"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// These are the conditions that several steps share. Counters of a process are compared with themselves, never the
// clocks of two machines.

// untakenFor is for how long Central must stay as it is before we believe that it is not rolled out, where CentralXcp
// does not move at all. It may say already what is wanted, since an earlier change was undone before the operator saw
// it.
func untakenFor(goal plan.Goal) time.Duration { return 6 * quietFor(goal) }

// quietFor is the same after its operator took the change over. Whether Central reads its modes again without a rollout
// is not documented.
func quietFor(goal plan.Goal) time.Duration { return cmp.Or(goal.QuietFor, plan.DefaultQuietFor) }

// edgeConditions verify an edge by elimination: it is told the mode, its pods were started so, no older pod is left,
// and those very pods are connected; and when soak is not 0, for as long.
func edgeConditions(m plan.Member, c guard.Cred, soak time.Duration) []plan.Condition {
	all := []plan.Condition{modeTold(m.Name, c), mountsOnly(m.Name, c),
		pushes(m.Name, "those pods connected and pushed to Central twice after that")}
	all[1].Wait = m.Workload.RolloutWait(c)
	if soak > 0 {
		all = append(all, soaked(m.Name, soak))
	}
	return all
}

// modeTold wants the ControlPlane and EdgeXcp to say a mode.
func modeTold(name string, want guard.Cred) plan.Condition {
	return plan.Condition{Kind: "told", Member: name, Text: "EdgeXcp says " + state.ModeWord(want), Moves: state.Modes,
		Met: plan.OfMember(name, func(m plan.Member, _, _ plan.State) plan.Evaluation {
			switch {
			case m.Declared != want:
				return plan.Evaluation{Evidence: m.Object.String() + " does not say " + state.ModeWord(want) + " any more"}
			case m.Effective != want:
				return plan.Evaluation{Evidence: "EdgeXcp does not say " + state.ModeWord(want) + " yet"}
			}
			return plan.Evaluation{Met: true, Evidence: "EdgeXcp says " + state.ModeWord(want)}
		})}
}

// mountsOnly wants every pod of the edge to mount one credential alone, and the rollout to be over.
func mountsOnly(name string, want guard.Cred) plan.Condition {
	mounts, others := "the token", state.SecretEdgeCert
	does, presenting := "present a JWT", "JWT"
	if want == state.MTLS {
		mounts, others = state.SecretEdgeCert, "the token"
		does, presenting = "present a certificate", "certificates"
	}
	return plan.Condition{Kind: "mounts", Member: name,
		Text:  fmt.Sprintf("every edge pod mounts %s, none mounts %s, no older pod is left", mounts, others),
		Moves: state.Rollouts,
		Met: plan.OfMember(name, func(m plan.Member, _, _ plan.State) plan.Evaluation {
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
			deployment := "Deployment " + m.Object.Namespace + "/edge"
			switch {
			case m.Workload.Err != "":
				return plan.Evaluation{Evidence: m.Workload.Err}
			case m.Workload.Replicas == 0:
				return plan.Evaluation{Evidence: "it has no pods: " + deployment + " is scaled to 0"}
			case !m.Workload.Settled:
				return plan.Evaluation{Evidence: "the rollout of " + deployment + " is not over"}
			}
			return plan.Evaluation{Met: true,
				Evidence: fmt.Sprintf("%s, presenting %s alone", count(len(m.Workload.Processes), "pod"), presenting)}
		})}
}

// soaked wants every pod to have run for as long.
func soaked(name string, wanted time.Duration) plan.Condition {
	return plan.Condition{Kind: "soaked", Member: name, Text: fmt.Sprintf("those pods stay so for %s", wanted),
		Wait: &plan.Wait{For: wanted, AtMost: wanted}, Moves: state.Rollouts,
		Met: plan.OfMember(name, func(m plan.Member, _, now plan.State) plan.Evaluation {
			var newest time.Time
			for _, p := range m.Workload.Processes {
				if p.Since.IsZero() {
					return plan.Evaluation{Evidence: fmt.Sprintf("pod %s is not known to run", p.Name)}
				}
				if p.Since.After(newest) {
					newest = p.Since
				}
			}
			if due := newest.Add(wanted); now.At.Before(due) {
				return plan.Evaluation{ExpectedAt: due,
					Evidence: fmt.Sprintf("its newest pod runs since %s, and must for %s", newest.Format(time.RFC3339), wanted)}
			}
			return plan.Evaluation{Met: true, Evidence: fmt.Sprintf("its pods have run for %s", wanted)}
		})}
}

// connectedConditions want MPC, and every edge that pushes now, to go on doing so.
func connectedConditions(f plan.State) []plan.Condition {
	var all []plan.Condition
	for _, m := range f.Members {
		switch {
		case m.Name == state.MPCName:
			all = append(all, mpcConnected(m.Name))
		case m.Role == plan.RoleEdge && m.Err == "" && m.Workload.Found && m.Workload.Replicas > 0 && pushed(m) > 0:
			all = append(all, pushes(m.Name, m.Name+" goes on pushing to Central"))
		}
	}
	return all
}

// mpcConnected wants MPC's rollout to be over, and Central to count its stream.
func mpcConnected(name string) plan.Condition {
	return plan.Condition{Kind: "mpc", Member: name, Text: "MPC is connected",
		Moves: func(r plan.Read) bool { return state.Rollouts(r) || state.Counters(r) },
		Met: plan.OfMember(name, func(m plan.Member, _, now plan.State) plan.Evaluation {
			if m.Name == state.StandbyMPC {
				return mpcStream(hubs(now)["standby"].Connections, m)
			}
			return mpcStream(now.Hub.Connections, m)
		})}
}

// mpcStream wants, where Central's metrics can be read, one stream of cluster state more than there are edges: that one
// is MPC's (the vendor's key metrics page).
func mpcStream(c *plan.Connections, m plan.Member) plan.Evaluation {
	switch {
	case m.Workload.Err != "":
		return plan.Evaluation{Evidence: m.Workload.Err}
	case !m.Workload.Settled:
		return plan.Evaluation{Evidence: "the rollout of Deployment mpc is not over"}
	case c == nil:
		return plan.Evaluation{Evidence: "Central's connection metrics could not be read"}
	case c.State != c.Config+1:
		return plan.Evaluation{Evidence: fmt.Sprintf("Central counts %d streams of cluster state for %s: MPC's is missing",
			c.State, count(c.Config, "edge"))}
	default:
		return plan.Evaluation{Met: true,
			Evidence: fmt.Sprintf("Central counts MPC's stream beside %s", count(c.Config, "edge"))}
	}
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
