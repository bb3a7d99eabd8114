package docs

import (
	"fmt"
	"go/ast"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/test/golden"
)

// reasons are the Events that the programs write, by their reason.
var reasons = []struct{ reason, kind, object, by, meaning string }{
	{"WithdrawalDenied", "Warning", "ManagementPlane", "webhook",
		"An edit or a deletion was denied. It names who asked, what the hub would have stopped accepting, and the digest"},
	{"WithdrawalAdmitted", "Normal", "ManagementPlane", "webhook",
		"A credential was withdrawn, or the hub taken away. It names the members, and what was known of each"},
	{"OverrideAdmitted", "Warning", "ManagementPlane", "webhook", "Somebody went over a denial. Members may be cut off"},
	{"OverrideDenied", "Warning", "ManagementPlane", "webhook",
		"An override was denied. It says why: no right, or not the blockers of that moment"},
	{"MembersRefused", "Warning", "ManagementPlane", "auditor",
		"The hub does not surely accept what members may present. It names them"},
	{"MembersNotKnown", "Warning", "ManagementPlane", "auditor",
		"What members may present is not known any more, and would matter"},
	{"MembersAccepted", "Normal", "ManagementPlane", "auditor",
		"The hub accepts again all that these members may present"},
	{"Forgotten", "Warning", "EdgeCluster", "plugin", "A member was taken out of the roster. It says by whom and why"},
}

// docs/reference/events.md has every Event of the programs, and no other. With -update it is written.
func TestTheEventsInDocsAreThoseOfThePrograms(t *testing.T) {
	found := map[string]bool{}
	for _, dir := range []string{"webhook", "pkg", "plugin"} {
		eachGoFile(t, dir, func(_ string, file *ast.File) {
			for _, reason := range reasonsOf(file) {
				found[reason] = true
			}
		})
	}
	var b strings.Builder
	b.WriteString("# Events\n\n" + madeBy + "The programs write these into the hub's cluster.\n\n" +
		"| reason | type | of | by | what happened |\n|---|---|---|---|---|\n")
	for _, e := range reasons {
		if !found[e.reason] {
			t.Errorf("no program writes an Event %s", e.reason)
		}
		delete(found, e.reason)
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", e.reason, e.kind, e.object, e.by, e.meaning)
	}
	for reason := range found {
		t.Errorf("the Event %s is not explained; add it to reasons", reason)
	}
	golden.Check(t, filepath.Join(root, "docs", "reference", "events.md"), b.String())
}

// reasonsOf are the reasons of Events in a file: x.Reason = "...", or "reason" in an object of kind Event.
func reasonsOf(file *ast.File) []string {
	var all []string
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for i, left := range n.Lhs {
				field, is := left.(*ast.SelectorExpr)
				if is && strings.EqualFold(field.Sel.Name, "reason") && len(n.Rhs) == len(n.Lhs) && literal(n.Rhs[i]) != "" {
					all = append(all, literal(n.Rhs[i]))
				}
			}
		case *ast.CompositeLit:
			values := map[string]string{}
			for _, element := range n.Elts {
				if pair, is := element.(*ast.KeyValueExpr); is {
					values[literal(pair.Key)] = literal(pair.Value)
				}
			}
			if values["kind"] == "Event" {
				all = append(all, values["reason"])
			}
		}
		return true
	})
	return all
}
