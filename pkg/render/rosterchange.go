package render

import (
	"fmt"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// rosterChange says in words what a write does to an entry of the roster.
func rosterChange(p plan.Write) string {
	status, _ := p.After["status"].(map[string]any)
	spec, _ := p.After["spec"].(map[string]any)
	switch {
	case p.Op == plan.OpUpdateStatus && status["presents"] != nil:
		return fmt.Sprintf("it states that the member presents %v", status["presents"])
	case p.Op == plan.OpUpdateStatus:
		return "its statement is taken back"
	case spec["evidence"] != nil:
		return fmt.Sprintf("the webhook decides from evidence %v", spec["evidence"])
	}
	return "its reference to the member is renewed"
}
