package apply

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/observe"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// deleteWithBackup deletes an object that was copied as it is: one that changes meanwhile is copied again.
func (w writer) deleteWithBackup(ctx context.Context, c *kubeconfig.Cluster, p plan.Write,
	still func() error) (bool, error) {
	var changed *engine.ChangedError
	for range conflictRetries {
		live, err := Get(ctx, c, p.Object)
		switch {
		case apierrors.IsNotFound(err):
			return false, nil
		case err != nil:
			return false, fmt.Errorf("reading %s in %s before deleting it: %s", p.Object, p.Context, observe.Explain(err))
		case p.Object.UID != "" && UID(live) != p.Object.UID:
			return false, &engine.ChangedError{Object: p.Object, Context: p.Context, By: "being re-created"}
		}
		if err := checkOwner(p, live); err != nil {
			return false, err
		}
		if err := w.backUp(ctx, c, p, live); err != nil {
			return false, err
		}
		meta, _ := live["metadata"].(map[string]any)
		version, _ := meta["resourceVersion"].(string)
		wrote, err := w.removeAt(ctx, c, p, version, still)
		if !errors.As(err, &changed) {
			return wrote, err
		}
	}
	return false, fmt.Errorf("deleting %s in %s: somebody else keeps changing it; run the command again",
		p.Object, p.Context)
}

// backUp copies the data of the object into its copy. A copy of something else that lies there is an earlier run's,
// and of no use any more: a run that was interrupted was taken back before another began. The copy is read back,
// since the way back depends on it.
func (w writer) backUp(ctx context.Context, c *kubeconfig.Cluster, p plan.Write, live map[string]any) error {
	to := copyRef(p, p.BackupAs)
	made := plan.Write{Context: p.Context, Object: to, Op: plan.OpCreate, After: map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": live["type"], "data": live["data"],
		"metadata": map[string]any{"name": to.Name, "namespace": to.Namespace,
			"labels": map[string]any{"app.kubernetes.io/managed-by": FieldManager}},
	}}
	wrote, err := w.create(ctx, c, made, nil)
	if err != nil {
		return fmt.Errorf("keeping a copy of %s before it is replaced: %w", p.Object, err)
	}
	if w.dryRun && wrote {
		return nil // there is none to be read
	}
	there, err := Get(ctx, c, to)
	if err != nil {
		return fmt.Errorf("nothing was written, since the copy of %s in %s could not be read back: %s", p.Object, p.Context,
			observe.Explain(err))
	}
	if reflect.DeepEqual(there["data"], live["data"]) {
		return nil
	}
	data := map[string]any{}
	was, _ := there["data"].(map[string]any)
	now, _ := live["data"].(map[string]any)
	for key := range was {
		data[key] = nil
	}
	maps.Copy(data, now)
	made.After = map[string]any{"data": data}
	if _, err := w.replace(ctx, c, made, nil); err != nil {
		return fmt.Errorf("keeping a copy of %s before it is replaced: %w", p.Object, err)
	}
	return nil
}

// recreateFromBackup makes an object again from its copy; one that is there again is left as it is.
func (w writer) recreateFromBackup(ctx context.Context, c *kubeconfig.Cluster, p plan.Write,
	still func() error) (bool, error) {
	from, err := Get(ctx, c, copyRef(p, p.RestoreFrom))
	if err != nil {
		if !apierrors.IsNotFound(err) {
			return false, fmt.Errorf("reading the copy of %s in %s: %s", p.Object, p.Context, observe.Explain(err))
		}
		_, err := Get(ctx, c, p.Object)
		switch {
		case apierrors.IsNotFound(err): // the copy was removed when there was a new one, which somebody has deleted since
			return false, &engine.ChangedError{Object: p.Object, Context: p.Context, By: "being deleted"}
		case err != nil:
			return false, fmt.Errorf("reading %s in %s before making it again: %s", p.Object, p.Context, observe.Explain(err))
		}
		return false, nil
	}
	p.After = map[string]any{"apiVersion": "v1", "kind": "Secret", "type": from["type"], "data": from["data"],
		"metadata": map[string]any{"name": p.Object.Name, "namespace": p.Object.Namespace}}
	return w.create(ctx, c, p, still)
}

// fromBackup makes the patch that writes the object back from its copy: every key of it, and none beside them.
func (w writer) fromBackup(ctx context.Context, c *kubeconfig.Cluster, p plan.Write) (plan.Write, error) {
	from, err := Get(ctx, c, copyRef(p, p.RestoreFrom))
	if err != nil {
		return p, fmt.Errorf("reading the copy of %s in %s: %s", p.Object, p.Context, observe.Explain(err))
	}
	live, err := Get(ctx, c, p.Object)
	if err != nil && !apierrors.IsNotFound(err) {
		return p, fmt.Errorf("reading %s in %s before writing it back: %s", p.Object, p.Context, observe.Explain(err))
	}
	data := map[string]any{}
	was, _ := from["data"].(map[string]any)
	now, _ := live["data"].(map[string]any)
	for key := range now {
		data[key] = nil
	}
	maps.Copy(data, was)
	p.After = map[string]any{"data": data}
	return p, nil
}

// A secret that is about to be replaced is kept as a second secret beside it, so that the way back needs nothing
// secret written down anywhere else.

// copyRef names the copy of a patch's object.
func copyRef(p plan.Write, name string) plan.Ref {
	r := p.Object
	r.Name, r.UID, r.ResourceVersion = name, "", ""
	return r
}
