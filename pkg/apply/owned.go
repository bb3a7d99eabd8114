package apply

import (
	"encoding/json"
	"fmt"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/patch"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// OwnedError says that something else keeps an object as it is, so that a change would not last. Nothing was written.
type OwnedError struct {
	Object  plan.Ref
	Context string
	Owner   string
	Deleted bool // the object was to be deleted
}

func (e *OwnedError) Error() string {
	does, where := "put a change back", "change it there"
	if e.Deleted {
		does, where = "make it again", "remove it there"
	}
	return fmt.Sprintf(
		"%s in %s is kept by %s, which would %s; nothing was written; %s",
		e.Object,
		e.Context,
		e.Owner,
		does,
		where,
	)
}

// checkOwner asks of the object as it is now who keeps it, and returns an OwnedError when that would undo the patch.
// It is asked before every change and every deletion of an object that was seen, whatever its kind, but for a way
// back, which is tried all the same, for a status, which nobody else keeps, and for a restart, which needs to last
// only until the pods are new.
func checkOwner(p plan.Write, live map[string]any) error {
	if p.Undoing || p.Op == plan.OpUpdateStatus || p.Op == plan.OpRestart {
		return nil
	}
	b, err := json.Marshal(live["metadata"])
	if err != nil {
		return fmt.Errorf("encoding the metadata of %s: %w", p.Object, err)
	}
	var meta kube.Metadata
	if err := json.Unmarshal(b, &meta); err != nil {
		return fmt.Errorf(
			"nothing was written, since it cannot be told who keeps %s in %s: decoding its metadata: %w",
			p.Object,
			p.Context,
			err,
		)
	}
	var owner string
	if p.Op == plan.OpDelete {
		owner = kube.Supplies(meta)
	} else {
		owner, _ = kube.Owners(meta, patch.Leaves(p.After, p.ListsByName)...)
	}
	if owner == "" {
		return nil
	}
	return &OwnedError{Object: p.Object, Context: p.Context, Owner: owner, Deleted: p.Op == plan.OpDelete}
}
