package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/observe"
	"github.com/xcpauth/kubectl-xcpauth/pkg/patch"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// write performs one patch. A create leaves an object of ours that is there already as it is. A change is a merge
// patch of our paths (a strategic one where lists are by name) that carries the UID and resourceVersion of an object
// whose values at those paths are still Before; when they are After already, or Unless, there is nothing to do. It
// returns whether anything was written.
func (w writer) write(ctx context.Context, p plan.Write, still func() error) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	c, err := w.fleet.Cluster(p.Context)
	if err != nil {
		return false, err
	}
	if wrote, done, err := w.special(ctx, c, p, still); done || err != nil {
		return wrote, err
	}
	if p.RestoreFrom != "" {
		if p, err = w.fromBackup(ctx, c, p); err != nil {
			return false, err
		}
	}
	return w.update(ctx, c, p, still)
}

// special carries out a write that is no change of an object that is there; done says whether it was one.
func (w writer) special(ctx context.Context, c *kubeconfig.Cluster, p plan.Write,
	still func() error) (wrote, done bool, err error) {
	switch {
	case p.SecretField != "" && w.fills[p.SecretField] == nil:
		return false, true, fmt.Errorf("writing %s in %s needs a value that this run was not given (%s); give it again as for the plan", p.Object, p.Context, p.SecretField)
	case p.Via != nil:
		wrote, err = w.ask(ctx, c, p, still)
	case p.Op == plan.OpCreate && p.RestoreFrom != "":
		wrote, err = w.recreateFromBackup(ctx, c, p, still)
	case p.Op == plan.OpCreate:
		wrote, err = w.create(ctx, c, p, still)
	case p.Op == plan.OpDelete:
		wrote, err = w.remove(ctx, c, p, still)
	default:
		return false, false, nil
	}
	return wrote, true, err
}

