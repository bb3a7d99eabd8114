package enrol

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

// TryAccept is what Accept would do.
func (l Enroller) TryAccept(ctx context.Context, entries []api.EdgeCluster, wanted guard.Cred,
	source string) (*Trial, error) {
	hub, f, all, err := l.judge(ctx, entries, wanted)
	if err != nil {
		return nil, err
	}
	source = l.RunBy(ctx, hub.Context, source)
	t := newTrial(f, "publish")
	for _, p := range all {
		if p.refused != "" {
			t.refuse(p.entry.Name, p.refused)
			continue
		}
		m := roster.MemberOf(p.entry)
		m.Registered = p.listed
		taken := takenOver(p.entry, *roster.StatementOf(p.entry, f.At), source)
		if err := l.tryPublish(t, m, taken); err != nil {
			return nil, err
		}
	}
	return t.done(), nil
}

// tryPublish adds that a statement about a member is published.
func (l Enroller) tryPublish(t *Trial, m plan.Member, status api.EdgeClusterStatus) error {
	status.Conditions = nil
	text, err := json.Marshal(status)
	if err != nil {
		return fmt.Errorf("encoding the statement about %s: %w", m.Name, err)
	}
	var after map[string]any
	if err := json.Unmarshal(text, &after); err != nil {
		return fmt.Errorf("encoding the statement about %s: %w", m.Name, err)
	}
	s := t.add(plan.Shown("publish/"+m.Name, m.Name, m.Name+": state what was verified",
		"the hub may withdraw a credential only when every member is known not to present it",
		"edge forget takes it out of the roster"))
	how, hub := try{}, t.State.Hub
	entry := roster.Ref(hub.Roster.In, m.Name)
	if !m.Registered {
		t.write(l, s, plan.Write{Context: hub.Context, Object: entry, Op: plan.OpCreate,
			After: roster.EntryObject(hub.Roster.In, m)}, try{unsent: noRoster(t.State)})
		how.unsent = madeBefore
	}
	t.write(l, s, plan.Write{Context: hub.Context, Object: entry, Op: plan.OpUpdateStatus,
		After: map[string]any{"status": after}}, how)
	return nil
}
