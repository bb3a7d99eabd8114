package deploy

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/xcpauth/kubectl-xcpauth/pkg/apply"
	"github.com/xcpauth/kubectl-xcpauth/pkg/install"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/observe"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Manager owns the fields that are applied.
const Manager = "kubectl-xcpauth"

// What became of an object.
const (
	Created   = "created"
	Changed   = "configured"
	Unchanged = "unchanged"
	Deleted   = "deleted"
	Absent    = "not found"
)

// Cluster is where objects are put.
type Cluster struct {
	*kubeconfig.Cluster
	// DryRun has the API server check each write and store nothing.
	DryRun bool
	// Say is told of each object what became of it, as it happens.
	Say func(ref plan.Ref, became string)
}

// Apply makes each object what it should be by server-side apply, in order, and stops at the first that is refused.
// Fields that another manager set and that the object does not name stay as they are. As a dry run, an object in a
// namespace that is not there yet cannot be checked: it is taken for one that will be created.
func (c Cluster) Apply(ctx context.Context, objects []install.Object) error {
	fresh := map[string]bool{} // namespaces that the dry run would have made
	for _, o := range objects {
		ref, err := install.Ref(o)
		if err != nil {
			return err
		}
		became := Created
		if !c.DryRun || !fresh[ref.Namespace] {
			if became, err = c.applyOne(ctx, ref, o); err != nil {
				return err
			}
		}
		if ref.Kind == "Namespace" && became == Created {
			fresh[ref.Name] = true
		}
		c.Say(ref, became)
		if ref.Kind == "CustomResourceDefinition" && !c.DryRun {
			if err := c.established(ctx, ref); err != nil {
				return err
			}
		}
	}
	return nil
}

// applyOne applies one object, and says what became of it by what it was before.
func (c Cluster) applyOne(ctx context.Context, ref plan.Ref, o install.Object) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, apply.WriteTimeout)
	defer cancel()
	before, there, err := c.find(ctx, ref)
	if err != nil && !apierrors.IsForbidden(err) {
		return "", fmt.Errorf("reading %s in %s: %s", ref, c.Context, observe.Explain(err))
	}
	if err != nil && install.BindsPeople(o) {
		return "", fmt.Errorf("reading %s in %s: %s; it is not known who is bound already, so nothing is bound", ref,
			c.Context, observe.Explain(err))
	}
	there = there || err != nil // one that may not be read is taken for one that is there
	doc, err := json.Marshal(install.Joined(o, before))
	if err != nil {
		return "", fmt.Errorf("encoding %s: %w", ref, err)
	}
	r := c.REST.Patch(types.ApplyPatchType).AbsPath(apply.ObjectPath(ref)).Param("fieldManager", Manager).
		Param("force", "true")
	if c.DryRun {
		r = r.Param("dryRun", "All")
	}
	body, err := apply.Send(ctx, r.Body(doc), ref, "")
	if err != nil {
		return "", fmt.Errorf("applying %s in %s: %s", ref, c.Context, observe.Explain(err))
	}
	switch {
	case !there:
		return Created, nil
	case install.Same(before, body):
		return Unchanged, nil
	}
	return Changed, nil
}

// find reads an object that may not be there.
func (c Cluster) find(ctx context.Context, ref plan.Ref) (body []byte, there bool, err error) {
	body, err = c.get(ctx, ref)
	if apierrors.IsNotFound(err) {
		return nil, false, nil
	}
	return body, err == nil, err
}

func (c Cluster) get(ctx context.Context, ref plan.Ref) ([]byte, error) {
	r := c.REST.Get().AbsPath(apply.ObjectPath(ref)).SetHeader("Accept", "application/json")
	return kubeconfig.Body(r.Do(ctx))
}

// established returns once the API server serves a kind.
func (c Cluster) established(ctx context.Context, ref plan.Ref) error {
	what := fmt.Sprintf("waiting for %s in %s to be served", ref, c.Context)
	return c.poll(ctx, what, func(ctx context.Context) (string, error) {
		var crd struct {
			Status struct {
				Conditions []struct{ Type, Status string } `json:"conditions"`
			} `json:"status"`
		}
		if err := c.read(ctx, ref, &crd); err != nil {
			return "", err
		}
		for _, is := range crd.Status.Conditions {
			if is.Type == "Established" && is.Status == "True" {
				return "", nil
			}
		}
		return "it is not established yet", nil
	})
}

// Delete deletes the objects in order. The first must be gone before any other is touched: it is what makes the API
// server ask, and an edit is refused while nobody answers. An object that is not there is not an error.
func (c Cluster) Delete(ctx context.Context, objects []install.Object) error {
	for i, o := range objects {
		ref, err := install.Ref(o)
		if err != nil {
			return err
		}
		became, err := c.deleteOne(ctx, ref)
		if err != nil {
			return err
		}
		c.Say(ref, became)
		if i > 0 || c.DryRun {
			continue
		}
		what := fmt.Sprintf("waiting for the end of %s in %s", ref, c.Context)
		err = c.poll(ctx, what, func(ctx context.Context) (string, error) {
			_, there, err := c.find(ctx, ref)
			if there || apierrors.IsForbidden(err) {
				return "it is still there", nil
			}
			return "", err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (c Cluster) deleteOne(ctx context.Context, ref plan.Ref) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, apply.WriteTimeout)
	defer cancel()
	r := c.REST.Delete().AbsPath(apply.ObjectPath(ref)).Param("propagationPolicy", "Background")
	if c.DryRun {
		r = r.Param("dryRun", "All")
	}
	switch err := apply.SendDeletion(ctx, r, ref); {
	case apierrors.IsNotFound(err):
		return Absent, nil
	case err != nil:
		return "", fmt.Errorf("deleting %s in %s: %s; nothing after it was deleted", ref, c.Context, observe.Explain(err))
	}
	return Deleted, nil
}

const every = 500 * time.Millisecond

// poll asks again until nothing is missing. An answer that could not be had is missing too: the API server may be back
// in a moment. What is missing when ctx ends is in the error.
func (c Cluster) poll(ctx context.Context, what string, ask func(context.Context) (missing string, err error)) error {
	for {
		within, cancel := context.WithTimeout(ctx, apply.WriteTimeout)
		missing, err := ask(within)
		cancel()
		switch {
		case err != nil:
			missing = err.Error()
		case missing == "":
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w; %s", what, context.Cause(ctx), missing)
		case <-time.After(every):
		}
	}
}

// read decodes an object.
func (c Cluster) read(ctx context.Context, ref plan.Ref, into any) error {
	body, err := c.get(ctx, ref)
	if err != nil {
		return fmt.Errorf("reading %s in %s: %s", ref, c.Context, observe.Explain(err))
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("reading %s in %s: it is not as its kind says: %w", ref, c.Context, err)
	}
	return nil
}