// update changes an object that is there.
func (w writer) update(ctx context.Context, c *kubeconfig.Cluster, p plan.Write, still func() error) (bool, error) {
	for range conflictRetries {
		live, err := Get(ctx, c, p.Object)
		if apierrors.IsNotFound(err) {
			return false, &engine.ChangedError{Object: p.Object, Context: p.Context, By: "being deleted"}
		}
		if err != nil {
			return false, fmt.Errorf("reading %s in %s before changing it: %s", p.Object, p.Context, observe.Explain(err))
		}
		if done, err := w.compare(p, live); done || err != nil {
			return false, err
		}
		if p.BackupAs != "" {
			if err := w.backUp(ctx, c, p, live); err != nil {
				return false, err
			}
		}
		body, kind := map[string]any{}, types.MergePatchType
		maps.Copy(body, p.After)
		if p.ListsByName {
			body, kind = patch.Strategic(p.After), types.StrategicMergePatchType
		}
		if err := w.fill(p, body); err != nil {
			return false, err
		}
		meta, _ := live["metadata"].(map[string]any)
		body["metadata"] = map[string]any{"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
		doc, err := json.Marshal(body)
		if err != nil {
			return false, fmt.Errorf("encoding the change of %s: %w", p.Object, err)
		}
		if still != nil {
			if err := still(); err != nil {
				return false, err
			}
		}
		path := ObjectPath(p.Object)
		if p.Op == plan.OpUpdateStatus {
			path += "/status"
		}
		req := c.REST.Patch(kind).AbsPath(path).Body(doc)
		err = sendChange(ctx, w.options(req), p, UID(live))
		if apierrors.IsConflict(err) {
			continue // another part of the object moved: look again
		}
		return err == nil, w.explain(p, err)
	}
	return false, fmt.Errorf("changing %s in %s: somebody else keeps changing it; run the command again",
		p.Object, p.Context)
}

// compare says whether there is nothing to do to an object, or that it is not as it was seen, or kept by somebody.
func (w writer) compare(p plan.Write, live map[string]any) (done bool, err error) {
	switch {
	case p.Object.UID != "" && UID(live) != p.Object.UID:
		return false, &engine.ChangedError{Object: p.Object, Context: p.Context, By: "being re-created"}
	case patch.Matches(live, p.After, p.ListsByName), p.SatisfiedBy != nil &&
		patch.Matches(live, p.SatisfiedBy, p.ListsByName):
		return true, nil
	case !w.dryRun && !patch.Matches(live, p.Before, p.ListsByName):
		return false, &engine.ChangedError{Object: p.Object, Context: p.Context, By: lastManager(live)}
	}
	return false, checkOwner(p, live)
}

func (w writer) create(ctx context.Context, c *kubeconfig.Cluster, p plan.Write, still func() error) (bool, error) {
	if still != nil {
		if err := still(); err != nil {
			return false, err
		}
	}
	body := map[string]any{}
	maps.Copy(body, p.After)
	if err := w.fill(p, body); err != nil {
		return false, err
	}
	doc, err := json.Marshal(body)
	if err != nil {
		return false, fmt.Errorf("encoding %s: %w", p.Object, err)
	}
	collection := observe.Path(plan.Read{Group: p.Object.Group, Version: p.Object.Version, Resource: p.Object.Resource,
		Namespace: p.Object.Namespace})
	_, err = Send(ctx, w.options(c.REST.Post().AbsPath(collection).SetHeader("Content-Type",
		"application/json").Body(doc)), p.Object, "")
	if apierrors.IsAlreadyExists(err) {
		return false, nil
	}
	return err == nil, w.explain(p, err)
}

// FieldManager is the name under which every write is recorded in managedFields.
const FieldManager = "kubectl-xcpauth"

// conflictRetries is how often a write is tried again after somebody else changed another part of the object meanwhile.
const conflictRetries = 5

// WriteTimeout bounds one write with its reads. It is longer than a read's: an API server takes its first write of a
// new kind only after some seconds, and a write that was given up on may still have been stored.
const WriteTimeout = 30 * time.Second

type writer struct {
	fleet  *kubeconfig.Fleet
	fills  map[string]FillSecret
	api    HubAPI
	dryRun bool
}

// FillSecret adds values that only the executor holds, such as a private key from a file, to what a patch writes.
type FillSecret func(after map[string]any) error

// fill adds to what a patch writes what only the executor holds.
func (w writer) fill(p plan.Write, body map[string]any) error {
	fill := w.fills[p.SecretField]
	if fill == nil {
		return nil
	}
	if err := fill(body); err != nil {
		return fmt.Errorf("nothing was written to %s in %s: %w", p.Object, p.Context, err)
	}
	return nil
}

// remove deletes an object that still is the one that was seen. One that is gone already is no error. Of one that was
// not seen, which is ours, nothing is read.
func (w writer) remove(ctx context.Context, c *kubeconfig.Cluster, p plan.Write, still func() error) (bool, error) {
	switch {
	case p.BackupAs != "":
		return w.deleteWithBackup(ctx, c, p, still)
	case p.Object.UID == "":
		return w.removeAt(ctx, c, p, "", still)
	}
	live, err := Get(ctx, c, p.Object)
	switch {
	case apierrors.IsNotFound(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("reading %s in %s before deleting it: %w", p.Object, p.Context, Explained(err))
	}
	if err := checkOwner(p, live); err != nil {
		return false, err
	}
	return w.removeAt(ctx, c, p, "", still)
}

// removeAt deletes an object at one resourceVersion, at any when that is empty.
func (w writer) removeAt(ctx context.Context, c *kubeconfig.Cluster, p plan.Write, version string,
	still func() error) (bool, error) {
	if still != nil {
		if err := still(); err != nil {
			return false, err
		}
	}
	options := map[string]any{"apiVersion": "v1", "kind": "DeleteOptions"}
	preconditions := map[string]any{}
	if p.Object.UID != "" {
		preconditions["uid"] = p.Object.UID
	}
	if version != "" {
		preconditions["resourceVersion"] = version
	}
	if len(preconditions) > 0 {
		options["preconditions"] = preconditions
	}
	if w.dryRun {
		options["dryRun"] = []string{"All"}
	}
	doc, err := json.Marshal(options)
	if err != nil {
		return false, fmt.Errorf("encoding the deletion of %s: %w", p.Object, err)
	}
	err = SendDeletion(ctx, c.REST.Delete().AbsPath(ObjectPath(p.Object)).SetHeader("Content-Type",
		"application/json").Body(doc), p.Object)
	switch {
	case apierrors.IsNotFound(err):
		return false, nil
	case apierrors.IsConflict(err):
		return false, &engine.ChangedError{Object: p.Object, Context: p.Context, By: "being re-created"}
	}
	return err == nil, w.explain(p, err)
}

func (w writer) options(r *rest.Request) *rest.Request {
	r.Param("fieldManager", FieldManager).Param("fieldValidation", "Strict")
	if w.dryRun {
		r.Param("dryRun", "All")
	}
	return r
}

func (w writer) explain(p plan.Write, err error) error {
	var status apierrors.APIStatus
	switch {
	case err == nil:
		return nil
	case errors.As(err, &status) && isAdmission(status.Status().Message):
		return &engine.DeniedError{Object: p.Object, Context: p.Context, Message: status.Status().Message}
	}
	return fmt.Errorf("writing %s in %s: %s", p.Object, p.Context, observe.Explain(err))
}

// ask has a hub's own API carry out a write.
func (w writer) ask(ctx context.Context, c *kubeconfig.Cluster, p plan.Write, still func() error) (bool, error) {
	if w.api == nil {
		return false, fmt.Errorf("writing %s in %s: nothing here writes by a hub's own API", p.Object, p.Context)
	}
	wrote, err := w.api.Write(ctx, c, p, w.fills[p.SecretField], still, w.dryRun)
	var changed *engine.ChangedError
	if err == nil || errors.As(err, &changed) {
		return wrote, err
	}
	return wrote, fmt.Errorf("writing %s by the API of %s in %s: %w", p.Object, p.Via.Object, p.Context, Explained(err))
}

// isAdmission tells a refusal by admission from one by RBAC, which share their code.
func isAdmission(message string) bool {
	return strings.Contains(message, "admission webhook") || strings.Contains(message, "ValidatingAdmissionPolicy")
}

// lastManager names who wrote the object last, from managedFields.
func lastManager(o map[string]any) string {
	meta, _ := o["metadata"].(map[string]any)
	list, _ := meta["managedFields"].([]any)
	var name, when string
	for _, e := range list {
		entry, _ := e.(map[string]any)
		if t, _ := entry["time"].(string); t >= when {
			when = t
			name, _ = entry["manager"].(string)
		}
	}
	return name
}
