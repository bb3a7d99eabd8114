package migration

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// reconnectWave has one edge connect again after its first token has expired. An edge that goes on with the token with
// which its pod started lives as long as its session does, and all such edges would end together with the next rollout
// of Central. One is enough, since it is the product that does so or does not. A run without a hub cannot have it.
func reconnectWave(f plan.State, v classified, goal plan.Goal) (plan.Wave, bool) {
	if goal.NoHub {
		return plan.Wave{}, false
	}
	var candidate *plan.Member
	for _, m := range v.verified {
		switch {
		case slices.Contains(goal.Unrotated, m.Name) || !rotationSeen(*m, goal):
			continue
		case reconnected(f.Hub, *m):
			return plan.Wave{}, false
		case candidate == nil || m.Name == goal.Canary:
			candidate = m
		}
	}
	if candidate == nil {
		return plan.Wave{}, false
	}
	if blocked := sessionsWithoutValidToken(f); len(blocked) > 0 {
		return plan.Wave{Obstacles: append(v.obstacles, blocked...)}, true
	}
	return plan.Wave{Title: "one edge connects again", Steps: []plan.Step{reconnectStep(f, *candidate, goal)},
		Obstacles: v.obstacles}, true
}

// sessionsWithoutValidToken lists the edges that live on a session whose token could not begin another: rolling Central
// out would end them.
func sessionsWithoutValidToken(f plan.State) []plan.Obstacle {
	var all []plan.Obstacle
	for _, m := range f.Members {
		if m.Role == plan.RoleEdge && m.Err == "" && m.Declared == state.JWT && m.Credential.State == plan.CredentialBad {
			all = append(all, plan.Obstacle{Member: m.Name,
				Why: "Central's next rollout would cut it off: " + m.Credential.Why})
		}
	}
	return all
}

// reconnected says whether the edge was verified under pods of Central that were all started after its first token had
// expired.
func reconnected(h plan.Hub, m plan.Member) bool {
	if m.Statement == nil || (h.Workload.RestartedFor != reconnectKey(m) && !startedAfterExpiry(h, m)) {
		return false
	}
	return !slices.ContainsFunc(h.Workload.Processes, func(p plan.Process) bool {
		return !p.Created.Before(m.Statement.Observed)
	})
}

// reconnectStep rolls Central out, unless that has happened since the edge's first token expired, and verifies the edge
// after that.
func reconnectStep(f plan.State, m plan.Member, goal plan.Goal) plan.Step {
	s := plan.Step{ID: "redial/" + m.Name, Kind: "redial", Member: m.Name, Verb: "connect again",
		Title: m.Name + ": connect again, now that the token that it began with has expired",
		Why: "Central is rolled out once, as it will be for every change of its modes; an edge that kept its old token " +
			"could not come back, and all others would be like it",
		Timeout: goal.Within, RevertsTo: state.MTLS, Conditions: edgeConditions(m, state.JWT, 0), States: plan.StatesAgain,
		Effect: func(f *plan.State) {
			f.Hub.Workload.Processes = nil
			if m := f.Member(m.Name); m != nil {
				f.Hub.Workload.RestartedFor = reconnectKey(*m)
			}
		}}
	if f.Hub.Workload.RestartedFor != reconnectKey(m) && !startedAfterExpiry(f.Hub, m) {
		s.Writes = []plan.Write{centralRestart(f.Hub, reconnectKey(m))}
		s.Conditions = append([]plan.Condition{centralRestarted()}, s.Conditions...)
	}
	s.Conditions = append(s.Conditions, laterThanCentral())
	for _, c := range connectedConditions(f) {
		if c.Member != m.Name {
			s.Conditions = append(s.Conditions, c)
		}
	}
	s.Undo = undoToMTLS(f, m)
	if s.NoUndo = s.Undo == nil; !s.NoUndo {
		s.WayBack = certificateAgain
	}
	return s
}

// startedAfterExpiry says whether all of Central's pods were started after the edge's first token had expired.
func startedAfterExpiry(h plan.Hub, m plan.Member) bool {
	before := slices.ContainsFunc(h.Workload.Processes, func(p plan.Process) bool {
		return !p.Created.After(m.Rotation.At)
	})
	return m.Rotation.Seen && len(h.Workload.Processes) > 0 && !before
}

// reconnectKey names the pods of an edge: as long as they are the same, one restart of Central shows it.
func reconnectKey(m plan.Member) string {
	sum := sha256.Sum256([]byte(podSet(m.Workload)))
	return "redial-" + hex.EncodeToString(sum[:4])
}

// centralRestart rolls Central out once, as kubectl rollout restart does, and says what for: the same reason does it
// once.
func centralRestart(h plan.Hub, why string) plan.Write {
	ref := plan.Ref{Group: "apps", Version: "v1", Resource: "deployments", Kind: "Deployment",
		Namespace: h.Object.Namespace, Name: "central"}
	return plan.Write{Context: h.Context, Cluster: h.ClusterUID, Object: ref, Op: plan.OpRestart,
		After: nest(map[string]any{kube.RestartedFor: why}, "spec", "template", "metadata", "annotations")}
}

// centralRestarted wants no pod of Central to be older than the write.
func centralRestarted() plan.Condition {
	return plan.Condition{Kind: "restarted", Member: "hub", Text: "no older pod of Central is left",
		Moves: state.Rollouts,
		Met: func(before, now plan.State) plan.Evaluation {
			return now.Hub.Workload.RolledOut(before.Hub.Workload, "Central", "Deployment central")
		}}
}

// laterThanCentral waits until a statement that is made now is seen to be later than Central's pods: both times are
// kept in whole seconds, and come from two clocks.
func laterThanCentral() plan.Condition {
	return plan.Condition{Kind: "later", Member: "hub", Text: "all of that at a time when Central's pods were there",
		Moves: state.Rollouts,
		Met: func(_, now plan.State) plan.Evaluation {
			for _, p := range now.Hub.Workload.Processes {
				if !p.Created.Before(now.At.Truncate(time.Second)) {
					return plan.Evaluation{Evidence: fmt.Sprintf(
						"pod %s of Central was made at %s, and it is not later yet by this machine's clock",
						p.Name, p.Created.Format(time.RFC3339))}
				}
			}
			return plan.Evaluation{Met: true, Evidence: "it is later than when Central's pods were made"}
		}}
}
