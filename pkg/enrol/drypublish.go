package enrol

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/apply"
	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/sorting"
)

// DryPublisher is clusters in which nothing is written: it keeps what a run that verifies members would state of them.
type DryPublisher struct {
	*apply.Live

	mu     sync.Mutex
	stated []statement
}

// statement is what would be stated of a member, in which hub.
type statement struct {
	member plan.Member
	status api.EdgeClusterStatus
}

// Write implements engine.Clusters. The entry that a member lacks comes with its statement.
func (d *DryPublisher) Write(context.Context, plan.Write, func() error) (bool, error) {
	return true, nil
}

// Publish implements engine.Clusters. A later statement about a member says more than an earlier one.
func (d *DryPublisher) Publish(_ context.Context, _ string, m plan.Member, st api.EdgeClusterStatus) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stated = slices.DeleteFunc(d.stated, func(s statement) bool { return s.member.Name == m.Name })
	d.stated = append(d.stated, statement{m, st})
	return nil
}

// Trial is what would be written of what a run has verified.
func (d *DryPublisher) Trial(r engine.Result) (*Trial, error) {
	t := newTrial(r.Facts, "publish")
	sorting.Stable(d.stated, func(a, b *statement) int { return strings.Compare(a.member.Name, b.member.Name) })
	for _, s := range d.stated {
		if err := (Enroller{Live: d.Live}).tryPublish(t, s.member, s.status); err != nil {
			return nil, err
		}
	}
	for _, o := range r.Outcomes {
		if o.State == engine.Failed || o.State == engine.Refused || o.State == engine.Unreachable {
			t.refuse(o.Member, o.Why)
		}
	}
	return t.done(), nil
}
