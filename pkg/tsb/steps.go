package tsb

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

// retractStatementStep takes back what the roster states of a member.
func retractStatementStep(f plan.State, m plan.Member) plan.Step {
	why := m.Evidence.Why
	if slices.Equal(m.Statement.Presents, m.Evidence.Presents) {
		why = "the fence that stood behind it is not there any more, or not as it was"
	}
	return plan.Step{ID: "void/" + m.Name, Kind: plan.RetractStatement, Member: m.Name, Title: m.Name + ": take its statement in the roster back",
		Why:    "it was proved, and what is seen now contradicts that (" + why + "); the webhook would go on believing it",
		Writes: []plan.Write{retraction(f, m)}, NoUndo: true}
}

func retraction(f plan.State, m plan.Member) plan.Write {
	return plan.Write{Context: f.Hub.Context, Object: roster.Ref(m.Name), Status: true, After: roster.Void()}
}

// registerWave makes the roster and an entry for each member that was seen.
func registerWave(f plan.State) plan.Wave {
	s := plan.Step{ID: "register", Kind: plan.Register, Member: "hub", Title: "hub: list the members in the roster",
		Why: "what the hub is not told of cannot be denied: the admission webhook decides from this list", NoUndo: true}
	if !f.Hub.Roster.Namespace {
		s.Writes = append(s.Writes, plan.Write{Context: f.Hub.Context, Create: true, Object: roster.NamespaceRef(), After: roster.NamespaceObject()})
	}
	if !f.Hub.Roster.Kind {
		s.Writes = append(s.Writes, plan.Write{Context: f.Hub.Context, Create: true, Object: roster.CRDRef(), After: roster.CRDObject()})
	}
	for _, m := range f.Members {
		switch {
		case m.Err != "":
		case !m.Registered:
			s.Writes = append(s.Writes, plan.Write{Context: f.Hub.Context, Create: true, Object: roster.Ref(m.Name), After: roster.EntryObject(m)})
		case m.EntryStale:
			s.Writes = append(s.Writes, plan.Write{Context: f.Hub.Context, Object: roster.Ref(m.Name), After: roster.Renewal(m)})
		}
	}
	return plan.Wave{Title: "register", Steps: []plan.Step{s}}
}

// caSecret makes the secret with the CA with which a JWT edge verifies Central.
func caSecret(m plan.Member) plan.Write {
	ca := plan.Ref{Version: "v1", Resource: "secrets", Kind: "Secret", Namespace: m.Object.Namespace, Name: secretCA}
	return plan.Write{Context: m.Context, Object: ca, Create: true, After: map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
		"metadata": map[string]any{"name": secretCA, "namespace": m.Object.Namespace},
		"data":     map[string]any{"ca.crt": base64.StdEncoding.EncodeToString(m.Trust.CA)},
	}}
}

// modesPatch is a change of a hub's two modes, explicit on both.
func modesPatch(h plan.Hub, jwt, mtls bool) plan.Write {
	stanza := func(m map[string]any) map[string]any {
		return nest(m, "spec", "components", "xcp", "centralAuthModes")
	}
	return plan.Write{Context: h.Context, Cluster: h.ClusterUID, Object: h.Object,
		Before: stanza(h.Declared), After: stanza(map[string]any{"jwt": jwt, "mutualTls": mtls})}
}

// idOf is the ID of a hub's step: "open" of the hub, "open/standby" of the standby.
func idOf(kind plan.Kind, who string) string {
	if who == "hub" {
		return string(kind)
	}
	return string(kind) + "/" + who
}

func accepting(jwt, mtls guard.Tri) *guard.Hub {
	return &guard.Hub{Accepts: map[guard.Cred]guard.Tri{JWT: jwt, MTLS: mtls}}
}

func acceptBothStep(f plan.State, who string, h plan.Hub, goal plan.Goal) plan.Step {
	why := "a JWT must be accepted before the first edge presents one, and a certificate until the last edge no longer does"
	if h.Accepts.Accepts[JWT] == guard.Yes {
		why = "the hub does not surely accept the certificates that some members still present, or will be moved from"
	}
	return plan.Step{ID: idOf(plan.Accept, who), Kind: plan.Accept, Member: who, Title: who + ": accept mutual TLS and JWT", Why: why,
		Writes: []plan.Write{modesPatch(h, true, true)}, Conditions: hubConditions(f, who), Timeout: goal.Within, NoUndo: true, Accepts: accepting(guard.Yes, guard.Yes)}
}

// verifyHubStep proves that Central runs with both modes, which are declared already: a run may have ended before it did.
func verifyHubStep(f plan.State, who string, goal plan.Goal) plan.Step {
	return plan.Step{ID: "prove/" + who, Kind: plan.Verify, Member: who, Title: who + ": prove that it runs with both modes",
		Why: "both are declared, and Central's pods are older than that: it may not have taken them over yet", Conditions: hubConditions(f, who), Timeout: goal.Within, NoUndo: true}
}

func withdrawMTLSStep(f plan.State, who string, h plan.Hub, goal plan.Goal) plan.Step {
	return plan.Step{ID: idOf(plan.Withdraw, who), Kind: plan.Withdraw, Member: who, Title: who + ": accept JWT alone",
		Why:    "every edge and MPC are proved to present a JWT and nothing else" + risk(f),
		Writes: []plan.Write{modesPatch(h, true, false)}, Conditions: hubConditions(f, who), Timeout: goal.Within,
		Withdraws: accepting(guard.Yes, guard.No), Accepts: accepting(guard.Yes, guard.No)}
}

// hubConditions is what must be seen after a hub's modes changed: Central runs with them, and everybody is still connected.
func hubConditions(f plan.State, who string) []plan.Condition {
	claims := []plan.Condition{{Kind: conditionCentral, Member: who, Text: "Central runs with the new modes and no older pod of it is left"}}
	if who != "hub" {
		return claims // no edge is connected to it
	}
	return append(claims, connectedConditions(f)...)
}

// connectedConditions is that MPC, and every edge that pushes now, goes on doing so.
func connectedConditions(f plan.State) []plan.Condition {
	var claims []plan.Condition
	for _, m := range f.Members {
		switch {
		case m.Name == mpcName:
			claims = append(claims, plan.Condition{Kind: conditionMPC, Member: m.Name, Text: "MPC is connected"})
		case m.Role == plan.RoleEdge && m.Err == "" && m.Workload.Found && m.Workload.Replicas > 0 && pushed(m) > 0:
			claims = append(claims, plan.Condition{Kind: conditionPushes, Member: m.Name, Text: m.Name + " goes on pushing to Central"})
		}
	}
	return claims
}

// risk tells which edges have no fence, and what that leaves.
func risk(f plan.State) string {
	var names []string
	for _, m := range f.Members {
		if m.Role == plan.RoleEdge && !m.Fence.Verified {
			names = append(names, m.Name)
		}
	}
	if len(names) == 0 {
		return ", and their own clusters deny every edit that would change that"
	}
	slices.Sort(names)
	rest := ""
	if n := len(names) - 3; n > 0 {
		names, rest = names[:3], fmt.Sprintf(" and %d more", n)
	}
	return fmt.Sprintf("; without a fence (%s%s) somebody who edits the edge in the very moment of this write is not held up", strings.Join(names, ", "), rest)
}
