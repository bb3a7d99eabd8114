package install

import (
	"slices"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Removed splits what was installed of the webhook into what is deleted, in that order, and what stays: what Removed
// of a part keeps, and the roles and policies of its users. The configuration that makes the API server ask comes
// first: while it is there and nobody answers, edits are refused.
func (w Webhook) Removed() (deleted, kept []Object, err error) {
	objects, err := w.Objects()
	if err != nil {
		return nil, nil, err
	}
	users, err := Roles{Place: Hub}.Objects()
	if err != nil {
		return nil, nil, err
	}
	var theirs []plan.Ref
	for _, o := range users {
		ref, err := Ref(o)
		if err != nil {
			return nil, nil, err
		}
		theirs = append(theirs, ref)
	}
	for _, o := range slices.Backward(objects) {
		ref, err := Ref(o)
		switch {
		case err != nil:
			return nil, nil, err
		case stays(o), slices.Contains(theirs, ref):
			kept = append(kept, o)
		case ref.Kind == "ValidatingWebhookConfiguration":
			deleted = append([]Object{o}, deleted...)
		default:
			deleted = append(deleted, o)
		}
	}
	return deleted, kept, nil
}

// Removed splits what was installed of roles into what is deleted, in that order, and what stays. The bindings of each
// role go first, of all users: one that is left gives the rights again when the role comes back.
func (r Roles) Removed() (deleted, kept []Object, err error) {
	r.Bind, r.Users, r.Groups = nil, nil, nil
	objects, err := r.Objects()
	if err != nil {
		return nil, nil, err
	}
	for _, o := range objects {
		if kind, _ := o["kind"].(string); kind == "Role" || kind == "ClusterRole" {
			deleted = append(deleted, binding(o, nil))
		}
	}
	for _, o := range slices.Backward(objects) {
		if stays(o) {
			kept = append(kept, o)
			continue
		}
		deleted = append(deleted, o)
	}
	return deleted, kept, nil
}

// stays says whether an object stays whatever is uninstalled: the namespaces, with what was not installed in them, and
// the roster's kind, with the roster.
func stays(o Object) bool { return o["kind"] == "Namespace" || o["kind"] == "CustomResourceDefinition" }
