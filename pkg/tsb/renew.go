package tsb

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// renewing fills in the names of Goal.Renew, and the tokens that lie there as a run begins.
func renewing(f plan.Facts, goal plan.Goal) map[string]string {
	if goal.Renew == nil {
		return nil
	}
	all := maps.Clone(goal.Renew)
	if _, every := all[""]; every {
		delete(all, "")
		for _, m := range f.Members {
			if m.Role == plan.RoleEdge && (m.Declared == JWT || slices.Contains(m.Edge.Presents, JWT)) {
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

// renewals decides the next wave on the way to new tokens: one edge, then the others, all within what the token allows that ends first. It is the vendor's way to force a rotation: the token's
// secret is deleted, and the operator makes it again from the service account (the high availability troubleshooting and disaster recovery
// pages). The vendor deletes the tokens of the other agents too; these have nothing to do with Central.
func renewals(f plan.Facts, goal plan.Goal) plan.Wave {
	var w plan.Wave
	var due []plan.Member
	done := 0
	for _, name := range slices.Sorted(maps.Keys(goal.Renew)) {
		m := f.Member(name)
		if m == nil || m.Role != plan.RoleEdge { // no row of a result is its own
			w.Blocked = append(w.Blocked, plan.Blocked{Member: "hub", Why: f.NoMember(name)})
		} else if m.Err == "" && m.Credential.State == plan.CredentialReady && m.Credential.Digest != goal.Renew[name] {
			done++
		} else if why := notRenewable(*m, goal); why != "" {
			w.Blocked = append(w.Blocked, plan.Blocked{Member: name, Why: why})
		} else {
			due = append(due, *m)
		}
	}
	switch size := goal.WaveSize; {
	case len(goal.Renew) == 0:
		w.Blocked = []plan.Blocked{{Member: "hub", Why: "no edge presents a JWT, so there is no token in use; kubectl xcpauth status lists the edges"}}
	case len(due) == 0:
	case done == 0:
		w.Title, w.Steps = "one new token", []plan.Step{renew(f, due[0], goal)}
	default:
		if size <= 0 || size > len(due) {
			size = len(due)
		}
		w.Title, w.Steps = "new tokens", each(due[:size], func(m plan.Member) plan.Step { return renew(f, m, goal) })
		first := slices.MinFunc(w.Steps, func(a, b plan.Step) int { return cmp.Compare(a.Within, b.Within) })
		for i := range w.Steps {
			w.Steps[i].Within = first.Within // what is not proved is put back when the whole wave has ended
		}
	}
	return w
}

// notRenewable is why the token of an edge is not deleted: that would be, or might be, an outage, or nothing would show that it was none.
func notRenewable(m plan.Member, goal plan.Goal) string {
	switch {
	case goal.Skipped(m.Name) != "":
		return "this run leaves it for the next: " + goal.Skipped(m.Name)
	case m.Err != "":
		return m.Err
	case m.InFlight != "":
		return heldBy(m)
	case !slices.Equal(m.Edge.Presents, []cred{JWT}):
		return "its pods are not known to present a JWT and nothing else, so its session would say nothing of a new token; move it first with: kubectl xcpauth migrate"
	case m.Credential.State != plan.CredentialReady && m.Credential.State != plan.CredentialBad:
		return "there is no token to be renewed: " + m.Credential.Why
	case m.Credential.Lost != "":
		return "its token is not deleted, since nothing would make it again: " + m.Credential.Lost
	case !m.Workload.Settled || len(m.Workload.Processes) == 0:
		return fmt.Sprintf("the rollout of Deployment %s/edge is not over, or it has no pods; a pod that starts while its token is gone waits for it: try again when its pods run", m.Object.Namespace)
	}
	return ""
}

// renew has the operator make a token anew. A copy is kept until the new one is proved; when none comes, the old one is put back, for which
// a part of its life is left.
func renew(f plan.Facts, m plan.Member, goal plan.Goal) plan.Step {
	o := tokenRef(m, secretToken)
	s := plan.Step{ID: "renew/" + m.Name, Kind: plan.Renew, Member: m.Name, Title: m.Name + ": have its token made anew",
		Why:    "the operator makes a token that is not there from " + secretServiceAccount + "; the running pods go on with the one that they have, and nothing is asked of the hub",
		Writes: []plan.Patch{{Context: m.Context, Cluster: m.ClusterUID, Object: o, Delete: true, KeepAs: keptToken}},
		Proof: []plan.Claim{
			{Kind: claimRenewed, Member: m.Name, Text: "another token is there, and expires later"},
			{Kind: claimMounts, Member: m.Name, Cred: JWT, Text: "every edge pod mounts the token, none mounts " + secretEdgeCert + ", no older pod is left"},
			{Kind: claimPushesOn, Member: m.Name, Text: "those pods pushed to Central twice after that"}},
		Within: goal.Within}
	if c := m.Credential; c.State == plan.CredentialReady && !c.Expires.IsZero() {
		s.Within = min(s.Within, max(c.Expires.Sub(f.At)*3/4, time.Second))
	}
	copied := plan.Patch{Context: m.Context, Cluster: m.ClusterUID, Object: tokenRef(m, keptToken), Delete: true}
	back, _ := s.Writes[0].Undo()
	s.Back, s.Then = []plan.Patch{back, copied}, []plan.Patch{copied}
	return s
}

func tokenRef(m plan.Member, name string) plan.Ref {
	return plan.Ref{Version: "v1", Resource: "secrets", Kind: "Secret", Namespace: m.Object.Namespace, Name: name}
}

// restoresToken says whether a patch is one of the way back of renew: the token from its copy, where it is gone, and the end of the copy.
func restoresToken(p plan.Patch) bool {
	bare := !p.Restart && !p.Status && p.KeepAs == "" && p.Fill == "" && !p.ByName && p.Object.UID == "" && len(p.Before)+len(p.After)+len(p.Back)+len(p.Unless) == 0
	remakes := p.Object.Name == secretToken && p.Create && !p.Delete && p.RestoreFrom == keptToken
	removes := p.Object.Name == keptToken && p.Delete && !p.Create && p.RestoreFrom == ""
	return bare && (remakes || removes)
}

// judgeRenewed wants a token that is another than the one before the write, and lives longer.
func judgeRenewed(name string, seen []plan.Facts) plan.Judgement {
	before, now := seen[0].Member(name), seen[len(seen)-1].Member(name)
	if before == nil || now == nil {
		return plan.Judgement{Witness: "it is not seen any more"}
	}
	was, is := before.Credential, now.Credential
	switch {
	case is.State != plan.CredentialReady:
		return plan.Judgement{Witness: strings.TrimSuffix("the operator has not made a new token yet: "+is.Why, ": ")}
	case is.Digest == was.Digest:
		return plan.Judgement{Witness: "the token is still the one before"}
	case !is.Expires.IsZero() && !is.Expires.After(was.Expires):
		return plan.Judgement{Witness: fmt.Sprintf("the new token expires at %s, no later than the one before", is.Expires.Format(time.RFC3339))}
	case is.Expires.IsZero():
		return plan.Judgement{Holds: true, Witness: "a new token is there, without an expiry"}
	}
	return plan.Judgement{Holds: true, Witness: "a new token is there, which expires " + is.Expires.Format(time.RFC3339)}
}

// renewedSince is the observations since the token was first seen to be another one, with the one before.
func renewedSince(name string, seen []plan.Facts) []plan.Facts {
	from := len(seen) - 1
	for from > 0 && judgeRenewed(name, []plan.Facts{seen[0], seen[from]}).Holds {
		from--
	}
	return seen[from:]
}
