package enrol

import (
	"context"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
	"github.com/xcpauth/kubectl-xcpauth/pkg/sorting"
)

// Accept takes over what the teams of edges verified without access to the hub, and provided:
//
//  1. find the hub, and read its roster;
//  2. refuse each statement that does not fit what is listed and seen, is stale, or says something else than wanted;
//  3. list the member of every other one, if it is not listed, and publish the statement as that team's.
//
// What is refused keeps no other from being taken over; each has its outcome with the reason.
func (l Enroller) Accept(ctx context.Context, entries []api.EdgeCluster, wanted guard.Cred,
	source string) (engine.Result, error) {
	hub, f, all, err := l.judge(ctx, entries, wanted)
	if err != nil {
		return engine.Result{Facts: f}, err
	}
	source = l.RunBy(ctx, hub.Context, source)
	r := engine.Result{Facts: f, Done: true}
	judged := map[string]bool{}
	for _, p := range all {
		judged[p.entry.Name] = true
		o := engine.Outcome{Member: p.entry.Name, Context: contextOf(f, p.entry.Name), State: engine.Changed}
		switch {
		case p.refused != "":
			o.State, o.Why = engine.Refused, p.refused
		case ctx.Err() != nil:
			o.State, o.Why = engine.NotAttempted, "interrupted before its turn"
		default:
			if o.Why, err = l.accept(ctx, hub, p, source, f); err != nil {
				o.State, o.Why = engine.Failed, err.Error()
			}
		}
		r.Done = r.Done && o.State == engine.Changed
		r.Outcomes = append(r.Outcomes, o)
	}
	for _, m := range f.Members {
		if !judged[roster.ObjectName(m.Name)] {
			r.Outcomes = append(r.Outcomes, engine.Outcome{Member: m.Name, Context: m.Context, State: engine.Skipped,
				Why: "nothing was provided about it"})
		}
	}
	sorting.Stable(r.Outcomes, func(a, b *engine.Outcome) int { return strings.Compare(a.Member, b.Member) })
	r.Interrupted = ctx.Err() != nil
	return r, nil
}

// provided is a statement that was provided, and why it is not taken over.
type provided struct {
	entry   api.EdgeCluster
	listed  bool
	refused string
}

// judge finds the hub, and says of each statement, once for each member, whether it is taken over.
func (l Enroller) judge(ctx context.Context, entries []api.EdgeCluster,
	wanted guard.Cred) (hub hubCluster, f plan.State, all []provided, err error) {
	if hub, f, err = l.findHub(ctx); err != nil {
		return hub, f, nil, err
	}
	listed, err := l.entries(ctx, hub)
	if err != nil {
		return hub, f, nil, err
	}
	journal, err := l.ReadJournal(ctx, hub.Context) // after what is listed: see Executor.unheld
	if err != nil {
		return hub, f, nil, err
	}
	var named []plan.Member
	times := map[string]int{}
	for _, e := range entries {
		m := roster.MemberOf(e)
		m.Registered = find(listed, e.Name) != nil
		named = append(named, m)
		times[e.Name]++
	}
	lacking := engine.MayPublish(ctx, l, f.Hub, named)
	for _, e := range entries {
		n := times[e.Name]
		if n == 0 {
			continue // its outcome says that it is there more than once
		}
		p := provided{entry: e, listed: find(listed, e.Name) != nil}
		held := journal.Holds(e.Name, e.Spec.ClusterUID)
		switch why := roster.Unacceptable(e, find(listed, e.Name), f, wanted); {
		case n > 1:
			p.refused = fmt.Sprintf("there are %d statements about it; provide one", n)
			times[e.Name] = 0
		case why != "":
			p.refused = why
		case lacking[roster.MemberOf(e).Name] != "":
			p.refused = lacking[roster.MemberOf(e).Name]
		case held != "":
			p.refused = "it is in flight, so what it presents may change: " + held
		}
		all = append(all, p)
	}
	return hub, f, all, nil
}

// accept lists a member, publishes its statement, and says what was stated.
func (l Enroller) accept(ctx context.Context, hub hubCluster, p provided, source string, f plan.State) (string, error) {
	m := roster.MemberOf(p.entry)
	if !p.listed {
		if _, err := l.Write(ctx, plan.Write{Context: hub.Context, Object: hub.entry(m.Name), Op: plan.OpCreate,
			After: roster.EntryObject(hub.namespace, m)}, nil); err != nil {
			return "", fmt.Errorf("%w; kubectl xcpauth migrate --to=dual installs the roster where it is not", err)
		}
	}
	st := roster.StatementOf(p.entry, f.At)
	if err := l.Publish(ctx, hub.Context, m, takenOver(p.entry, *st, source)); err != nil {
		return "", err
	}
	return fmt.Sprintf("stated as seen at %s by %s, believed until %s", st.Observed.UTC().Format(time.RFC3339),
		p.entry.Status.Source, st.Until.UTC().Format(time.RFC3339)), nil
}

// takenOver is what the roster states of a member whose own team verified it.
func takenOver(e api.EdgeCluster, st plan.Statement, source string) api.EdgeClusterStatus {
	status, until := e.Status, metav1.NewTime(st.Until)
	status.ValidUntil = &until
	status.Source = fmt.Sprintf("%s, taken over by %s", e.Status.Source, source)
	return status
}

func find(entries []api.EdgeCluster, name string) *api.EdgeCluster {
	for i := range entries {
		if entries[i].Name == name {
			return &entries[i]
		}
	}
	return nil
}

func contextOf(f plan.State, name string) string {
	for _, m := range f.Members {
		if roster.ObjectName(m.Name) == name {
			return m.Context
		}
	}
	return ""
}
