package tsb

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// classified is the members by what can be done with them.
type classified struct {
	switchable      []plan.Member   // can be set to JWT now
	needCredentials []plan.Member   // can be once they are supplied what they lack
	unverified      []plan.Member   // are set to JWT, and not proved to present one
	onMTLS          []plan.Member   // are known to present a certificate
	obstacles       []plan.Obstacle // cannot be moved, or are not known to have been
	verified        []plan.Member
	dialled         []string // the names under which edges dial the hub, sorted
}

func classify(f plan.State, goal plan.Goal) classified {
	v := classified{dialled: hostNames(goal.Names)}
	closed := acceptsJWTOnly(f.Hub)
	block := func(name, why string) { v.obstacles = append(v.obstacles, plan.Obstacle{Member: name, Why: why}) }
	for _, m := range f.Members {
		if m.Role == plan.RoleEdge && m.Err == "" {
			listed := f.Hub.Inventory == nil || slices.Contains(f.Hub.Inventory, m.ClusterName)
			if listed && m.ServerName != "" && !slices.Contains(v.dialled, m.ServerName) {
				v.dialled = append(v.dialled, m.ServerName)
			}
			if slices.Contains(m.Evidence.Presents, MTLS) {
				v.onMTLS = append(v.onMTLS, m)
			}
		}
		switch {
		case m.Role == plan.RoleMPC:
			if closed && slices.Contains(m.Evidence.Presents, MTLS) {
				block(m.Name, "a pod of it presents a certificate, which the hub does not accept; look at its pods with: kubectl get pods -n "+m.Object.Namespace+" --context "+m.Context)
			}
		case goal.Skipped(m.Name) != "":
			block(m.Name, "this run leaves it for the next: "+goal.Skipped(m.Name))
		case m.Err != "":
			if !statedJWTOnly(m, f.At) {
				block(m.Name, m.Err)
			}
		case m.InFlight != "" && !goal.NoHub:
			block(m.Name, inFlightReason(m))
		case m.Declared == JWT && len(m.Anomalies) == 0 && m.Verified(JWT, f.At.Add(proofMargin)):
			v.verified = append(v.verified, m)
		case m.Declared == JWT && len(m.Anomalies) == 0 && !hasNoToken(m):
			v.unverified = append(v.unverified, m)
		case m.Declared == JWT && len(m.Anomalies) == 0:
			if why := missingReasons(f, m, goal); len(why) > 0 {
				block(m.Name, "it is set to JWT, and its pods have no token to start with: "+strings.Join(why, "; "))
			} else if len(wantedSecrets(m)) > 0 {
				v.needCredentials = append(v.needCredentials, m)
			} else {
				v.unverified = append(v.unverified, m)
			}
		default:
			if why := append(slices.Clone(m.Obstacles), missingReasons(f, m, goal)...); len(why) > 0 {
				block(m.Name, strings.Join(why, "; "))
			} else if len(wantedSecrets(m)) > 0 {
				v.needCredentials = append(v.needCredentials, m)
			} else {
				v.switchable = append(v.switchable, m)
			}
		}
	}
	for _, o := range f.Others {
		if o.State == "unreachable" && !goal.NoHub {
			block("context "+o.Context, o.Why+"; it may hold an edge: reach it, or leave it out with --contexts")
		}
	}
	if f.Hub.InventoryErr != "" {
		block("hub", f.Hub.InventoryErr)
	}
	slices.Sort(v.dialled)
	return v
}

// hasNoToken says whether an edge that is set to JWT cannot present one: its token is not there, nobody makes it, and no
// pod runs with one.
func hasNoToken(m plan.Member) bool {
	return m.Credential.State == plan.CredentialMissing &&
		!slices.ContainsFunc(m.Workload.Processes, func(p plan.Process) bool { return p.Started && p.Presents == JWT })
}

