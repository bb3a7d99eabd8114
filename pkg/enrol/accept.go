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
	hub, f, err := l.findHub(ctx)
	if err != nil {
		return engine.Result{Facts: f}, err
	}
	listed, err := l.entries(ctx, hub)
	if err != nil {
		return engine.Result{Facts: f}, err
	}
	journal, err := l.ReadJournal(ctx, hub.Context) // after what is listed: see Executor.unheld
	if err != nil {
		return engine.Result{Facts: f}, err
	}
	var named []plan.Member
	for _, e := range entries {
		m := roster.MemberOf(e)
		m.Registered = find(listed, e.Name) != nil
		named = append(named, m)
	}
	lacking := engine.MayPublish(ctx, l, hub.Context, named)
	source = l.RunBy(ctx, hub.Context, source)
	r := engine.Result{Facts: f, Done: true}
	times := map[string]int{}
	for _, e := range entries {
		times[e.Name]++
	}
	for _, e := range entries {
		if times[e.Name] == 0 {
			continue // its outcome says that it is there more than once
		}
		o := engine.Outcome{Member: e.Name, Context: contextOf(f, e.Name), State: engine.Changed}
		why := roster.Unacceptable(e, find(listed, e.Name), f, wanted)
		if n := times[e.Name]; n > 1 {
			why = fmt.Sprintf("there are %d statements about it; provide one", n)
			times[e.Name] = 0
		}
		switch {
		case why != "":
			o.State, o.Why = engine.Refused, why
		case lacking[roster.MemberOf(e).Name] != "":
			o.State, o.Why = engine.Refused, lacking[roster.MemberOf(e).Name]
		case journal.Holds(e.Name, e.Spec.ClusterUID) != "":
			o.State, o.Why = engine.Refused, "it is in flight, so what it presents may change: "+journal.Holds(e.Name,
				e.Spec.ClusterUID)
		case ctx.Err() != nil:
			o.State, o.Why = engine.NotAttempted, "interrupted before its turn"
		default:
			if o.Why, err = l.accept(ctx, hub.Context, e, find(listed, e.Name) != nil, source, f); err != nil {
				o.State, o.Why = engine.Failed, err.Error()
			}
		}
		r.Done = r.Done && o.State == engine.Changed
		r.Outcomes = append(r.Outcomes, o)
	}
	for _, m := range f.Members {
		if _, handed := times[roster.ObjectName(m.Name)]; !handed {
			r.Outcomes = append(r.Outcomes, engine.Outcome{Member: m.Name, Context: m.Context, State: engine.Skipped,
				Why: "nothing was provided about it"})
		}
	}
	sorting.Stable(r.Outcomes, func(a, b engine.Outcome) int { return strings.Compare(a.Member, b.Member) })
	r.Interrupted = ctx.Err() != nil
	return r, nil
}

// accept lists a member, publishes its statement, and says what was stated.
func (l Enroller) accept(ctx context.Context, hub string, e api.EdgeCluster, listed bool, source string,
	f plan.State) (string, error) {
	m := roster.MemberOf(e)
	if !listed {
		if _, err := l.Write(ctx, plan.Write{Context: hub, Object: roster.Ref(m.Name), Op: plan.OpCreate,
			After: roster.EntryObject(m)}, nil); err != nil {
			return "", fmt.Errorf("%w; kubectl xcpauth migrate --to=dual installs the roster where it is not", err)
		}
	}
	st := roster.StatementOf(e, f.At)
	status, until := e.Status, metav1.NewTime(st.Until)
	status.ValidUntil = &until
	status.Source = fmt.Sprintf("%s, taken over by %s", e.Status.Source, source)
	if err := l.Publish(ctx, hub, m, status); err != nil {
		return "", err
	}
	return fmt.Sprintf("stated as seen at %s by %s, believed until %s", st.Observed.UTC().Format(time.RFC3339),
		e.Status.Source,
		st.Until.UTC().Format(time.RFC3339)), nil
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
