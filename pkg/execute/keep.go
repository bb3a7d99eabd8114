package execute

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/xcpauth/kubectl-xcpauth/pkg/fleet"
	"github.com/xcpauth/kubectl-xcpauth/pkg/observe"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// A secret that is about to be replaced is kept as a second secret beside it, so that the way back needs nothing secret written down
// anywhere else.

// copyRef names the copy of a patch's object.
func copyRef(p plan.Patch, name string) plan.Ref {
	r := p.Object
	r.Name, r.UID, r.ResourceVersion = name, "", ""
	return r
}

// keep copies the data of the object into its copy, unless there is one already: what lies there is older, and so what to go back to.
func (w writer) keep(ctx context.Context, c *fleet.Cluster, p plan.Patch, live map[string]any) error {
	to := copyRef(p, p.KeepAs)
	if _, err := w.create(ctx, c, plan.Patch{Context: p.Context, Object: to, Create: true, After: map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": live["type"], "data": live["data"],
		"metadata": map[string]any{"name": to.Name, "namespace": to.Namespace, "labels": map[string]any{"app.kubernetes.io/managed-by": FieldManager}},
	}}, nil); err != nil {
		return fmt.Errorf("keeping a copy of %s before it is replaced: %w", p.Object, err)
	}
	return nil
}

// kept makes the patch that writes the object back from its copy: every key of it, and none beside them.
func (w writer) kept(ctx context.Context, c *fleet.Cluster, p plan.Patch) (plan.Patch, error) {
	from, err := get(ctx, c, copyRef(p, p.RestoreFrom))
	if err != nil {
		return p, fmt.Errorf("reading the copy of %s in %s: %s", p.Object, p.Context, observe.Explain(err))
	}
	live, err := get(ctx, c, p.Object)
	if err != nil && !apierrors.IsNotFound(err) {
		return p, fmt.Errorf("reading %s in %s before writing it back: %s", p.Object, p.Context, observe.Explain(err))
	}
	data := map[string]any{}
	was, _ := from["data"].(map[string]any)
	now, _ := live["data"].(map[string]any)
	for key := range now {
		data[key] = nil
	}
	for key, v := range was {
		data[key] = v
	}
	p.After = map[string]any{"data": data}
	return p, nil
}

// Supplier gets a member the credentials that it lacks from outside.
type Supplier interface {
	// Secrets returns what is to be written into the member's namespace, and says what else was there and is left alone.
	Secrets(ctx context.Context, s plan.Supply) (secrets []map[string]any, ignored []string, err error)
	// From says in a few words where they come from.
	From() string
}

// Supply implements Clusters. A secret that is there is replaced when it is one of those wanted, and left as it is otherwise.
func (l *Live) Supply(ctx context.Context, s plan.Supply, still func() error) ([]string, error) {
	if l.Supplier == nil {
		return nil, fmt.Errorf("nothing says where the credentials of %s come from; pass --tctl or --secrets", s.Member)
	}
	secrets, said, err := l.Supplier.Secrets(ctx, s)
	if err != nil {
		return said, fmt.Errorf("getting the credentials of %s: %w", s.Member, err)
	}
	c, err := l.Fleet.Cluster(s.Context)
	if err != nil {
		return said, err
	}
	w := writer{fleet: l.Fleet}
	for _, o := range secrets {
		meta, _ := o["metadata"].(map[string]any)
		name, _ := meta["name"].(string)
		p := plan.Patch{Context: s.Context, Create: true, After: o,
			Object: plan.Ref{Version: "v1", Resource: "secrets", Kind: "Secret", Namespace: s.Namespace, Name: name}}
		wrote, err := w.create(ctx, c, p, still)
		if err == nil && !wrote {
			wrote, err = w.replace(ctx, c, p, still)
		}
		if err != nil {
			return said, err
		}
		if wrote {
			said = append(said, fmt.Sprintf("wrote %s in %s from %s", p.Object, s.Context, l.Supplier.From()))
		}
	}
	return said, nil
}

// replace writes the data of a secret that is there.
func (w writer) replace(ctx context.Context, c *fleet.Cluster, p plan.Patch, still func() error) (bool, error) {
	if still != nil {
		if err := still(); err != nil {
			return false, err
		}
	}
	doc, err := json.Marshal(map[string]any{"data": p.After["data"]})
	if err != nil {
		return false, fmt.Errorf("encoding %s: %w", p.Object, err)
	}
	err = w.options(c.REST.Patch(types.MergePatchType).AbsPath(objectPath(p.Object)).Body(doc)).Do(ctx).Error()
	return err == nil, w.explain(p, err)
}
