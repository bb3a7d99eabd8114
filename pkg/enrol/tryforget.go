package enrol

import (
	"context"

	"github.com/xcpauth/kubectl-xcpauth/pkg/apply"
	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

// TryForget is what Forget would do.
func (l Enroller) TryForget(ctx context.Context, name, source, reason string, alive bool) (*Trial, error) {
	hub, f, err := l.findHub(ctx)
	if err != nil {
		return nil, err
	}
	m := f.Member(name)
	if err := mayForget(f, m, name, alive); err != nil {
		return nil, err
	}
	needs := map[string][]plan.Permission{hub.Context: forgetting(hub, name, alive, m != nil && m.ReadLive)}
	if err := engine.Allowed(ctx, l, needs); err != nil {
		return nil, err
	}
	entry, err := entryToForget(ctx, hub, f, name, alive)
	if err != nil {
		return nil, err
	}
	t := newTrial(f, "forget")
	s := t.add(plan.Shown(roster.ForgetStep(name), name, name+": forget it", reason,
		"none for what the hub refuses meanwhile; migrate and edge publish list it again"))
	if entry != nil {
		event := forgottenEvent(hub.entry(name).Namespace, name, apply.UID(entry), l.RunBy(ctx, hub.Context, source),
			reason, l.Now().UTC())
		l.tryForget(t, s, hub, name, event, entry)
	}
	if alive {
		t.tries[s.ID] = append(t.tries[s.ID], try{unsent: "the lock and the journal: not sent: only a run that holds " +
			"the lock writes them"})
	}
	return t, nil
}

// tryForget adds the writes of Forget about an entry that is there, in its order.
func (l Enroller) tryForget(t *Trial, s *plan.Step, hub hubCluster, name string, event, entry map[string]any) {
	meta, _ := event["metadata"].(map[string]any)
	id, _ := meta["name"].(string)
	t.write(l, s, plan.Write{Context: hub.Context, Op: plan.OpCreate, After: event, Object: plan.Ref{Version: "v1",
		Resource: "events", Kind: "Event", Namespace: hub.entry(name).Namespace, Name: id}}, try{})
	ref := hub.entry(name)
	ref.UID = apply.UID(entry)
	t.write(l, s, plan.Write{Context: hub.Context, Object: ref, Op: plan.OpDelete}, try{})
	if isReadLive(entry) {
		t.write(l, s, plan.Write{Context: hub.Context, Object: hub.kubeconfig(name),
			Op: plan.OpDelete}, try{})
	}
}