// missingReasons says what an edge lacks to present a JWT, and nobody would add: its name in Central's certificate, its credential.
func missingReasons(f plan.State, m plan.Member, goal plan.Goal) []string {
	var why []string
	if w := missingNameReason(f, m, goal); w != "" {
		why = append(why, w)
	}
	if goal.Supplied != "" && len(wantedSecrets(m)) > 0 {
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

// statedJWTOnly says whether an edge that nothing reached is known, by its team's statement, to present a JWT and nothing else.
func statedJWTOnly(m plan.Member, at time.Time) bool {
	return at.Before(m.Evidence.Until) && slices.Equal(m.Evidence.Presents, []cred{JWT})
}

func stepsFor(members []plan.Member, step func(plan.Member) plan.Step) []plan.Step {
	steps := make([]plan.Step, 0, len(members))
	for _, m := range members {
		steps = append(steps, step(m))
	}
	return steps
}

// switchWave is the part of the way that edges go: one canary; the canary's token rotation, unless the goal is hasty; then the rest, in waves.
func switchWave(f plan.State, goal plan.Goal, v classified) (plan.Wave, bool) {
	v.switchable = onePublicTrust(v, goal)
	switch {
	case len(v.switchable) == 0:
		return plan.Wave{}, false
	case len(v.verified) == 0:
		canary, why := f.Canary(v.switchable, v.obstacles, goal)
		if why != "" {
			return plan.Wave{Obstacles: append(v.obstacles, plan.Obstacle{Member: goal.Canary, Why: why})}, true
		}
		return plan.Wave{Title: "canary", Steps: []plan.Step{switchStep(f, canary, goal)}, Obstacles: v.obstacles}, true
	}
	if !goal.HastyCanary && !slices.ContainsFunc(v.verified, func(m plan.Member) bool { return rotationSeen(m, goal) }) {
		canary := v.verified[0]
		for _, m := range v.verified {
			if m.Name == goal.Canary {
				canary = m
			}
		}
		if why := rotationProblem(canary, f.At, goal); why != "" {
			return plan.Wave{Obstacles: append(v.obstacles, plan.Obstacle{Member: canary.Name, Why: why})}, true
		}
		return plan.Wave{Title: "the canary's token rotation", Steps: []plan.Step{awaitRotationStep(f, canary, goal)}, Obstacles: v.obstacles}, true
	}
	if w, any := reconnectWave(f, v, goal); any && !goal.HastyCanary {
		return w, true
	}
	title, size := "the rest", len(v.switchable)
	if goal.WaveSize > 0 && goal.WaveSize < size {
		title, size = fmt.Sprintf("%d of the remaining %d", goal.WaveSize, size), goal.WaveSize
	}
	return plan.Wave{Title: title, Steps: stepsFor(v.switchable[:size], func(m plan.Member) plan.Step { return switchStep(f, m, goal) }), Obstacles: v.obstacles}, true
}

// reconnectWave has one edge connect again after its first token has expired: an edge that goes on with the token with which its pod started
// lives as long as its session does, and all such edges would end together with the next rollout of Central. One is enough, since it is
// the product that does so or does not. A run without a hub cannot have it.
func reconnectWave(f plan.State, v classified, goal plan.Goal) (plan.Wave, bool) {
	if goal.NoHub {
		return plan.Wave{}, false
	}
	var candidate *plan.Member
	for i, m := range v.verified {
		switch {
		case slices.Contains(goal.Unrotated, m.Name) || !rotationSeen(m, goal):
			continue
		case reconnected(f.Hub, m):
			return plan.Wave{}, false
		case candidate == nil || m.Name == goal.Canary:
			candidate = &v.verified[i]
		}
	}
	if candidate == nil {
		return plan.Wave{}, false
	}
	if blocked := sessionsWithoutValidToken(f); len(blocked) > 0 {
		return plan.Wave{Obstacles: append(v.obstacles, blocked...)}, true
	}
	return plan.Wave{Title: "one edge connects again", Steps: []plan.Step{reconnectStep(f, *candidate, goal)}, Obstacles: v.obstacles}, true
}

// sessionsWithoutValidToken lists the edges that live on a session whose token could not begin another: rolling Central out would end them.
func sessionsWithoutValidToken(f plan.State) []plan.Obstacle {
	var all []plan.Obstacle
	for _, m := range f.Members {
		if m.Role == plan.RoleEdge && m.Err == "" && m.Declared == JWT && m.Credential.State == plan.CredentialBad {
			all = append(all, plan.Obstacle{Member: m.Name, Why: "Central's next rollout would cut it off: " + m.Credential.Why})
		}
	}
	return all
}

// reconnected says whether the edge was proved under pods of Central that were all started after its first token had expired.
func reconnected(h plan.Hub, m plan.Member) bool {
	if m.Statement == nil || (h.Workload.RestartedFor != reconnectKey(m) && !startedAfterExpiry(h, m)) {
		return false
	}
	return !slices.ContainsFunc(h.Workload.Processes, func(p plan.Process) bool { return !p.Created.Before(m.Statement.Observed) })
}

// startedAfterExpiry says whether all of Central's pods were started after the edge's first token had expired.
func startedAfterExpiry(h plan.Hub, m plan.Member) bool {
	before := slices.ContainsFunc(h.Workload.Processes, func(p plan.Process) bool { return !p.Created.After(m.Rotation.At) })
	return m.Rotation.Seen && len(h.Workload.Processes) > 0 && !before
}

// reconnectKey names the pods of an edge: as long as they are the same, one restart of Central shows it.
func reconnectKey(m plan.Member) string {
	sum := sha256.Sum256([]byte(podSet(m.Workload)))
	return "redial-" + hex.EncodeToString(sum[:4])
}

// reconnectStep rolls Central out, unless that has happened since the edge's first token expired, and proves the edge after that.
func reconnectStep(f plan.State, m plan.Member, goal plan.Goal) plan.Step {
	s := plan.Step{ID: "redial/" + m.Name, Kind: plan.Reconnect, Member: m.Name, Title: m.Name + ": connect again, now that the token that it began with has expired",
		Why:     "Central is rolled out once, as it will be for every change of its modes; an edge that kept its old token could not come back, and all others would be like it",
		Timeout: goal.Within, RevertsTo: MTLS, Conditions: edgeConditions(m, JWT, 0)}
	if f.Hub.Workload.RestartedFor != reconnectKey(m) && !startedAfterExpiry(f.Hub, m) {
		s.Writes = []plan.Write{restartPatch(f.Hub, reconnectKey(m))}
		s.Conditions = append([]plan.Condition{{Kind: conditionRestarted, Member: "hub", Text: "no older pod of Central is left"}}, s.Conditions...)
	}
	s.Conditions = append(s.Conditions, plan.Condition{Kind: conditionLater, Member: "hub", Text: "all of that at a time when Central's pods were there"})
	for _, c := range connectedConditions(f) {
		if c.Member != m.Name {
			s.Conditions = append(s.Conditions, c)
		}
	}
	s.Undo = undoToMTLS(f, m)
	s.NoUndo = s.Undo == nil
	return s
}

// undoToMTLS is the way back of an edge that is set to JWT; nil when it has none.
func undoToMTLS(f plan.State, m plan.Member) []plan.Write {
	if m.OldCredential.Err != "" || f.Hub.Accepts.Accepts[MTLS] == guard.No {
		return nil
	}
	return []plan.Write{{Context: m.Context, Cluster: m.ClusterUID, Object: m.Object, Before: modePatch("JWT"), After: modePatch("MUTUAL_TLS")}}
}

// noHubWave is the way of a team that has no access to the hub: its edges are moved and proved, each until its token rotation was seen, and
// fenced in, so that the statement that is handed over says all that the hub's team needs and is believed for long.
func noHubWave(f plan.State, goal plan.Goal) plan.Wave {
	v := classify(f, goal)
	if w, any := supplyWave(f, goal, v); any {
		return w
	}
	if len(f.Members) == 0 {
		v.obstacles = append(v.obstacles, plan.Obstacle{Member: "hub", Why: "no ControlPlane was found in the selected contexts; select those of your edges with --contexts"})
	}
	if len(v.unverified) > 0 {
		return plan.Wave{Title: "prove what is set to JWT already", Steps: stepsFor(v.unverified, func(m plan.Member) plan.Step { return verifyEdgeStep(m, goal) }), Obstacles: v.obstacles}
	}
	if w, any := switchWave(f, goal, v); any {
		return w
	}
	waiting, stuck := awaitingRotation(f, v, goal)
	v.obstacles = append(v.obstacles, stuck...)
	if len(waiting) > 0 {
		return plan.Wave{Title: "token rotation", Steps: stepsFor(waiting, func(m plan.Member) plan.Step { return awaitRotationStep(f, m, goal) }), Obstacles: v.obstacles}
	}
	if open := unfenced(v, goal); len(open) > 0 {
		return fenceWave(open, goal, v.obstacles)
	}
	return plan.Wave{Obstacles: v.obstacles}
}

// rotationSeen says whether a token rotation of the edge was witnessed, or is known and accepted not to come. That its time has come
// (Rotation.Seen) is not enough: the session must have been seen to go on.
func rotationSeen(m plan.Member, goal plan.Goal) bool {
	return slices.Contains(goal.Unrotated, m.Name) || (m.Statement != nil && m.Statement.Invalid == "" && m.Statement.Rotated)
}

// rotationProblem says why there is no token rotation to wait for, "" when there is.
func rotationProblem(m plan.Member, at time.Time, goal plan.Goal) string {
	const accept = "; if that is known and a new token will be there in time, say so with --accept-unrotated "
	switch r := m.Rotation; {
	case m.Err != "":
		return "its statement does not say that a rotation of its token was seen; let its team publish a newer one" + accept + m.Name
	case r.Static:
		return r.Why + accept + m.Name
	case goal.RotationWithin > 0 && r.At.Sub(at) > goal.RotationWithin:
		return fmt.Sprintf("its session will have outlived its first token only at %s (%s), later than --rotation-within %s", r.At.UTC().Format(time.RFC3339), r.Why, goal.RotationWithin) + accept + m.Name
	}
	return ""
}

// awaitingRotation lists the edges of which a token rotation is still to be seen, and those of which none will be.
func awaitingRotation(f plan.State, v classified, goal plan.Goal) (waiting []plan.Member, stuck []plan.Obstacle) {
	for _, m := range f.Members {
		if m.Role != plan.RoleEdge || rotationSeen(m, goal) || (m.Err == "" && !slices.ContainsFunc(v.verified, func(p plan.Member) bool { return p.Name == m.Name })) || (m.Err != "" && !statedJWTOnly(m, f.At)) {
			continue
		}
		if why := rotationProblem(m, f.At, goal); why != "" {
			stuck = append(stuck, plan.Obstacle{Member: m.Name, Why: why})
		} else {
			waiting = append(waiting, m)
		}
	}
	return waiting, stuck
}

// edgeConditions is proof by elimination: told to, started so, nothing older left, and those very pods are connected; and when the goal asks
// for it, for as long.
func edgeConditions(m plan.Member, c cred, soak time.Duration) []plan.Condition {
	word, mounts := "JWT", "every edge pod mounts the token, none mounts "+secretEdgeCert+", no older pod is left"
	if c == MTLS {
		word, mounts = "MUTUAL_TLS", "every edge pod mounts "+secretEdgeCert+", none mounts the token, no older pod is left"
	}
	claims := []plan.Condition{
		{Kind: conditionMode, Member: m.Name, Credential: c, Text: "EdgeXcp says " + word},
		{Kind: conditionMounts, Member: m.Name, Credential: c, Text: mounts},
		{Kind: conditionPushes, Member: m.Name, Text: "those pods connected and pushed to Central twice after that"},
	}
	if soak > 0 {
		claims = append(claims, plan.Condition{Kind: conditionSoaked, Member: m.Name, For: soak, Text: fmt.Sprintf("those pods stay so for %s", soak)})
	}
	return claims
}

func verifyEdgeStep(m plan.Member, goal plan.Goal) plan.Step {
	return plan.Step{ID: "prove/" + m.Name, Kind: plan.Verify, Member: m.Name, Title: m.Name + ": prove that it presents a JWT",
		Why: "it is set to JWT already; the last step needs it proved within the last 15 minutes", Conditions: edgeConditions(m, JWT, 0), Timeout: goal.Within, NoUndo: true}
}

func verifyMPCStep(m plan.Member, goal plan.Goal) plan.Step {
	s := plan.Step{ID: "prove/" + m.Name, Kind: plan.Verify, Member: m.Name, Title: m.Name + ": prove that it no longer presents a certificate",
		Why:        "MPC uses the hub's modes; while a pod of it mounts " + secretMPCCerts + " it may present it",
		Conditions: []plan.Condition{{Kind: conditionMPCMounts, Member: m.Name, Text: "no MPC pod mounts " + secretMPCCerts}}, Timeout: goal.Within, NoUndo: true}
	s.Conditions = append(s.Conditions, plan.Condition{Kind: conditionMPC, Member: m.Name, Text: "MPC is connected"})
	return s
}

// awaitRotationStep waits until the edge's session has outlived the token with which it began. When it does not, the edge is put back, for its
// next token would end it again; an interruption leaves it as it is, since it is proved.
func awaitRotationStep(f plan.State, m plan.Member, goal plan.Goal) plan.Step {
	s := plan.Step{ID: "witness/" + m.Name, Kind: plan.AwaitRotation, Member: m.Name, Title: m.Name + ": see its session outlive the token that it began with",
		Why: "a token lives for a limited time, and nothing yet shows that the edge goes on with the next one: " + m.Rotation.Why,
		Conditions: append(edgeConditions(m, JWT, 0)[:2],
			plan.Condition{Kind: conditionOutlived, Member: m.Name, Text: "its token was renewed, and its pods have run for longer than one lives"},
			plan.Condition{Kind: conditionPushesSince, Member: m.Name, Text: "those pods pushed to Central twice after that"}),
		Timeout: goal.Within, KeepOnInterrupt: true, RevertsTo: MTLS}
	s.Undo = undoToMTLS(f, m)
	if goal.NoHub {
		s.Undo, s.NoUndo = nil, true // the hub's team may have turned mTLS off on the strength of the move's proof
	}
	return s
}

func modePatch(v any) map[string]any {
	return nest(map[string]any{"centralAuthMode": v}, "spec", "components", "xcp")
}

// switchStep gives an edge what it lacks and sets its mode: credentials first, mode last.
func switchStep(f plan.State, m plan.Member, goal plan.Goal) plan.Step {
	s := plan.Step{ID: "move/" + m.Name, Kind: plan.Switch, Member: m.Name, Title: m.Name + ": present a JWT",
		Why: "Central accepts both; this edge alone changes", Conditions: edgeConditions(m, JWT, goal.Soak), Timeout: goal.Within, RevertsTo: MTLS}
	if goal.NoHub {
		s.Why = "this edge alone changes; that Central accepts both is the hub's team's word, and what the proof shows"
	}
	switch {
	case m.Trust.Public:
		s.Why += publicWhy
	case m.Trust.Absent:
		s.Writes = append(s.Writes, caSecret(m))
	}
	p := plan.Write{Context: m.Context, Cluster: m.ClusterUID, Object: m.Object, Before: modePatch(m.DeclaredFields["centralAuthMode"]), After: modePatch("JWT")}
	if m.Declared == "" && m.Effective == MTLS {
		p.UndoTo = modePatch("MUTUAL_TLS") // unset means different things in different versions: the way back is explicit
	}
	s.Writes = append(s.Writes, p)
	return s
}

// nest wraps m in the given keys, outermost first.
func nest(m map[string]any, path ...string) map[string]any {
	for i := len(path) - 1; i >= 0; i-- {
		m = map[string]any{path[i]: m}
	}
	return m
}
