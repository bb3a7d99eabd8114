package migration

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/rollout"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// tokensToRotate fills in the names of Goal.Renew, and the tokens that lie there as a run begins.
func tokensToRotate(f plan.State, goal plan.Goal) map[string]string {
	if goal.Renew == nil {
		return nil
	}
	all := maps.Clone(goal.Renew)
	if _, every := all[""]; every {
		delete(all, "")
		for _, m := range f.Members {
			if m.Role == plan.RoleEdge && (m.Declared == state.JWT || slices.Contains(m.Evidence.Presents, state.JWT)) {
				all[m.Name] = ""
			}
		}
	}
	for name, digest := range all {
		if m := f.Member(name); m != nil && digest == "" {
			all[name] = m.Credential.Digest
		}
	}
	return all
}

// rotateTokenWave decides the next wave on the way to new tokens: one edge, then the others, all within what the
// token allows that ends first. It is the vendor's way to force a rotation: the token's secret is deleted, and the
// operator makes it again from the service account (the high availability troubleshooting and disaster recovery
// pages). The vendor deletes the tokens of the other agents too; these have nothing to do with Central.
func rotateTokenWave(f plan.State, goal plan.Goal) plan.Wave {
	var w plan.Wave
	var due []*plan.Member
	done := 0
	for _, name := range slices.Sorted(maps.Keys(goal.Renew)) {
		m := f.Member(name)
		if m == nil || m.Role != plan.RoleEdge { // no row of a result is its own
			w.Obstacles = append(w.Obstacles, plan.Obstacle{Member: "hub", Why: f.UnknownMember(name)})
		} else if m.Err == "" && m.Credential.State == plan.CredentialReady && m.Credential.Digest != goal.Renew[name] {
			done++
		} else if why := cannotRotate(*m, goal); why != "" {
			w.Obstacles = append(w.Obstacles, plan.Obstacle{Member: name, Why: why})
		} else {
			due = append(due, m)
		}
	}
	switch {
	case len(goal.Renew) == 0:
		w.Obstacles = []plan.Obstacle{{Member: "hub",
			Why: "no edge presents a JWT, so there is no token in use; kubectl xcpauth status lists the edges"}}
	case len(due) == 0:
	case done == 0:
		w.Title, w.Steps = "one new token", []plan.Step{rotateTokenStep(f, *due[0], goal)}
	default:
		w.Title, w.Steps = "new tokens", rollout.StepsFor(rollout.Limit(due, goal),
			func(m plan.Member) plan.Step { return rotateTokenStep(f, m, goal) })
		first := slices.MinFunc(w.Steps, func(a, b plan.Step) int { return cmp.Compare(a.Timeout, b.Timeout) })
		for i := range w.Steps {
			w.Steps[i].Timeout = first.Timeout // what is not verified is put back when the whole wave has ended
		}
	}
	return w
}

// cannotRotate is why the token of an edge is not deleted: that would be, or might be, an outage, or nothing would
// show that it was none.
func cannotRotate(m plan.Member, goal plan.Goal) string {
	switch {
	case rollout.HeldBack(m, goal) != "":
		return rollout.HeldBack(m, goal)
	case m.Err != "":
		return m.Err
	case m.InFlight != "":
		return state.InFlightReason(m)
	case !slices.Equal(m.Evidence.Presents, []guard.Cred{state.JWT}):
		return "its pods are not known to present a JWT and nothing else, so its session would say nothing of a new token; move it first with: kubectl xcpauth migrate"
	case m.Credential.State != plan.CredentialReady && m.Credential.State != plan.CredentialBad:
		return "there is no token to be renewed: " + m.Credential.Why
	case m.Credential.Irreplaceable != "":
		return "its token is not deleted, since nothing would make it again: " + m.Credential.Irreplaceable
	case !m.Workload.Settled || len(m.Workload.Processes) == 0:
		return fmt.Sprintf("the rollout of Deployment %s/edge is not over, or it has no pods; a pod that starts while its token is gone waits for it: try again when its pods run", m.Object.Namespace)
	}
	return ""
}

