package globalapi

import (
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/observe"
)

// Error is what the API answered instead of what was asked for; Status is 0 where that is no HTTP status.
type Error struct {
	Status int
	Text   string // one clause, without a part of a token
}

func (e *Error) Error() string { return "the global's API: " + e.Text }

// Clause says the cause in one clause; see observe.Explain.
func (e *Error) Clause() string { return e.Error() }

// Lost is the error of a request that was sent, and to which no whole answer came: what it asks for may have been done.
type Lost struct{ cause error }

func (e *Lost) Error() string {
	return "the global's API was asked and its answer did not come, so what it was asked for may have been done: " +
		e.cause.Error()
}

// Clause says the cause in one clause.
func (e *Lost) Clause() string { return e.Error() }

func (e *Lost) Unwrap() error { return e.cause }

// unreached is the error of a pod that did not answer, where nothing was done: another may.
type unreached struct {
	pod   string
	cause error
}

func (e *unreached) Error() string {
	return fmt.Sprintf("the global's API in pod %s did not answer: %v", e.pod, e.cause)
}

// Clause says the cause in one clause.
func (e *unreached) Clause() string { return e.Error() }

func (e *unreached) Unwrap() error { return e.cause }

// unseen is the error of what was written and could not be read again. It does not wrap its cause: for that another pod
// would be written.
type unseen struct {
	object, context string
	cause           error
}

func (e *unseen) Error() string {
	return fmt.Sprintf("%s in %s was written, and could not be read again: %s; run the command again, which looks first",
		e.object, e.context, observe.Explain(e.cause))
}

// Clause says the cause in one clause.
func (e *unseen) Clause() string { return e.Error() }

// refused is the error of an answer that is not what was asked for. What the API says is missing, and who it says has
// no right to ask, can be told by apierrors; a path that it does not know is neither.
func refused(a answer) error {
	said := zonetoken.Said(a.status, a.body)
	status := func(reason metav1.StatusReason) error {
		return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: int32(a.status),
			Reason: reason, Message: "the global's API: " + said}}
	}
	switch {
	case a.status == http.StatusUnauthorized:
		return &Error{a.status, fmt.Sprintf("it does not know the token that it was asked with (%s); "+
			"pass another with --api-token FILE", said)}
	case a.status == http.StatusForbidden:
		return status(metav1.StatusReasonForbidden)
	case a.status == http.StatusNotFound && a.kind == "application/json" && zonetoken.SaidByAPI(a.body):
		return status(metav1.StatusReasonNotFound)
	}
	return &Error{a.status, "it answered " + said}
}
