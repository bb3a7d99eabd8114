package engine

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// tokenSecretName is the secret of an edge's token, without which no pod of it starts.
const tokenSecretName = "xcp-edge-central-auth-token"

// someRenewal is a goal of having tokens made again, of one edge or of all.
func (w *world) someRenewal() plan.Goal {
	g := plan.Goal{Stage: plan.Edges, Pace: plan.Pace{WaveSize: w.IntN(3)}, Renew: map[string]string{"": ""}}
	if w.chance(2) {
		g.Renew = map[string]string{w.names()[w.IntN(len(w.edges))]: ""}
	}
	return g
}

// renew lets runs that have tokens made again be interrupted again and again, then runs until all are; where an
// operator never makes one, until it was tried. What goes wrong counts as refused.
func (w *world) renew(mutate mutation) {
	for range w.IntN(3) {
		w.interrupted(w.someRenewal(), mutate)
	}
	goal := w.someRenewal()
	due := w.due(goal)
	r := w.arrive(goal, mutate)
	switch why := w.renewed(due); {
	case !r.Done && !w.forgetful():
		w.refused = append(w.refused, fmt.Sprintf("tokens are not made again: %+v, %v", r.Outcomes, r.Err))
	case r.Done && why != "":
		w.refused = append(w.refused, why)
	}
}

// tokenOf is the token of an edge as facts have it.
func (w *world) tokenOf(e *fleetMember) plan.Credential {
	c := plan.Credential{State: plan.CredentialReady, Written: e.minted, Expires: e.minted.Add(tokenLives),
		Digest: fmt.Sprint(e.minted.UnixNano())}
	switch {
	case !e.token:
		return plan.Credential{State: plan.CredentialMintable, Why: "not there yet"}
	case !w.now.Before(c.Expires):
		c.State, c.Why = plan.CredentialBad, "expired"
	}
	return c
}

// tickToken lets an edge's operator move: it renews the token that is there, and makes one that is not, at once or
// late, or never.
func (w *world) tickToken(e *fleetMember) {
	if e.token && w.now.Sub(e.minted) >= tokenRenewed {
		e.minted = w.now
	}
	if e.gone++; e.token {
		e.gone = 0
	}
	made := !e.token && (e.declared == state.JWT || !w.mintAfter)
	switch {
	case !made || w.forgets[e.name]:
		return
	case w.mintsLate && e.gone < 4 && !w.chance(6): // before the one that its pods hold ends, whenever it was deleted
		return
	case w.chance(2) || e.gone >= 4:
		e.token, e.minted = true, w.now
	}
}

// writeToken deletes a token and keeps a copy of it, puts one back from its copy, or removes the copy.
func (w *world) writeToken(p plan.Write) (bool, error) {
	e := w.edges[p.Context]
	switch {
	case !e.reachable:
		return false, fmt.Errorf("writing %s in %s: the API server did not answer in time", p.Object, p.Context)
	case p.Op == plan.OpDelete && p.BackupAs != "" && !e.token:
		return false, nil
	case p.Op == plan.OpDelete && p.BackupAs != "":
		e.copied = e.minted
		w.afterWrite()
		w.count() // the copy and the deletion are two writes
		e.token = false
		w.note("the plugin deletes the token of %s", e.name)
	case p.Op == plan.OpDelete:
		e.copied = time.Time{}
	case e.token:
		return false, nil
	case e.copied.IsZero():
		return false, &ChangedError{Object: p.Object, Context: p.Context, By: "being deleted"}
	default:
		e.token, e.minted = true, e.copied
		w.note("the plugin puts back the token of %s", e.name)
	}
	return true, nil
}

// lost says whether a token is gone that nothing but a run makes again: whoever finds that runs the plugin again at
// once.
func (w *world) lost() bool {
	return slices.ContainsFunc(w.names(), func(name string) bool { return w.forgets[name] && !w.edges[name].token })
}

// forgetful says whether an edge's operator never makes a token that is not there.
func (w *world) forgetful() bool {
	return slices.Contains(slices.Collect(maps.Values(w.forgets)), true)
}

// due are the tokens that a run with a goal is to renew, by edge.
func (w *world) due(goal plan.Goal) map[string]time.Time {
	all := map[string]time.Time{}
	for name, e := range w.edges {
		_, one := goal.Renew[name]
		_, every := goal.Renew[""]
		if one || every && e.reachable && slices.Contains(presentedBy(e.pods, e.declared), guard.Cred(state.JWT)) {
			all[name] = e.minted
		}
	}
	return all
}

// renewed says which edge has no newer token although a run said so, "" when all have.
func (w *world) renewed(due map[string]time.Time) string {
	for name, was := range due {
		if e := w.edges[name]; !e.token || !e.minted.After(was) {
			return "the run says that every token is new, and that of " + name + " is not"
		}
	}
	return ""
}
