package tsb

import (
	"cmp"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

func compareNeeds(a, b plan.Need) int {
	return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Group, b.Group), strings.Compare(a.Resource, b.Resource),
		strings.Compare(a.Subresource, b.Subresource), strings.Compare(a.Name, b.Name), strings.Compare(a.Verb, b.Verb))
}
