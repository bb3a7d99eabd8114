package enrol

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/apply"
	"github.com/xcpauth/kubectl-xcpauth/pkg/edgereader"
	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

// TryRegister is what Register would do.
func (l Enroller) TryRegister(ctx context.Context, names []string, how Registration) (*Trial, error) {
	hub, f, err := l.findHub(ctx)
	if err != nil {
		return nil, err
	}
	t := newTrial(f, "register")
	if err := edgesOf(f, names); err != nil {
		return nil, err
	}
	for _, m := range f.Members {
		switch {
		case !slices.Contains(names, m.Name):
		case m.Err != "":
			t.refuse(m.Name, m.Err)
		default:
			if err := l.tryRegister(ctx, t, hub, m, how); err != nil {
				t.refuse(m.Name, err.Error())
			}
		}
	}
	return t.done(), nil
}

// tryRegister adds what register would do for one edge, in its order.
func (l Enroller) tryRegister(ctx context.Context, t *Trial, hub hubCluster, m plan.Member,
	how Registration) error {
	edge, err := l.Fleet.Cluster(m.Context)
	if err != nil {
		return err
	}
	kube, err := reachable(m.Context, edge.Config, how)
	if err != nil {
		return err
	}
	kube.Namespace, kube.Token = m.Object.Namespace, plan.NewSecret([]byte("none-in-a-dry-run"))
	reads := how.Reads(*roster.Entry(hub.namespace, m).Spec.ControlPlane)
	if err := engine.Allowed(ctx, l, registering(hub, m, reads)); err != nil {
		return err
	}
	entry, needed, err := entryOf(ctx, hub, m)
	if err != nil {
		return err
	}
	text, err := kube.Encode()
	if err != nil {
		return err
	}
	s := t.add(plan.Shown("read-live/"+m.Name, m.Name, m.Name+": have the webhook read it live",
		"the webhook then decides from what it reads in the edge's cluster, and not from a statement",
		"edge unregister removes what this makes, and the webhook decides from statements again"))
	if needed {
		t.write(l, s, entry, try{unsent: noRoster(t.State)})
	}
	for _, o := range edgereader.Objects(m.Object.Namespace, reads) {
		t.write(l, s, plan.Write{Context: m.Context, Object: o.Ref, Op: plan.OpCreate, After: o.Body},
			try{send: func(ctx context.Context) (string, bool) {
				return sent(o.Ref, serverSideApply(ctx, edge, o.Ref, o.Body, true))
			}, unsent: roleFirst(ctx, edge, o.Ref)})
	}
	t.tries[s.ID] = append(t.tries[s.ID], try{unsent: fmt.Sprintf("a token of ServiceAccount %s/%s: not asked for: "+
		"one that is issued cannot be taken back", m.Object.Namespace, edgereader.ReaderName)})
	secret := hub.kubeconfig(m.Name)
	body := kubeconfigSecret(secret, text, nil)
	t.write(l, s, plan.Write{Context: hub.Context, Object: secret, Op: plan.OpCreate, After: body},
		try{send: func(ctx context.Context) (string, bool) {
			return sent(secret, replace(ctx, hub.Cluster, secret, body, true))
		}})
	t.evidence(l, s, hub, m, api.EvidenceLive)
	return nil
}

// TryUnregister is what Unregister would do.
func (l Enroller) TryUnregister(ctx context.Context, names []string) (*Trial, error) {
	hub, f, err := l.findHub(ctx)
	if err != nil {
		return nil, err
	}
	if err := edgesOf(f, names); err != nil {
		return nil, err
	}
	t := newTrial(f, "unregister")
	for _, m := range f.Members {
		if !slices.Contains(names, m.Name) {
			continue
		}
		if err := engine.Allowed(ctx, l, unregistering(hub, m, statesOther(m))); err != nil {
			t.refuse(m.Name, err.Error())
			continue
		}
		l.tryUnregister(t, hub, m)
	}
	return t.done(), nil
}

// tryUnregister adds what unregister would do for one edge, in its order.
func (l Enroller) tryUnregister(t *Trial, hub hubCluster, m plan.Member) {
	s := t.add(plan.Shown("read-no-more/"+m.Name, m.Name, m.Name+": decide from statements again",
		"the hub no longer reads it in its own cluster", "edge register makes all of it again"))
	if statesOther(m) {
		t.write(l, s, l.retraction(hub, m), try{})
	}
	if m.Registered {
		t.evidence(l, s, hub, m, api.EvidenceStatement)
	}
	t.write(l, s, plan.Write{Context: hub.Context, Object: hub.kubeconfig(m.Name),
		Op: plan.OpDelete}, try{})
	if m.Err != "" {
		t.refuse(m.Name, fmt.Sprintf("ServiceAccount %s with its Role and RoleBinding is left in its cluster: %s",
			edgereader.ReaderName, m.Err))
		return
	}
	objects := edgereader.Objects(m.Object.Namespace, nil)
	for i := range objects {
		t.write(l, s, plan.Write{Context: m.Context, Object: objects[len(objects)-1-i].Ref, Op: plan.OpDelete}, try{})
	}
}

// evidence adds the write that says what the webhook decides from.
func (t *Trial) evidence(l Enroller, s *plan.Step, hub hubCluster, m plan.Member, evidence api.Evidence) {
	how := try{send: func(ctx context.Context) (string, bool) {
		return sent(hub.entry(m.Name), setEvidence(ctx, hub, m.Name, evidence, true))
	}}
	if !m.Registered {
		how = try{unsent: madeBefore}
	}
	t.write(l, s, plan.Write{Context: hub.Context, Object: hub.entry(m.Name), Op: plan.OpUpdate,
		After: map[string]any{"spec": map[string]any{"evidence": string(evidence)}}}, how)
}

// sent says what became of a write that is sent by itself.
func sent(ref plan.Ref, err error) (string, bool) {
	if err != nil {
		return err.Error(), false
	}
	return fmt.Sprintf("%s: %s", ref, apply.Accepted), true
}

// roleFirst is why a RoleBinding cannot be tried: its Role may not be there yet. "" when it is, or for anything else.
func roleFirst(ctx context.Context, c *kubeconfig.Cluster, ref plan.Ref) string {
	if ref.Kind != "RoleBinding" {
		return ""
	}
	role := ref
	role.Kind, role.Resource = "Role", "roles"
	if _, err := apply.Get(ctx, c, role); err != nil {
		return madeBefore
	}
	return ""
}

// edgesOf refuses names that no edge has.
func edgesOf(f plan.State, names []string) error {
	for _, n := range names {
		switch m := f.Member(n); {
		case m == nil:
			return errors.New(f.UnknownMember(n))
		case m.Role != plan.RoleEdge:
			return fmt.Errorf("%s is no edge: it runs in the hub, and its pods are no ControlPlane's", n)
		}
	}
	return nil
}
