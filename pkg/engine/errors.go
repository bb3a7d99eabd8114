package engine

import (
	"fmt"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// ChangedError says that an object no longer is as it was when the plan was made. Nothing was written.
type ChangedError struct {
	Object  plan.Ref
	Context string
	By      string
}

func (e *ChangedError) Error() string {
	by := ""
	if e.By != "" {
		by = " by " + e.By
	}
	return fmt.Sprintf("%s in %s was changed%s since it was read; nothing was written; look at it and run the command again", e.Object, e.Context, by)
}

// DeniedError says that an admission webhook or policy of the cluster refused a write, in its own words.
type DeniedError struct {
	Object  plan.Ref
	Context string
	Message string
}

func (e *DeniedError) Error() string {
	return fmt.Sprintf("writing %s in %s was denied: %s", e.Object, e.Context, e.Message)
}

// RetractedError says that what was stated of a member was taken back after it was seen: it must be seen again.
// Nothing was written.
type RetractedError struct{ Why string }

func (e *RetractedError) Error() string { return e.Why + "; run the command again" }
