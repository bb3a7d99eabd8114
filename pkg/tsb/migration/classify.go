package migration

import (
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/rollout"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// classified is the members by what can be done with them. They are those of the state: members are large.
type classified struct {
	switchable      []*plan.Member  // can be set to JWT now
	needCredentials []*plan.Member  // can be once they are supplied what they lack
	elsewhere       []*plan.Member  // could be switched, but that something else sets their mode
	unprepared      []*plan.Member  // lack the CA, and something else sets their mode, or it is set
	unverified      []*plan.Member  // are set to JWT, and not verified to present one
	onMTLS          []*plan.Member  // are known to present a certificate
	obstacles       []plan.Obstacle // cannot be moved, or are not known to have been
	verified        []*plan.Member
	dialled         []string // the names under which edges dial the hub, sorted
}

func classify(f plan.State, goal plan.Goal) classified {
	v := classified{dialled: state.HostNames(goal.Names)}
	closed := AcceptsJWTOnly(f.Hub)
	block := func(name, why string) { v.obstacles = append(v.obstacles, plan.Obstacle{Member: name, Why: why}) }
	listed := f.Hub.Listed()
	dials := func(m plan.Member) bool {
		return m.ServerName != "" && (f.Hub.Inventory == nil || listed(m.ClusterName))
	}
	for i, m := range f.Members {
		if m.Role == plan.RoleEdge && m.Err == "" {
			if dials(m) && !slices.Contains(v.dialled, m.ServerName) {
				v.dialled = append(v.dialled, m.ServerName)
			}
			if slices.Contains(m.Evidence.Presents, state.MTLS) {
				v.onMTLS = append(v.onMTLS, &f.Members[i])
			}
		}
		switch {
		case m.Role == plan.RoleMPC:
			if closed && slices.Contains(m.Evidence.Presents, state.MTLS) {
				block(m.Name, "a pod of it presents a certificate, which the hub does not accept; look at its pods with: kubectl get pods -n "+m.Object.Namespace+" --context "+m.Context)
			}
		case rollout.HeldBack(m, goal) != "":
			block(m.Name, rollout.HeldBack(m, goal))
		case m.Err != "":
			if !statedJWTOnly(m, f.At) {
				block(m.Name, m.Err)
			}
		case m.InFlight != "" && !goal.NoHub:
			block(m.Name, state.InFlightReason(m))
		case m.Declared == state.JWT && len(m.Anomalies) == 0 && m.Verified(state.JWT, f.At.Add(proofMargin)):
			v.verified = append(v.verified, &f.Members[i])
		case m.Declared == state.JWT && isUnprepared(m):
			v.unprepared = append(v.unprepared, &f.Members[i])
		case m.Declared == state.JWT && len(m.Anomalies) == 0 && !hasNoToken(m):
			v.unverified = append(v.unverified, &f.Members[i])
		case m.Declared == state.JWT && len(m.Anomalies) == 0:
			if why := missingReasons(f, m, goal); len(why) > 0 {
				block(m.Name, "it is set to JWT, and its pods have no token to start with: "+strings.Join(why, "; "))
			} else if len(state.WantedSecrets(m)) > 0 {
				v.needCredentials = append(v.needCredentials, &f.Members[i])
			} else {
				v.unverified = append(v.unverified, &f.Members[i])
			}
		default:
			missing := missingReasons(f, m, goal)
			if why := append(m.Hindrances(), missing...); len(why) > 0 {
				block(m.Name, strings.Join(why, "; "))
				v.prepare(&f.Members[i], missing)
			} else if len(state.WantedSecrets(m)) > 0 {
				v.needCredentials = append(v.needCredentials, &f.Members[i])
			} else {
				v.switchable = append(v.switchable, &f.Members[i])
			}
		}
	}
	unseen := f
	if goal.NoHub {
		unseen.Others = nil
	}
	v.obstacles = append(v.obstacles, rollout.Unseen(unseen, "an edge")...)
	slices.Sort(v.dialled)
	return v
}

// prepare takes an edge whose mode something else sets to those that are given what they lack.
func (v *classified) prepare(m *plan.Member, missing []string) {
	if !setElsewhere(*m, missing) {
		return
	}
	v.elsewhere = append(v.elsewhere, m)
	switch {
	case len(state.WantedSecrets(*m)) > 0:
		v.needCredentials = append(v.needCredentials, m)
	case isUnprepared(*m):
		v.unprepared = append(v.unprepared, m)
	}
}

// hasNoToken says whether an edge that is set to JWT cannot present one: its token is not there, nobody makes it, and
// no pod runs with one.
func hasNoToken(m plan.Member) bool {
	return m.Credential.State == plan.CredentialMissing &&
		!slices.ContainsFunc(m.Workload.Processes, func(p plan.Process) bool { return p.Started && p.Presents == state.JWT })
}

// missingReasons says what an edge lacks to present a JWT, and nobody would add: its name in Central's certificate,
// its credential.
func missingReasons(f plan.State, m plan.Member, goal plan.Goal) []string {
	var why []string
	if w := missingNameReason(f, m, goal); w != "" {
		why = append(why, w)
	}
	if goal.Supplied != "" && len(state.WantedSecrets(m)) > 0 {
		if w := supplyProblem(f, m, goal); w != "" {
			why = append(why, w)
		}
		if m.Credential.State == plan.CredentialUnknown {
			why = append(why, m.Credential.Why)
		}
		return why
	}
	if m.Trust.Suppliable {
		why = append(why, m.Trust.Why)
	}
	if c := m.Credential; c.State != plan.CredentialReady && c.State != plan.CredentialMintable {
		why = append(why, c.Why)
	}
	return why
}

// proofMargin is how long a proof must still hold for a step to be planned on it: the webhook asks a little later.
const proofMargin = time.Minute

// statedJWTOnly says whether an edge that nothing reached is known, by its team's statement, to present a JWT and
// nothing else.
func statedJWTOnly(m plan.Member, at time.Time) bool {
	return at.Before(m.Evidence.Until) && slices.Equal(m.Evidence.Presents, []guard.Cred{state.JWT})
}

// presentsOnly says whether all that a member may present is one credential.
func presentsOnly(m plan.Member, c guard.Cred) bool {
	return slices.Equal(m.Evidence.Presents, []guard.Cred{c})
}