// rotateTokenStep has the operator make a token again. A copy is kept until the new one is verified. When none comes,
// the old one is put back, for which a part of its life is left.
func rotateTokenStep(f plan.State, m plan.Member, goal plan.Goal) plan.Step {
	s := plan.Step{ID: "renew/" + m.Name, Kind: "renew", Member: m.Name, Verb: "new token",
		Title: m.Name + ": have a new token made",
		Why: "the operator makes a token that is not there from " + state.SecretServiceAccount +
			"; the running pods go on with " +
			"the one that they have, and nothing is asked of the hub",
		WayBack: "the old token is kept as a secret beside it until the new one is verified, and put back when none comes",
		Writes: []plan.Write{{Context: m.Context, Cluster: m.ClusterUID, Object: tokenRef(m, state.SecretToken),
			Op:       plan.OpDelete,
			BackupAs: state.TokenBackup}},
		Conditions: []plan.Condition{tokenRenewed(m.Name), mountsOnly(m.Name, state.JWT), pushesSinceRenewed(m.Name)},
		Timeout:    goal.Within,
		Effect: onMember(m.Name, func(m *plan.Member, _ *plan.State) {
			m.Credential.State, m.Credential.Digest, m.Credential.Why = plan.CredentialReady, "predicted", ""
		})}
	if c := m.Credential; c.State == plan.CredentialReady && !c.Expires.IsZero() {
		s.Timeout = min(s.Timeout, max(c.Expires.Sub(f.At)*3/4, time.Second))
	}
	copied := plan.Write{Context: m.Context, Cluster: m.ClusterUID, Object: tokenRef(m, state.TokenBackup),
		Op: plan.OpDelete}
	undo, _ := s.Writes[0].Undo()
	s.Undo, s.OnSuccess = []plan.Write{undo, copied}, []plan.Write{copied}
	return s
}

func tokenRef(m plan.Member, name string) plan.Ref {
	return plan.Ref{Version: "v1", Resource: "secrets", Kind: "Secret", Namespace: m.Object.Namespace, Name: name}
}

// allowsTokenUndo says whether a patch is one of the way back of renew: the token from its copy, where it is gone,
// and the end of the copy.
func allowsTokenUndo(p plan.Write) bool {
	bare := p.Op != plan.OpRestart && p.Op != plan.OpUpdateStatus && p.BackupAs == "" && p.SecretField == "" &&
		!p.ListsByName && p.Object.UID == "" && len(p.Before)+len(p.After)+len(p.UndoTo)+len(p.SatisfiedBy) == 0
	remakes := p.Object.Name == state.SecretToken && p.Op == plan.OpCreate && p.Op != plan.OpDelete &&
		p.RestoreFrom == state.TokenBackup
	removes := p.Object.Name == state.TokenBackup && p.Op == plan.OpDelete && p.Op != plan.OpCreate && p.RestoreFrom == ""
	return bare && (remakes || removes)
}

// tokenRenewed wants another token than the one before the write, which lives longer.
func tokenRenewed(name string) plan.Condition {
	return plan.Condition{Kind: "renewed", Member: name, Text: "another token is there, and expires later",
		Moves: state.Token,
		Met:   func(before, now plan.State) plan.Evaluation { return evaluateRenewed(name, before, now) }}
}

// pushesSinceRenewed wants two pushes since the token was first seen to be another one.
func pushesSinceRenewed(name string) plan.Condition {
	return plan.Condition{Kind: "pushes-on", Member: name, Text: "those pods pushed to Central twice after that",
		Moves:  state.Counters,
		Follow: pushesWhile(name, func(before, now plan.State) bool { return evaluateRenewed(name, before, now).Met })}
}

// evaluateRenewed wants a token that is another than the one before the write, and lives longer.
func evaluateRenewed(name string, before, now plan.State) plan.Evaluation {
	first := before.Member(name)
	if first == nil {
		return plan.Evaluation{Evidence: "it was not seen before"}
	}
	return plan.OfMember(name, func(m plan.Member, _, _ plan.State) plan.Evaluation {
		return renewedToken(first.Credential, m.Credential)
	})(before, now)
}

// renewedToken wants the token that is there to be another one, and to live longer.
func renewedToken(was, is plan.Credential) plan.Evaluation {
	switch {
	case is.State != plan.CredentialReady:
		return plan.Evaluation{Evidence: strings.TrimSuffix("the operator has not made a new token yet: "+is.Why, ": ")}
	case is.Digest == was.Digest:
		return plan.Evaluation{Evidence: "the token is still the one before"}
	case !is.Expires.IsZero() && !is.Expires.After(was.Expires):
		return plan.Evaluation{Evidence: fmt.Sprintf("the new token expires at %s, no later than the one before",
			is.Expires.Format(time.RFC3339))}
	case is.Expires.IsZero():
		return plan.Evaluation{Met: true, Evidence: "a new token is there, without an expiry"}
	}
	return plan.Evaluation{Met: true, Evidence: "a new token is there, which expires " + is.Expires.Format(time.RFC3339)}
}
