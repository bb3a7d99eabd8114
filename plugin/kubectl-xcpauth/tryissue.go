package main

import (
	"cmp"
	"context"
	"fmt"

	"github.com/xcpauth/kubectl-xcpauth/pkg/apply"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/state"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tokenissuer"
)

// tryIssue prints what token issue would do. No token is asked for or signed: one that was issued cannot be taken
// back. With --in-cluster the Secret is tried with another text in its place. live is nil where no cluster is touched.
func (o *issueOptions) tryIssue(ctx context.Context, live *apply.Live, f plan.State, m *plan.Member, by string) error {
	s := plan.Shown("issue/"+o.zone, o.zone, fmt.Sprintf("%s: have a token issued for %s", o.zone, o.life), by,
		"token revoke has the global refuse it")
	with := render.Details{Diff: true, Untimed: true}
	accepted, tried := true, []string{"the token: not asked for: one that is issued cannot be taken back"}
	secret := tokenissuer.Secret(cmp.Or(o.secret, "cp-token"), o.within, state.TokenKey,
		plan.NewSecret([]byte("none-in-a-dry-run")))
	switch {
	case o.inCluster:
		secret["immutable"] = true
		name, _ := secret["metadata"].(map[string]any)["name"].(string)
		w := plan.Write{Context: m.Context, Op: plan.OpCreate, After: secret, Object: plan.Ref{Version: "v1",
			Resource: "secrets", Kind: "Secret", Namespace: o.within, Name: name}}
		s.Writes = []plan.Write{w}
		if o.dryRun == dryRunServer {
			line, ok := live.Try(ctx, w)
			tried, accepted = append(tried, line), ok
		}
	case o.out == "-":
		s.Why += "; it goes to stdout"
	default:
		s.Why += "; it goes into the new file " + o.out
	}
	if o.dryRun == dryRunServer {
		with.Server = map[string][]string{s.ID: tried}
	}
	return o.tried(ctx, f, oneStep("issue", s), with, accepted, "token issue")
}

// oneStep is a plan of one step, which may be in no cluster.
func oneStep(title string, s plan.Step) plan.Plan {
	return plan.Plan{Goal: plan.Goal{NoHub: true}, Waves: []plan.Wave{{Title: title, Steps: []plan.Step{s}}}}
}
