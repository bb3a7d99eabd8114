package kube

import (
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// listed is a list as it was decoded, and why it could not be.
type listed[T any] struct {
	items []T
	err   error
}

// decode decodes the body of a list, once where the result is kept. Nobody changes what it returns.
func decode[T any](r plan.Result) listed[T] {
	return plan.Cached(r, func(r plan.Result) (l listed[T]) {
		l.items, l.err = DecodeList[T](r.Body)
		return l
	})
}

// ListOf decodes a list, or says why there is none to speak of: unknown must never become absent. A kind that is not
// served at all is an empty list. Nobody changes what it returns.
func ListOf[T any](r plan.Result) ([]T, string) {
	if why := Unreadable(r); why != "" || r.Missing {
		return nil, why
	}
	l := decode[T](r)
	if l.err != nil {
		return nil, "the API server's answer is not a list as expected: " + l.err.Error()
	}
	return l.items, ""
}

// List is ListOf, of objects of any kind with all that is in them, which are the caller's own.
func List(r plan.Result) ([]Object, string) {
	return ListOf[Object](plan.Result{Body: r.Body, Missing: r.Missing, Err: r.Err})
}

// Items is List where an unreadable list is reported elsewhere.
func Items(r plan.Result) []Object {
	l, _ := List(r)
	return l
}

// Decoded is a Deployment, and what of it does not fit, if anything.
type Decoded struct {
	Deployment
	Err error
}

// UnmarshalJSON decodes what fits, and says in Err what does not: the list that it stands in is not lost with it.
func (d *Decoded) UnmarshalJSON(b []byte) error {
	d.Err = Decode(b, &d.Deployment)
	return nil
}

// Deployments is ListOf, of Deployments.
func Deployments(r plan.Result) ([]Decoded, string) { return ListOf[Decoded](r) }

// Identified is an object of which it alone matters which one it is.
type Identified struct {
	Metadata Identity `json:"metadata"`
}

// Identities is ListOf, of objects of any kind.
func Identities(r plan.Result) ([]Identified, string) { return ListOf[Identified](r) }

// Namespaces are those of the objects of a list, one for each object; nil where it was not read, which is reported
// elsewhere.
func Namespaces(r plan.Result) []string {
	objects, _ := Identities(r)
	all := make([]string, len(objects))
	for i, o := range objects {
		all[i] = o.Metadata.Namespace
	}
	return all
}
